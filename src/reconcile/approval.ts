/**
 * When a person has to agree, and to what (rules R7 and R8). An approval covers a list by its digest: what is settled afterwards is
 * not covered, what turns out stale when it is applied is dropped. Whoever asked for the run cannot approve it.
 */

import { type Actor, appendAudit, systemActor } from '../ledger/audit.ts';
import { appendOutbox } from '../ledger/outbox.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database, Transaction } from '../platform/postgres/database.ts';
import { readVSync } from '../vsync/vsync-store.ts';
import { insertApproval, latestApproval, lockUndecided, writeDecision } from './approval-store.ts';
import { FileRefused } from './cid-set-file.ts';
import { inState, type OpenRun, type StepInput } from './claiming.ts';
import { coverSettled, digestCovered } from './covered-divergences.ts';
import { countOrphansByFile, countSettled, tallyRun } from './divergence-counts.ts';
import { finish } from './ending.ts';
import { refuseFile } from './file-download.ts';
import { refuseOrphans } from './file-plausibility.ts';
import { readPolicy } from './participant-policy.ts';
import { go, type Next, type ReconcileDeps, stepOf } from './reconciliation.ts';
import { fenceRun, readRun, releaseLease, updateRun } from './run-store.ts';

/** State `awaiting approval`: lets small repairs pass, asks for a person's decision on large ones, and acts on it. */
export async function awaitApproval(deps: ReconcileDeps, input: StepInput): Promise<Next> {
  return inState(deps, input, ['awaiting approval'], async (run) => {
    const approval = await latestApproval(deps.database, run.id);
    // While a person thinks nothing of the run changes: it is looked at often, and counted only once.
    if (approval !== null && approval.decision === null) return pending(deps, input, run, approval.expiresAt);
    try {
      const { keys } = await readVSync(deps.database, run);
      refuseOrphans(deps, await countOrphansByFile(deps.database, run.id), keys);
    } catch (cause) {
      if (cause instanceof FileRefused) return refuseFile(deps, input, run, cause);
      throw cause;
    }
    if (approval?.decision === 'rejected') {
      return finish(deps, input, { state: 'cancelled', reason: `rejected by ${approval.decidedBy}: ${approval.reason}` });
    }
    const policy = await readPolicy(deps.database, run.participant, deps.settings);
    const settled = await countSettled(deps.database, run, deps.clock.now());
    const tally = await tallyRun(deps.database, run.id);
    if (settled <= (policy?.approvalThreshold ?? 0) || tally.settledWithoutApproval === 0) {
      await deps.database.transaction(async (tx) => {
        await fenceRun(tx, run.id, input.token);
        await updateRun(tx, run.id, { state: 'applying' }, deps.clock.now());
      });
      return go('applying', run.rung);
    }
    const expiresAt = await ask(deps, input, { settled, critical: settled > (policy?.criticalThreshold ?? 0) });
    return pending(deps, input, run, expiresAt);
  });
}

/** Nobody works on a run that waits for a person: whichever process is there when it is decided takes it over at once. */
async function pending(deps: ReconcileDeps, input: StepInput, run: OpenRun, expiresAt: Date): Promise<Next> {
  const leftMs = expiresAt.getTime() - deps.clock.now().getTime();
  if (leftMs <= 0) return finish(deps, input, { state: 'cancelled', reason: 'the approval expired before anybody gave it' });
  await releaseLease(deps.database, run.id, input.token);
  return { kind: 'wait', step: stepOf(run.state, run.rung), waitMs: leftMs };
}

