/**
 * State `comparing` at the scan rung: every CID recomputed from its row. A row altered behind the system's back is repaired from
 * DICT by the CID that counts for it; entries and CIDs that disagree among themselves are the base's own fault, for `rebuild`.
 */

import type { KeyFault } from '../ingest/entry-integrity.ts';
import { scanScope } from '../ingest/scan.ts';
import { readKeyFindings, type StoredFinding } from '../ingest/scan-store.ts';
import type { Transaction } from '../platform/postgres/database.ts';
import { inState, type StepInput } from './claiming.ts';
import { tallyRun } from './divergence-counts.ts';
import { type DivergenceKind, insertDifferences, insertOpen } from './divergence-store.ts';
import { go, type Next, type ReconcileDeps } from './reconciliation.ts';
import { fenceRun, type Run, updateRun } from './run-store.ts';

const pageRows = 1_000;

/** State `comparing`, rung `scan`. */
export async function scanEntries(deps: ReconcileDeps, input: StepInput): Promise<Next> {
  return inState(deps, input, ['comparing'], async (before) => {
    const scanId = before.scanId ?? deps.newId();
    await deps.database.transaction(async (tx) => {
      await fenceRun(tx, before.id, input.token);
      await updateRun(tx, before.id, { scanId }, deps.clock.now());
    });
    await scanScope({ database: deps.database, clock: deps.clock }, before, scanId);
    const state = await deps.database.transaction(async (tx) => {
      const now = deps.clock.now();
      const run = await fenceRun(tx, input.runId, input.token);
      await takeFindings(tx, run, scanId, now);
      const { byState } = await tallyRun(tx, run.id);
      const next = (byState.found ?? 0) + (byState.deferred ?? 0) > 0 ? 'judging' : 'confirming';
      await updateRun(tx, run.id, { state: next, rounds: run.rounds + 1 }, now);
      return next;
    });
    return go(state, 'scan');
  });
}

async function takeFindings(tx: Transaction, run: Run, scanId: string, now: Date): Promise<void> {
  let after = 0;
  // Ends with the first page that is not full.
  for (;;) {
    const page = await readKeyFindings(tx, scanId, run, { after, limit: pageRows });
    const restorable = page.flatMap(({ kind, storedCid }) => (isRestorable(kind) && storedCid !== null ? [storedCid] : []));
    await insertDifferences(
      tx,
      run,
      restorable.map((cid) => ({ side: 'row', cid, foundBy: 'scan', since: null, dueAt: null })),
      now,
    );
    await insertOpen(tx, run, page.filter(({ kind }) => !isRestorable(kind)).flatMap(faultOf), now);
    after = page.at(-1)?.id ?? after;
    if (page.length < pageRows) return;
  }
}

/** A row that was altered, or is not there although its CID counts. */
function isRestorable(kind: KeyFault): boolean {
  return kind === 'altered' || kind === 'surplus';
}

function faultOf({ kind, key, storedCid, computedCid }: StoredFinding): Parameters<typeof insertOpen>[2][number][] {
  const cid = storedCid ?? computedCid;
  const named: DivergenceKind | null = kind === 'duplicated' ? 'duplicated' : null;
  return cid === null
    ? []
    : [{ cid, key, kind: named, reason: `entries and CIDs disagree (${kind}): run \`dict-vsync rebuild\`` }];
}
