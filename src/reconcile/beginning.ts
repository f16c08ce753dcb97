/**
 * State `requested`: what a run starts from. Divergences that the last run left open (rule R20) and those that the verification
 * located, or a listing hinted at, are judged first; with none of either the CID set file is asked for.
 */

import type { Cid } from '../cid/cid.ts';
import type { Sql, Transaction } from '../platform/postgres/database.ts';
import { locatedDifferences } from '../verify/difference-store.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import { inState, type StepInput } from './claiming.ts';
import { carryOpen, insertDifferences, type NewDifference } from './divergence-store.ts';
import { readHints } from './listing-hints.ts';
import { go, type Next, type OpenState, type ReconcileDeps, type Rung } from './reconciliation.ts';
import { closeSettledReviews } from './review-store.ts';
import { fenceRun, type Run, updateRun } from './run-store.ts';

const pageRows = 1_000;

/** State `requested`. */
export async function beginReconciliation(deps: ReconcileDeps, input: StepInput): Promise<Next> {
  return inState(deps, input, ['requested'], async () => {
    const { state, rung } = await deps.database.transaction(async (tx) => {
      const now = deps.clock.now();
      const run = await fenceRun(tx, input.runId, input.token);
      await closeSettledReviews(tx, run.participant, now);
      const carried = await carryOpen(tx, run, deps.settings.differencesMax, now);
      const hinted = run.listingId === null ? 0 : await takeHints(deps, tx, run, run.listingId, now);
      const located = run.verificationRunId === null ? 0 : await takeLocated(tx, run, run.verificationRunId, new Set(), now);
      const start = startOf(run.rung, carried + hinted + located);
      await updateRun(tx, run.id, { ...start, rounds: start.state === 'judging' ? 1 : 0 }, now);
      return start;
    });
    return go(state, rung);
  });
}

function startOf(rung: Rung, differences: number): { state: OpenState; rung: Rung } {
  if (rung === 'scan') return { state: 'comparing', rung };
  if (rung === 'file') return { state: 'generating', rung };
  // With no hint at all the verification has the last word, as it has after the repairs.
  if (rung === 'listing') return { state: differences > 0 ? 'judging' : 'confirming', rung };
  return differences > 0 ? { state: 'judging', rung } : { state: 'generating', rung: 'file' };
}

/** Takes the hints of the run's listing in, up to as many as can be settled one by one; answers how many. */
async function takeHints(deps: ReconcileDeps, tx: Transaction, run: Run, listingId: string, now: Date): Promise<number> {
  let taken = 0;
  let after: NewDifference | null = null;
  while (taken < deps.settings.differencesMax) {
    const page: NewDifference[] = await readHints(tx, listingId, run, { after, limit: pageRows });
    await insertDifferences(tx, run, page, now);
    taken += page.length;
    after = page.at(-1) ?? null;
    if (page.length < pageRows) break;
  }
  return taken;
}

/**
 * Takes the differences that a verification located into a run, but for known ones; answers how many. A run that judges an incremental
 * listing takes only what DICT has: it flags no key as missing there (rule R17).
 */
export async function takeLocated(
  tx: Transaction,
  run: Scope & Pick<Run, 'id' | 'listingType'>,
  verificationRunId: string,
  known: ReadonlySet<string>,
  now: Date,
): Promise<number> {
  let taken = 0;
  for await (const page of locatedPages(tx, verificationRunId)) {
    const wanted = run.listingType === 'INCREMENTAL' ? page.filter(({ side }) => side === 'dict') : page;
    const fresh = wanted.filter(({ cid }) => !known.has(Buffer.from(cid).toString('hex')));
    await insertDifferences(tx, run, fresh, now);
    taken += fresh.length;
  }
  return taken;
}

async function* locatedPages(sql: Sql, verificationRunId: string): AsyncGenerator<NewDifference[], void, undefined> {
  let after: Cid | null = null;
  // Ends with the first page that is not full.
  for (;;) {
    const page: Awaited<ReturnType<typeof locatedDifferences>> = await locatedDifferences(sql, verificationRunId, {
      limit: pageRows,
      after,
    });
    if (page.length > 0) yield page.map(({ cid, side, since, foundBy }) => ({ cid, side, since, foundBy, dueAt: null }));
    after = page.at(-1)?.cid ?? null;
    if (page.length < pageRows) return;
  }
}
