/**
 * State `confirming`: a new verification after the repairs, and what follows from it: the end, another round with what it located,
 * or the next rung. Only DICT's OK, or the log's proof, of a seq that contains the last repair completes a run (rules R6 and R10).
 */

import { unreachable } from '../platform/assert.ts';
import type { VerificationOutcome } from '../verify/outcome.ts';
import { readRun as readVerification } from '../verify/run-store.ts';
import { takeLocated } from './beginning.ts';
import { inState, type OpenRun, type StepInput, sleepNext } from './claiming.ts';
import { tallyRun } from './divergence-counts.ts';
import { dropExplained, insertDifferences, knownUnsettled, repairsTouchedSince } from './divergence-store.ts';
import { finish } from './ending.ts';
import { gatherEvidence } from './evidence.ts';
import { holdForIngest } from './ingest-hold.ts';
import { go, type Next, type OpenState, type ReconcileDeps, type Rung } from './reconciliation.ts';
import { fenceRun, type RunChange, updateRun } from './run-store.ts';

const askAgainMs = 60_000;

/** State `confirming`. */
export async function confirmReconciliation(deps: ReconcileDeps, input: StepInput): Promise<Next> {
  return inState(deps, input, ['confirming'], async (run) => {
    const { confirmRunId } = run;
    if (confirmRunId === null) return (await holdForIngest(deps, input, run)) ?? askFor(deps, input, run);
    const outcome = (await readVerification(deps.database, confirmRunId))?.outcome ?? null;
    if (outcome === null) return verifyNext(run, confirmRunId);
    switch (outcome.kind) {
      case 'in-sync':
        if (outcome.seq < (run.lastRepairSeq ?? 0)) return again(deps, input, run, `the proof was of seq ${outcome.seq}`);
        return inSync(deps, input, run);
      case 'diverged':
        return diverged(deps, input, run, confirmRunId);
      case 'inconclusive':
      case 'unavailable':
        return again(deps, input, run, `${outcome.kind}: ${outcome.reason}`);
      case 'dict-inconsistent':
        return climb(deps, input, run, outcome);
      default:
        return unreachable(outcome);
    }
  });
}

/** The id is committed before the verification begins: a run that was interrupted goes on with the same one. */
async function askFor(deps: ReconcileDeps, input: StepInput, run: OpenRun): Promise<Next> {
  const verificationRunId = deps.newId();
  await change(deps, input, { confirmRunId: verificationRunId });
  return verifyNext(run, verificationRunId);
}

function verifyNext({ participant, keyType }: OpenRun, verificationRunId: string): Next {
  return { kind: 'verify', step: 'confirmReconciliation', verificationRunId, participant, keyType };
}

async function inSync(deps: ReconcileDeps, input: StepInput, run: OpenRun): Promise<Next> {
  await deps.database.transaction(async (tx) => {
    await fenceRun(tx, run.id, input.token);
    await dropExplained(tx, run.id, deps.clock.now());
  });
  const { byState } = await tallyRun(deps.database, run.id);
  if ((byState.found ?? 0) + (byState.deferred ?? 0) + (byState.settled ?? 0) > 0) {
    await change(deps, input, { state: 'judging', confirmRunId: null });
    return go('judging', run.rung);
  }
  const open = byState.open ?? 0;
  if (open === 0) return finish(deps, input, { state: 'completed', reason: null });
  return finish(deps, input, { state: 'partial', reason: `DICT and base agree, ${open} faults of the base itself are open` });
}

/** Nothing was proven either way: asked again a few times, then the next rung or, with none left, an end that says so (rule R13). */
async function again(deps: ReconcileDeps, input: StepInput, run: OpenRun, reason: string): Promise<Next> {
  if (run.unconfirmed + 1 < deps.settings.roundsMax) {
    await change(deps, input, { confirmRunId: null, unconfirmed: run.unconfirmed + 1, reason });
    return sleepNext(deps, 'confirming', run.rung, askAgainMs);
  }
  const climbs = run.rung === 'log' || run.rung === 'listing';
  if (climbs && !reason.startsWith('unavailable') && run.listingType !== 'INCREMENTAL') return toRung(deps, input, run, 'file');
  const { byState } = await tallyRun(deps.database, run.id);
  const left = (byState.open ?? 0) + (byState.review ?? 0);
  const repaired = byState.applied ?? 0;
  const ending = `not confirmed (${reason}); ${repaired} repaired, ${left} left`;
  return finish(deps, input, { state: repaired + left > 0 ? 'partial' : 'failed', reason: ending });
}

