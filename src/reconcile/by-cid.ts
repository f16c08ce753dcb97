/** Asking DICT about many CIDs, a bounded number at a time. An answer that is an error stays with its CID: the others go on. */

import { type Cid, cidToHex } from '../cid/cid.ts';
import type { EntryByCid } from '../dict/api.ts';
import { DictError, RETRY_AFTER_MAX_SEC } from '../dict/errors.ts';
import { assert } from '../platform/assert.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import { type OpenRun, paced } from './claiming.ts';
import type { ReconcileDeps } from './reconciliation.ts';
import { countByCidReads } from './run-store.ts';

export type ByCidAnswer =
  | { readonly kind: 'answered'; readonly answer: EntryByCid }
  /** `again`: the same question may be answered later, but not before `waitMs` where DICT has asked for that. */
  | Unanswered;

export interface Unanswered {
  readonly kind: 'failed';
  readonly reason: string;
  readonly again: boolean;
  /** 0 where DICT has asked for nothing. */
  readonly waitMs: number;
}

/**
 * DICT's answers about these CIDs, in their order; the run's count of such reads is raised. Waiting for tokens can take longer than
 * a lease: it is prolonged meanwhile. Throws `RunTaken`.
 */
export async function lookUp(deps: ReconcileDeps, run: OpenRun, cids: readonly Cid[]): Promise<ByCidAnswer[]> {
  const answers = new Array<ByCidAnswer | undefined>(cids.length).fill(undefined);
  const beat = paced(deps, { runId: run.id, token: run.token });
  let nextIndex = 0;
  // DICT has asked to be left alone: the rest of the batch is not asked.
  let hush: Unanswered | null = null;
  const worker = async (): Promise<void> => {
    for (let cid = cids[nextIndex]; cid !== undefined; cid = cids[nextIndex]) {
      const index = nextIndex;
      nextIndex += 1;
      const answer: ByCidAnswer = hush ?? (await lookUpOne(deps, run, cid));
      answers[index] = answer;
      if (answer.kind === 'failed' && answer.waitMs > 0) hush = answer;
      await beat();
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(deps.settings.byCidConcurrency, cids.length) }, worker));
  } finally {
    // Where one of them failed, the others use up no further tokens.
    nextIndex = cids.length;
  }
  await countByCidReads(deps.database, run.id, cids.length);
  return answers.map((answer) => {
    assert(answer !== undefined, 'every CID was asked about');
    return answer;
  });
}

async function lookUpOne(deps: ReconcileDeps, scope: Scope, cid: Cid): Promise<ByCidAnswer> {
  try {
    return { kind: 'answered', answer: await deps.dict.getEntryByCid({ participant: scope.participant, cid: cidToHex(cid) }) };
  } catch (cause) {
    if (!(cause instanceof DictError)) throw cause;
    const status = cause.status === 0 ? '' : ` (${cause.status})`;
    const askedSec = cause.retryAfterSec ?? 0;
    const asked = askedSec > RETRY_AFTER_MAX_SEC ? ` and asks to be left alone for ${askedSec} s` : '';
    return {
      kind: 'failed',
      reason: `DICT answered ${cause.kind}${status}${asked}`,
      again: cause.remedy === 'retry' && askedSec <= RETRY_AFTER_MAX_SEC,
      waitMs: askedSec * 1_000,
    };
  }
}
