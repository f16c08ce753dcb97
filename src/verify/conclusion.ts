/** Closes a run: its outcome, what it located, and the ledger rows that tell of it, in one transaction. */

import { appendAudit, systemActor } from '../ledger/audit.ts';
import { appendOutbox } from '../ledger/outbox.ts';
import type { Transaction } from '../platform/postgres/database.ts';
import { type FoundBy, forgetWatched, type LookPosition, saveDifferences } from './difference-store.ts';
import type { Difference } from './explanation.ts';
import type { VerificationOutcome } from './outcome.ts';
import { type Run, writeOutcome } from './run-store.ts';
import { closeQuestion } from './verification-store.ts';

export interface Conclusion {
  readonly outcome: VerificationOutcome;
  readonly located: readonly (Difference & { readonly foundBy: FoundBy })[];
  /** Where the last look was; null where the log was not read. */
  readonly position: LookPosition | null;
  /** Facts for whoever asks why: counts and times only. */
  readonly evidence: Readonly<Record<string, unknown>>;
}

/** False: the run was closed before, and that outcome stands. */
export async function conclude(tx: Transaction, run: Run, conclusion: Conclusion, now: Date): Promise<boolean> {
  const { outcome, located, position, evidence } = conclusion;
  if (!(await writeOutcome(tx, run.runId, outcome, now))) return false;
  await closeQuestion(tx, run.runId, outcome, evidence, now);
  if (position !== null) await saveDifferences(tx, run, 'located', located, position);
  await forgetWatched(tx, run.runId);
  const told = {
    run_id: run.runId,
    key_type: run.scope.keyType,
    trigger: run.trigger,
    outcome: outcome.kind,
    proof: outcome.kind === 'in-sync' ? outcome.proof : null,
    seq: outcome.kind === 'in-sync' ? outcome.seq : null,
    reason: 'reason' in outcome ? outcome.reason : null,
    located: outcome.kind === 'diverged' ? outcome.located : null,
  };
  await appendOutbox(tx, [message(run, 'br.dict.vsync.SyncVerificationConcluded', told, now)]);
  await appendAudit(tx, [
    {
      participant: run.scope.participant,
      keyType: run.scope.keyType,
      occurredAt: now,
      actor: systemActor,
      kind: 'verification',
      action: 'VSYNC_VERIFICATION',
      outcome: outcome.kind === 'in-sync' ? 'success' : 'failure',
      details: { ...told, ...evidence },
      correlationId: run.runId,
    },
  ]);
  return true;
}

/** A message about the run, in order with the others of its participant and key type. */
export function message(run: Run, type: string, payload: Readonly<Record<string, unknown>>, now: Date) {
  const { participant, keyType } = run.scope;
  return { type, participant, partitionKey: `${participant}/${keyType}`, payload, occurredAt: now, correlationId: run.runId };
}
