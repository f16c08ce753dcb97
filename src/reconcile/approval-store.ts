/** The rows of reconciliation_approvals: what was put before a person, and the decision. One function per statement. */

import type { Sql, Transaction } from '../platform/postgres/database.ts';

export interface Approval {
  readonly id: string;
  readonly runId: string;
  readonly participant: string;
  /** How many divergences the decision covers. */
  readonly divergences: number;
  /** SHA-256 over the list shown. */
  readonly digest: Buffer;
  readonly requestedBy: string;
  readonly requestedAt: Date;
  readonly expiresAt: Date;
  readonly decision: 'approved' | 'rejected' | 'expired' | null;
  readonly decidedBy: string | null;
  readonly reason: string | null;
}

const columns = `id, reconciliation_id AS "runId", participant, divergences, digest, requested_by AS "requestedBy",
  requested_at AS "requestedAt", expires_at AS "expiresAt", decision, decided_by AS "decidedBy", reason`;

/** Puts a list before a person. */
export async function insertApproval(
  tx: Transaction,
  approval: Omit<Approval, 'decision' | 'decidedBy' | 'reason'>,
): Promise<void> {
  await tx.query(
    `INSERT INTO reconciliation_approvals (id, reconciliation_id, participant, divergences, digest, requested_by, requested_at,
       expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [
      approval.id,
      approval.runId,
      approval.participant,
      approval.divergences,
      approval.digest,
      approval.requestedBy,
      approval.requestedAt,
      approval.expiresAt,
    ],
  );
}

/** The run's newest approval; null where none was asked for. */
export async function latestApproval(sql: Sql, runId: string): Promise<Approval | null> {
  const { rows } = await sql.query<Approval>(
    `SELECT ${columns} FROM reconciliation_approvals WHERE reconciliation_id = $1 ORDER BY requested_at DESC, id LIMIT 1`,
    [runId],
  );
  return rows[0] ?? null;
}

/** The run's undecided approval, locked until the transaction ends; null where none is. */
export async function lockUndecided(tx: Transaction, runId: string): Promise<Approval | null> {
  const { rows } = await tx.query<Approval>(
    `SELECT ${columns} FROM reconciliation_approvals WHERE reconciliation_id = $1 AND decision IS NULL FOR UPDATE`,
    [runId],
  );
  return rows[0] ?? null;
}

/** Undecided approvals of a run, or (null) of all, oldest first. */
export async function readUndecided(sql: Sql, runId: string | null): Promise<Approval[]> {
  const { rows } = await sql.query<Approval>(
    `SELECT ${columns} FROM reconciliation_approvals
     WHERE decision IS NULL AND ($1::uuid IS NULL OR reconciliation_id = $1) ORDER BY requested_at LIMIT 1000`,
    [runId],
  );
  return rows;
}

/** Writes a person's decision. */
export async function writeDecision(
  tx: Transaction,
  id: string,
  decision: {
    readonly decision: 'approved' | 'rejected';
    readonly decidedBy: string;
    readonly authenticated: boolean;
    readonly reason: string;
  },
  now: Date,
): Promise<void> {
  await tx.query(
    `UPDATE reconciliation_approvals SET decision = $2, decided_by = $3, authenticated = $4, reason = $5, decided_at = $6
     WHERE id = $1 AND decision IS NULL`,
    [id, decision.decision, decision.decidedBy, decision.authenticated, decision.reason, now],
  );
}

/** Closes an approval that nobody has given. */
export async function expireApproval(tx: Transaction, runId: string, now: Date): Promise<void> {
  await tx.query(
    `UPDATE reconciliation_approvals SET decision = 'expired', decided_at = $2 WHERE reconciliation_id = $1 AND decision IS NULL`,
    [runId, now],
  );
}
