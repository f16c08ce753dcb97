/** Where every participant and key type stands right now: one row each, from what all stages have stored. */

import type { Sql } from '../platform/postgres/database.ts';

export interface SyncStatus {
  readonly participant: string;
  readonly keyType: string;
  /** 64 lower-case hex digits. */
  readonly vsync: string;
  readonly keys: number;
  readonly seq: number;
  /** When DICT was last asked; null: never. The Central Bank allows 36 hours. */
  readonly lastVerificationAt: Date | null;
  /** When DICT last said OK. */
  readonly lastOkAt: Date | null;
  readonly lastOutcome: string | null;
  /** When the base was last proven in sync, by DICT's OK or by its log. */
  readonly lastProofAt: Date | null;
  readonly pendingAtCore: number;
  readonly oldestPendingAtCore: Date | null;
  readonly openReconciliation: { readonly id: string; readonly state: string } | null;
  readonly openReviews: number;
  readonly unresolvedKeys: number;
}

interface StatusRow {
  participant: string;
  key_type: string;
  vsync: Buffer;
  keys: number;
  seq: number;
  last_verification_at: Date | null;
  last_ok_at: Date | null;
  last_outcome: string | null;
  last_proof_at: Date | null;
  pending_at_core: number;
  oldest_pending_at_core: Date | null;
  reconciliation_id: string | null;
  reconciliation_state: string | null;
  open_reviews: number;
  unresolved_keys: number;
}

/** Reads the status of one participant or of all, in order. Each part is an index look-up per row, whatever the base's size. */
export async function readSyncStatus(sql: Sql, participant: string | null): Promise<SyncStatus[]> {
  const { rows } = await sql.query<StatusRow>(
    `SELECT v.participant, v.key_type, v.vsync, v.keys, v.seq,
       (SELECT max(q.requested_at) FROM dict_sync_verifications q
         WHERE q.participant = v.participant AND q.key_type = v.key_type) AS last_verification_at,
       (SELECT max(q.answered_at) FROM dict_sync_verifications q
         WHERE q.participant = v.participant AND q.key_type = v.key_type AND q.result = 'OK') AS last_ok_at,
       (SELECT r.outcome FROM dict_verification_runs r
         WHERE r.participant = v.participant AND r.key_type = v.key_type AND r.outcome IS NOT NULL
         ORDER BY r.started_at DESC LIMIT 1) AS last_outcome,
       (SELECT max(r.concluded_at) FROM dict_verification_runs r
         WHERE r.participant = v.participant AND r.key_type = v.key_type AND r.outcome = 'in-sync') AS last_proof_at,
       core.pending AS pending_at_core, core.oldest AS oldest_pending_at_core,
       open_run.id AS reconciliation_id, open_run.state AS reconciliation_state,
       (SELECT count(*) FROM manual_review_queue m
         WHERE m.participant = v.participant AND m.key_type = v.key_type AND m.status IN ('PENDING', 'INVESTIGATING'))
         AS open_reviews,
       (SELECT count(*) FROM dict_entries e
         WHERE e.participant = v.participant AND e.key_type = v.key_type AND e.status = 'UNRESOLVED') AS unresolved_keys
     FROM dict_vsyncs v
     CROSS JOIN LATERAL (
       SELECT count(*) AS pending, min(p.told_at) AS oldest FROM core_corrections p
       WHERE p.participant = v.participant AND p.key_type = v.key_type AND p.settled_at IS NULL
     ) AS core
     LEFT JOIN dict_reconciliations open_run
       ON open_run.participant = v.participant AND open_run.key_type = v.key_type AND open_run.ended_at IS NULL
     WHERE $1::text IS NULL OR v.participant = $1
     ORDER BY v.participant, v.key_type`,
    [participant],
  );
  return rows.map((row) => ({
    participant: row.participant,
    keyType: row.key_type,
    vsync: row.vsync.toString('hex'),
    keys: row.keys,
    seq: row.seq,
    lastVerificationAt: row.last_verification_at,
    lastOkAt: row.last_ok_at,
    lastOutcome: row.last_outcome,
    lastProofAt: row.last_proof_at,
    pendingAtCore: row.pending_at_core,
    oldestPendingAtCore: row.oldest_pending_at_core,
    openReconciliation:
      row.reconciliation_id === null || row.reconciliation_state === null
        ? null
        : { id: row.reconciliation_id, state: row.reconciliation_state },
    openReviews: row.open_reviews,
    unresolvedKeys: row.unresolved_keys,
  }));
}
