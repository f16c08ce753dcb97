/**
 * How a run ends, and what remains of it: whatever was not settled stays open for the next run (rule R20), the ledger tells,
 * and the downloaded file goes.
 */

import { readdir, rm } from 'node:fs/promises';
import * as path from 'node:path';
import { appendAudit, systemActor } from '../ledger/audit.ts';
import { appendOutbox } from '../ledger/outbox.ts';
import { expireApproval } from './approval-store.ts';
import type { StepInput } from './claiming.ts';
import { tallyRun } from './divergence-counts.ts';
import { leaveOpen } from './divergence-store.ts';
import type { EndState, Next, ReconcileDeps } from './reconciliation.ts';
import { endRun, fenceRun } from './run-store.ts';

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

/** Where the run's CID set file stands on this machine. */
export function filePath(deps: Pick<ReconcileDeps, 'workDirectory'>, runId: string): string {
  return path.join(deps.workDirectory, `${runId}.cids`);
}

/** The run's file, and what processes that were killed while they downloaded it have left: all of them begin with the run's id. */
async function removeFiles({ workDirectory }: Pick<ReconcileDeps, 'workDirectory'>, runId: string): Promise<void> {
  let names: string[];
  try {
    names = await readdir(workDirectory);
  } catch (cause) {
    // No file was ever downloaded on this machine.
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return;
    throw cause;
  }
  for (const name of names) if (name.startsWith(runId)) await rm(path.join(workDirectory, name), { force: true });
}
