/**
 * Opening a reconciliation (rule R6): one open run per participant and key type, whoever asks. Its work begins when a flow
 * takes it over (claiming.ts).
 */

import type { KeyType } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';
import { type Actor, appendAudit } from '../ledger/audit.ts';
import { assert } from '../platform/assert.ts';
import { lastAnswered } from '../verify/verification-store.ts';
import type { SyncType } from './listing.ts';
import { readPolicy } from './participant-policy.ts';
import type { ReconcileDeps, Rung } from './reconciliation.ts';
import { insertRun, lastRepairSeq, readOpenRun } from './run-store.ts';

export interface OpeningRequest {
  readonly participant: Participant;
  readonly keyType: KeyType;
  /** Who asked; that person cannot approve what the run finds. */
  readonly requestedBy: Actor;
  /** The verification that said NOK; null where a person begins at a later rung without one. */
  readonly verificationRunId: string | null;
  /** Where to begin. Default: the log. */
  readonly fromRung?: Rung;
  /** Whose hints it judges; it then begins at the rung `listing`. */
  readonly listing?: { readonly id: string; readonly syncType: SyncType };
}

export type Opening =
  | { readonly kind: 'opened'; readonly runId: string }
  /** One is open already: the request attaches to it. */
  | { readonly kind: 'attached'; readonly runId: string }
  /** The NOK was about a state from before the last repair. */
  | { readonly kind: 'superseded'; readonly reason: string }
  /** DICT is never compared with this participant's base (rule R18), or the base does not know it. */
  | { readonly kind: 'refused'; readonly reason: string };

/** Opens a run, or says which one the request belongs to. */
export async function openReconciliation(
  deps: Pick<ReconcileDeps, 'database' | 'clock' | 'settings' | 'newId'>,
  request: OpeningRequest,
): Promise<Opening> {
  const { database, clock, settings } = deps;
  const { participant, keyType, requestedBy } = request;
  const policy = await readPolicy(database, participant, settings);
  if (policy === null) return { kind: 'refused', reason: `participant ${participant} has no keys here` };
  if (policy.algorithm !== 'dict') {
    return { kind: 'refused', reason: `participant ${participant} keeps CIDs of ${policy.algorithm}, which DICT does not know` };
  }
  const question = request.verificationRunId === null ? null : await lastAnswered(database, request.verificationRunId);
  const id = deps.newId();
  const rung = request.listing === undefined ? (request.fromRung ?? 'log') : 'listing';
  return database.transaction(async (tx): Promise<Opening> => {
    const open = await readOpenRun(tx, participant, keyType);
    if (open !== null) return { kind: 'attached', runId: open.id };
    const repaired = await lastRepairSeq(tx, participant, keyType);
    if (question !== null && repaired !== null && question.seq < repaired) {
      return { kind: 'superseded', reason: `the NOK was about seq ${question.seq}, repaired since at seq ${repaired}` };
    }
    const now = clock.now();
    const inserted = await insertRun(tx, {
      id,
      participant,
      keyType,
      rung,
      trigger: triggerOf(request),
      requestedBy: requestedBy.name,
      authenticated: requestedBy.authenticated,
      verificationRunId: request.verificationRunId,
      verificationSeq: question?.seq ?? null,
      listing: request.listing ?? null,
      now,
    });
    if (!inserted) {
      // Somebody else was faster; the unique index has waited for them to commit.
      const theirs = await readOpenRun(tx, participant, keyType);
      assert(theirs !== null, 'the run that kept ours out is open');
      return { kind: 'attached', runId: theirs.id };
    }
    await appendAudit(tx, [
      {
        participant,
        keyType,
        occurredAt: now,
        actor: requestedBy,
        kind: 'reconciliation',
        action: 'RECONCILIATION_OPENED',
        outcome: 'success',
        details: { rung, verification_run_id: request.verificationRunId, listing_id: request.listing?.id ?? null },
        correlationId: id,
      },
    ]);
    return { kind: 'opened', runId: id };
  });
}

function triggerOf({ listing, verificationRunId }: OpeningRequest): 'listing' | 'operator' | 'verification' {
  if (listing !== undefined) return 'listing';
  return verificationRunId === null ? 'operator' : 'verification';
}
