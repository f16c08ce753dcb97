/**
 * Questions put to DICT and when it last answered, one function per statement. The runs they belong to are run-store.ts; what an
 * answer means is decided elsewhere.
 */

import type { Sql } from '../platform/postgres/database.ts';
import { asVSync, type VSync } from '../vsync/vsync.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import type { VerificationOutcome } from './outcome.ts';

/** A question put to DICT. */
export interface Question {
  readonly id: string;
  readonly runId: string;
  readonly attempt: number;
  readonly seq: number;
  readonly vsync: VSync;
  readonly keys: number;
  readonly requestedAt: Date;
  /** Null until it is answered. */
  readonly answer: { readonly answeredAt: Date; readonly responseTime: Date; readonly result: 'OK' | 'NOK' } | null;
}

/** Stores a question before it is sent; its attempt is the run's next. */
export async function insertQuestion(sql: Sql, scope: Scope, question: Omit<Question, 'attempt' | 'answer'>): Promise<void> {
  await sql.query(
    `INSERT INTO dict_sync_verifications (id, run_id, attempt, participant, key_type, seq, vsync, keys, requested_at)
     SELECT $1, $2, 1 + coalesce(max(v.attempt), 0), $3, $4, $5, $6, $7, $8
     FROM dict_sync_verifications v WHERE v.run_id = $2`,
    [
      question.id,
      question.runId,
      scope.participant,
      scope.keyType,
      question.seq,
      Buffer.from(question.vsync),
      question.keys,
      question.requestedAt,
    ],
  );
}

/** Stores DICT's answer to a question. */
export async function writeAnswer(
  sql: Sql,
  id: string,
  answer: { readonly answeredAt: Date; readonly responseTime: Date; readonly dictId: string; readonly result: 'OK' | 'NOK' },
): Promise<void> {
  await sql.query(
    `UPDATE dict_sync_verifications SET answered_at = $2, response_time = $3, dict_id = $4, result = $5 WHERE id = $1`,
    [id, answer.answeredAt, answer.responseTime, answer.dictId, answer.result],
  );
}

/** Stores that a question brought no answer, and under which name it failed. */
export async function writeFailure(sql: Sql, id: string, error: string, now: Date): Promise<void> {
  await sql.query(`UPDATE dict_sync_verifications SET answered_at = $2, error = $3 WHERE id = $1`, [id, now, error]);
}

/** The run's last answered question; null where DICT has answered none. */
export async function lastAnswered(sql: Sql, runId: string): Promise<Question | null> {
  const { rows } = await sql.query<{
    id: string;
    attempt: number;
    seq: number;
    vsync: Buffer;
    keys: number;
    requested_at: Date;
    answered_at: Date;
    response_time: Date;
    result: 'OK' | 'NOK';
  }>(
    `SELECT id, attempt, seq, vsync, keys, requested_at, answered_at, response_time, result
     FROM dict_sync_verifications WHERE run_id = $1 AND result IS NOT NULL ORDER BY attempt DESC LIMIT 1`,
    [runId],
  );
  const row = rows[0];
  if (row === undefined) return null;
  return {
    id: row.id,
    runId,
    attempt: row.attempt,
    seq: row.seq,
    vsync: asVSync(row.vsync),
    keys: row.keys,
    requestedAt: row.requested_at,
    answer: { answeredAt: row.answered_at, responseTime: row.response_time, result: row.result },
  };
}

/** Copies a run's outcome to its last question. */
export async function closeQuestion(
  sql: Sql,
  runId: string,
  outcome: VerificationOutcome,
  evidence: Readonly<Record<string, unknown>>,
  now: Date,
): Promise<void> {
  await sql.query(
    `UPDATE dict_sync_verifications SET outcome = $2, proof = $3, reason = $4, evidence = $5, concluded_at = $6
     WHERE run_id = $1 AND attempt = (SELECT max(v.attempt) FROM dict_sync_verifications v WHERE v.run_id = $1)`,
    [
      runId,
      outcome.kind,
      outcome.kind === 'in-sync' ? outcome.proof : null,
      'reason' in outcome ? outcome.reason : null,
      JSON.stringify(evidence),
      now,
    ],
  );
}

/** When one participant and key type was last verified; null where never. Ages against the 36-hour rule follow from these. */
export interface VerificationAges {
  readonly lastSentAt: Date | null;
  /** DICT itself said OK. */
  readonly lastOkAt: Date | null;
  /** Proven by OK or by the log. */
  readonly lastInSyncAt: Date | null;
  readonly lastOutcome: VerificationOutcome | null;
}

/** When this participant and key type was last asked about, and last proven. */
export async function verificationAges(sql: Sql, scope: Scope): Promise<VerificationAges> {
  const { rows } = await sql.query<{
    sent: Date | null;
    ok: Date | null;
    in_sync: Date | null;
    result: VerificationOutcome | null;
  }>(
    `SELECT
       (SELECT max(requested_at) FROM dict_sync_verifications WHERE participant = $1 AND key_type = $2) AS sent,
       (SELECT max(answered_at) FROM dict_sync_verifications WHERE participant = $1 AND key_type = $2 AND result = 'OK') AS ok,
       (SELECT max(concluded_at) FROM dict_verification_runs
        WHERE participant = $1 AND key_type = $2 AND outcome = 'in-sync') AS in_sync,
       (SELECT result FROM dict_verification_runs WHERE participant = $1 AND key_type = $2 AND state = 'concluded'
        ORDER BY started_at DESC LIMIT 1) AS result`,
    [scope.participant, scope.keyType],
  );
  const row = rows[0];
  return {
    lastSentAt: row?.sent ?? null,
    lastOkAt: row?.ok ?? null,
    lastInSyncAt: row?.in_sync ?? null,
    lastOutcome: row?.result ?? null,
  };
}
