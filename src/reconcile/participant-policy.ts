/** What one participant has settled about its reconciliations, over the configured defaults. */

import type { CidAlgorithm } from '../cid/cid.ts';
import type { Participant } from '../dict/participant.ts';
import { type OrphanPolicy, readParticipant } from '../ingest/participant-store.ts';
import type { Sql } from '../platform/postgres/database.ts';
import type { ReconcileSettings } from './reconciliation.ts';

export interface ParticipantPolicy {
  readonly algorithm: CidAlgorithm;
  readonly orphanPolicy: OrphanPolicy;
  readonly approvalThreshold: number;
  readonly criticalThreshold: number;
}

/** The participant's policy; null where the base does not know the participant. */
export async function readPolicy(
  sql: Sql,
  participant: Participant,
  settings: Pick<ReconcileSettings, 'approvalThreshold' | 'criticalThreshold'>,
): Promise<ParticipantPolicy | null> {
  const rules = await readParticipant(sql, participant);
  if (rules === null) return null;
  return {
    algorithm: rules.cidAlgorithm,
    orphanPolicy: rules.orphanPolicy,
    approvalThreshold: rules.approvalThreshold ?? settings.approvalThreshold,
    criticalThreshold: rules.criticalThreshold ?? settings.criticalThreshold,
  };
}
