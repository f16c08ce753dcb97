/**
 * How a run ends, and what remains of it: whatever was not settled stays open for the next run (rule R20), the ledger tells,
 * and the downloaded file goes.
 */

import { appendAudit, systemActor } from '../ledger/audit.ts';
import { appendOutbox } from '../ledger/outbox.ts';
import { expireApproval } from './approval-store.ts';
import type { StepInput } from './claiming.ts';
import { tallyRun } from './divergence-counts.ts';
import { leaveOpen } from './divergence-store.ts';
import type { EndState, Next, ReconcileDeps } from './reconciliation.ts';
import { endRun, fenceRun } from './run-store.ts';
import { removeFiles } from './stored-file.ts';

export interface Ending {
  readonly state: EndState;
  /** Null where nothing is wrong. */
  readonly reason: string | null;
  /** Ids, hashes and times for whoever looks into it; no personal data. */
  readonly evidence?: Readonly<Record<string, unknown>>;
}

/** Ends the run. Throws `RunTaken` where it is no longer this process's. */
export async function finish(deps: ReconcileDeps, input: StepInput, ending: Ending): Promise<Next> {
  const { database, clock, log } = deps;
  const { state, reason } = ending;
  await database.transaction(async (tx) => {
    const now = clock.now();
    const run = await fenceRun(tx, input.runId, input.token);
    await leaveOpen(tx, run.id, reason ?? 'the run ended before it was judged', now);
    await expireApproval(tx, run.id, now);
    await endRun(tx, run.id, { state, reason, evidence: ending.evidence ?? null }, now);
    const { byState } = await tallyRun(tx, run.id);
    const told = { run_id: run.id, key_type: run.keyType, state, reason, rung: run.rung, divergences: byState };
    const common = { participant: run.participant, occurredAt: now, correlationId: run.id };
    const messages = [
      { ...common, type: 'br.dict.vsync.ReconciliationEnded', partitionKey: run.participant, payload: told },
      ...(state === 'failed' ? [{ severity: 'critical', alert: 'reconciliation-failed' }] : []).map((alert) => ({
        ...common,
        type: 'br.dict.vsync.AlertRaised',
        partitionKey: run.participant,
        payload: { ...alert, ...told, evidence: ending.evidence ?? null },
      })),
    ];
    await appendOutbox(tx, messages);
    await appendAudit(tx, [
      {
        ...common,
        keyType: run.keyType,
        actor: systemActor,
        kind: 'reconciliation',
        action: 'RECONCILIATION_ENDED',
        outcome: state === 'completed' || state === 'superseded' ? 'success' : 'failure',
        details: { ...told, ...(ending.evidence === undefined ? {} : { evidence: ending.evidence }) },
      },
    ]);
  });
  await removeFiles(deps, input.runId);
  log.info({ runId: input.runId, state, reason }, 'reconciliation ended');
  return { kind: 'ended', state, reason };
}
