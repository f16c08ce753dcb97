/** Whether DICT has an active entry of a CID now: the one proof that needs neither log nor file. */

import type { DictApi } from '../dict/api.ts';
import { DictError } from '../dict/errors.ts';
import type { Clock } from '../platform/clock.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import type { VerifySettings } from './settings.ts';
import { withTimeLimit } from './time-limit.ts';

/** DICT's answer about one CID; null where it gives none that helps (a blocked entry, somebody else's). */
export async function entryByCid(
  deps: {
    readonly dict: Pick<DictApi, 'getEntryByCid'>;
    readonly clock: Clock;
    readonly settings: VerifySettings;
  },
  scope: Scope,
  cid: string,
): Promise<{ readonly found: boolean; readonly createdMs: number | null } | null> {
  const { dict, clock, settings } = deps;
  try {
    const answer = await withTimeLimit(clock, settings.callLimitMs, (signal) =>
      dict.getEntryByCid({ participant: scope.participant, cid }, { signal, priority: 'verification' }),
    );
    if (!answer.found) return { found: false, createdMs: null };
    if (answer.entry.account.participant !== scope.participant || answer.entry.keyType !== scope.keyType) return null;
    return { found: true, createdMs: Date.parse(answer.entry.creationDate) };
  } catch (cause) {
    if (cause instanceof DictError && cause.remedy !== 'retry') return null;
    throw cause;
  }
}