async function ask(
  deps: ReconcileDeps,
  input: StepInput,
  counted: { readonly settled: number; readonly critical: boolean },
): Promise<Date> {
  const { database, clock, settings } = deps;
  return database.transaction(async (tx) => {
    const now = clock.now();
    const run = await fenceRun(tx, input.runId, input.token);
    const id = deps.newId();
    const expiresAt = new Date(now.getTime() + settings.approvalExpiresMs);
    const { divergences, digest } = await digestCovered(tx, run.id, null);
    await insertApproval(tx, {
      id,
      runId: run.id,
      participant: run.participant,
      divergences,
      digest,
      requestedBy: run.requestedBy,
      requestedAt: now,
      expiresAt,
    });
    await coverSettled(tx, run.id, id, now);
    const told = {
      run_id: run.id,
      approval_id: id,
      key_type: run.keyType,
      divergences,
      settled: counted.settled,
      digest: digest.toString('hex'),
      expires_at: expiresAt.toISOString(),
    };
    const common = { participant: run.participant, partitionKey: run.participant, occurredAt: now, correlationId: run.id };
    await appendOutbox(tx, [
      {
        ...common,
        type: 'br.dict.vsync.AlertRaised',
        payload: counted.critical
          ? { severity: 'critical', alert: 'divergences-critical', ...told }
          : { severity: 'warning', alert: 'approval-needed', ...told },
      },
    ]);
    await appendAudit(tx, [
      {
        participant: run.participant,
        keyType: run.keyType,
        occurredAt: now,
        actor: systemActor,
        kind: 'approval',
        action: 'APPROVAL_REQUESTED',
        outcome: 'success',
        details: told,
        correlationId: run.id,
      },
    ]);
    return expiresAt;
  });
}

export type DecisionResult =
  | { readonly kind: 'decided'; readonly divergences: number }
  /** Nothing was changed; the reason says what would be right. */
  | { readonly kind: 'refused'; readonly reason: string };

export interface Decision {
  readonly runId: string;
  readonly decision: 'approved' | 'rejected';
  readonly actor: Actor;
  readonly reason: string;
  /** The digest that the person saw, or its beginning; null: whatever is asked for now. */
  readonly digest: string | null;
}

/** Writes a person's decision about what a run has put before them. The run's process acts on it. */
export async function decideApproval(
  deps: { readonly database: Database; readonly clock: Clock },
  given: Decision,
): Promise<DecisionResult> {
  return deps.database.transaction(async (tx): Promise<DecisionResult> => {
    const now = deps.clock.now();
    const run = await readRun(tx, given.runId);
    if (run === null) return { kind: 'refused', reason: `run ${given.runId} does not exist` };
    const approval = await lockUndecided(tx, given.runId);
    if (approval === null || run.endedAt !== null) {
      return { kind: 'refused', reason: `run ${given.runId} is ${run.state}: there is nothing to decide` };
    }
    if (approval.expiresAt <= now) {
      return { kind: 'refused', reason: `the approval expired at ${approval.expiresAt.toISOString()}` };
    }
    if (given.decision === 'approved' && given.actor.name === approval.requestedBy) {
      return { kind: 'refused', reason: `${given.actor.name} asked for this run: another operator has to approve it` };
    }
    const digest = approval.digest.toString('hex');
    if (given.digest !== null && !digest.startsWith(given.digest.toLowerCase())) {
      return { kind: 'refused', reason: `the list is another one by now: its digest begins with ${digest.slice(0, 16)}` };
    }
    if (!(await digestCovered(tx, run.id, approval.id)).digest.equals(approval.digest)) {
      return { kind: 'refused', reason: 'the list has changed since it was put before you: ask again in a moment' };
    }
    await writeDecision(
      tx,
      approval.id,
      { decision: given.decision, decidedBy: given.actor.name, authenticated: given.actor.authenticated, reason: given.reason },
      now,
    );
    await auditDecision(tx, { ...given, participant: run.participant, keyType: run.keyType, digest }, approval.divergences, now);
    return { kind: 'decided', divergences: approval.divergences };
  });
}

async function auditDecision(
  tx: Transaction,
  given: Decision & { readonly participant: string; readonly keyType: string },
  divergences: number,
  now: Date,
): Promise<void> {
  await appendAudit(tx, [
    {
      participant: given.participant,
      keyType: given.keyType,
      occurredAt: now,
      actor: given.actor,
      kind: 'approval',
      action: given.decision === 'approved' ? 'APPROVAL_GIVEN' : 'APPROVAL_REFUSED',
      outcome: 'success',
      details: { run_id: given.runId, divergences, digest: given.digest, reason: given.reason },
      correlationId: given.runId,
    },
  ]);
}