async function diverged(deps: ReconcileDeps, input: StepInput, run: OpenRun, confirmRunId: string): Promise<Next> {
  const known = await knownUnsettled(deps.database, run.id);
  const taken =
    run.rounds >= deps.settings.roundsMax
      ? 0
      : await deps.database.transaction(async (tx) => {
          const now = deps.clock.now();
          const fenced = await fenceRun(tx, run.id, input.token);
          const located = await takeLocated(tx, fenced, confirmRunId, known, now);
          const touched = located > 0 ? [] : await repairsTouchedSince(tx, run.id, now);
          await insertDifferences(tx, fenced, touched, now);
          const found = located + touched.length;
          if (found > 0) await updateRun(tx, run.id, { state: 'judging', rounds: run.rounds + 1, confirmRunId: null }, now);
          return found;
        });
  if (taken > 0) return go('judging', run.rung);
  const outcome = (await readVerification(deps.database, confirmRunId))?.outcome;
  if (known.size > 0 && outcome?.kind === 'diverged' && outcome.located > 0 && outcome.located <= known.size) {
    const { byState } = await tallyRun(deps.database, run.id);
    const left = (byState.open ?? 0) + (byState.review ?? 0);
    return finish(deps, input, {
      state: 'partial',
      reason: `${left} divergences could not be settled, and DICT knows of no others`,
    });
  }
  return climb(deps, input, run, outcome ?? null);
}

/** The next rung, or the end of the ladder. */
async function climb(deps: ReconcileDeps, input: StepInput, run: OpenRun, outcome: VerificationOutcome | null): Promise<Next> {
  if (run.listingType === 'INCREMENTAL') return leaveToFull(deps, input, run);
  if (run.comparedSeq === null) return toRung(deps, input, run, 'file');
  if (run.scanId === null) return toRung(deps, input, run, 'scan');
  const { byState } = await tallyRun(deps.database, run.id);
  const evidence = await gatherEvidence(deps.database, run, outcome);
  // Rule R15: what DICT lists is what we have, and it still says NOK. There is nothing here that could be repaired.
  if (run.fileDifferences === 0) return finish(deps, input, { state: 'failed', reason: 'dict-inconsistent', evidence });
  const left = (byState.open ?? 0) + (byState.review ?? 0);
  if (left > 0) {
    return finish(deps, input, { state: 'partial', reason: `${left} divergences could not be settled`, evidence });
  }
  return finish(deps, input, {
    state: 'failed',
    reason: 'unresolved: log, file and scan found all they can, DICT still says NOK',
    evidence,
  });
}

/** An incremental listing may lead to repairs, never to orphans: those that a CID set file shows are for a run that looks at every key. */
async function leaveToFull(deps: ReconcileDeps, input: StepInput, run: OpenRun): Promise<Next> {
  const { byState } = await tallyRun(deps.database, run.id);
  const left = (byState.open ?? 0) + (byState.review ?? 0);
  return finish(deps, input, {
    state: 'partial',
    reason: `DICT and base still differ beyond what has changed lately (${left} open): a FULL synchronisation or "reconcile" finds where`,
  });
}

async function toRung(deps: ReconcileDeps, input: StepInput, run: OpenRun, rung: Rung): Promise<Next> {
  const state: OpenState = rung === 'file' ? 'generating' : 'comparing';
  await change(deps, input, { state, rung, rounds: 0, unconfirmed: 0, confirmRunId: null });
  deps.log.info({ runId: run.id, rung }, 'reconciliation climbs');
  return go(state, rung);
}

async function change(deps: ReconcileDeps, input: StepInput, next: RunChange): Promise<void> {
  await deps.database.transaction(async (tx) => {
    await fenceRun(tx, input.runId, input.token);
    await updateRun(tx, input.runId, next, deps.clock.now());
  });
}
