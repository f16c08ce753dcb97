/** What judging the two sides has in common: a verdict with what it rests on, and the circumstances it is made in. */

import type { Cid } from '../cid/cid.ts';
import { readEntries } from '../ingest/entry-store.ts';
import type { StoredEntry } from '../ingest/stored-entry.ts';
import type { Sql } from '../platform/postgres/database.ts';
import { keysOfCids } from '../vsync/cid-history.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import type { Unanswered } from './by-cid.ts';
import type { OpenRun } from './claiming.ts';
import type { Divergence, NewDifference } from './divergence-store.ts';
import type { Circumstances, Verdict } from './judgement.ts';
import type { ReconcileDeps } from './reconciliation.ts';

const retryWaitMs = 30_000;

/** A difference with its verdict, and what it rests on. */
export interface Judged {
  readonly divergence: Divergence;
  readonly stored: StoredEntry | null;
  readonly verdict: Verdict;
  /** DICT's clock at its answer; null where it gave none. */
  readonly provedAt: Date | null;
  /** Differences that came to light while this one was judged. */
  readonly alsoFound?: readonly NewDifference[];
}

/** DICT could not or would not answer: asked again a few times where that can help, else open with its reason (rule R2). */
export function failed(
  deps: ReconcileDeps,
  divergence: Divergence,
  { reason, again, waitMs }: Pick<Unanswered, 'reason' | 'again' | 'waitMs'>,
): Verdict {
  const { clock, settings } = deps;
  if (!again || divergence.attempts + 1 >= settings.attemptsMax) return { verdict: 'open', reason, key: divergence.key };
  return {
    verdict: 'deferred',
    until: new Date(clock.now().getTime() + Math.max(retryWaitMs, waitMs)),
    reason,
    key: divergence.key,
  };
}

/** What a batch is judged under. */
export async function circumstances(deps: ReconcileDeps, run: OpenRun): Promise<Circumstances> {
  const { rows } = await deps.database.query<{ seq: number | null }>(
    `SELECT max((result ->> 'seq')::bigint) AS seq FROM dict_verification_runs
     WHERE participant = $1 AND key_type = $2 AND outcome = 'in-sync'`,
    [run.participant, run.keyType],
  );
  return {
    scope: run,
    now: deps.clock.now(),
    graceMs: deps.verify.inFlightGraceMs,
    clockSkewMs: deps.settings.clockSkewMs,
    openClaimGraceMs: deps.settings.openClaimGraceMs,
    provenSeq: rows[0]?.seq ?? null,
    dictAddedAt: null,
  };
}

/** The entries that hold these CIDs here, by hex. */
export async function storedByCid(sql: Sql, scope: Scope, cids: readonly Cid[]): Promise<Map<string, StoredEntry>> {
  const keys = await keysOfCids(sql, scope, cids);
  const entries = await readEntries(sql, scope.participant, [...new Set(keys.values())]);
  const stored = new Map<string, StoredEntry>();
  for (const [hex, key] of keys) {
    const entry = entries.get(key);
    if (entry !== undefined) stored.set(hex, entry);
  }
  return stored;
}
