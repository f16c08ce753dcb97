/**
 * The rows of dict_reconciliations: opening, taking over under a lease, and the fencing token that every later write checks
 * (rule R6). What the states mean is not here.
 */

import type { KeyType } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';
import { assert } from '../platform/assert.ts';
import type { Sql, Transaction } from '../platform/postgres/database.ts';
import type { VSync } from '../vsync/vsync.ts';
import type { EndState, OpenState, ReconciliationState, Rung } from './reconciliation.ts';

/** A run as it stands in the database. */
export interface Run {
  readonly id: string;
  readonly participant: Participant;
  readonly keyType: KeyType;
  readonly state: ReconciliationState;
  readonly rung: Rung;
  readonly rounds: number;
  readonly unconfirmed: number;
  readonly verificationRunId: string | null;
  readonly verificationSeq: number | null;
  readonly confirmRunId: string | null;
  readonly requestedBy: string;
  readonly authenticated: boolean;
  readonly token: number;
  readonly leaseUntil: Date | null;
  readonly pausedAt: Date | null;
  readonly fileIntentAt: Date | null;
  readonly fileId: string | null;
  readonly filePolls: number;
  readonly fileFailures: number;
  readonly filesRequested: number;
  readonly filesLost: number;
  readonly fileRequestTime: Date | null;
  readonly fileCreationTime: Date | null;
  readonly fileUrl: string | null;
  readonly fileBytes: number | null;
  readonly fileSha256: Buffer | null;
  /** What the file is encrypted with on this machine's disk; null before it is downloaded and after the run. */
  readonly fileKey: Buffer | null;
  readonly fileLines: number | null;
  readonly fileVsync: VSync | null;
  readonly fileInstant: Date | null;
  readonly fileInstantEvents: number | null;
  readonly fileDifferences: number | null;
  readonly comparedSeq: number | null;
  readonly scanId: string | null;
  readonly lastRepairSeq: number | null;
  readonly heldSince: Date | null;
  readonly reason: string | null;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
}

const columnOf = {
  id: 'id',
  participant: 'participant',
  keyType: 'key_type',
  state: 'state',
  rung: 'rung',
  rounds: 'rounds',
  unconfirmed: 'unconfirmed',
  verificationRunId: 'verification_run_id',
  verificationSeq: 'verification_seq',
  confirmRunId: 'confirm_run_id',
  requestedBy: 'requested_by',
  authenticated: 'authenticated',
  token: 'fencing_token',
  leaseUntil: 'lease_until',
  pausedAt: 'paused_at',
  fileIntentAt: 'file_intent_at',
  fileId: 'file_id',
  filePolls: 'file_polls',
  fileFailures: 'file_failures',
  filesRequested: 'files_requested',
  filesLost: 'files_lost',
  fileRequestTime: 'file_request_time',
  fileCreationTime: 'file_creation_time',
  fileUrl: 'file_url',
  fileBytes: 'file_bytes',
  fileSha256: 'file_sha256',
  fileKey: 'file_key',
  fileLines: 'file_lines',
  fileVsync: 'file_vsync',
  fileInstant: 'file_instant',
  fileInstantEvents: 'file_instant_events',
  fileDifferences: 'file_differences',
  comparedSeq: 'compared_seq',
  scanId: 'scan_id',
  lastRepairSeq: 'last_repair_seq',
  heldSince: 'held_since',
  reason: 'reason',
  startedAt: 'started_at',
  endedAt: 'ended_at',
} as const satisfies Record<keyof Run, string>;

/** The select list: each column under the name that `Run` gives it. The table's checks are what the literal types rest on. */
const columns = Object.entries(columnOf)
  .map(([property, column]) => `${column} AS "${property}"`)
  .join(', ');

/** A run's token is no longer the one this process was given: somebody else has taken the run over, or it has ended. */
export class RunTaken extends Error {
  override readonly name = 'RunTaken';
}

export interface NewRun {
  readonly id: string;
  readonly participant: Participant;
  readonly keyType: KeyType;
  readonly rung: Rung;
  readonly trigger: 'verification' | 'operator';
  readonly requestedBy: string;
  readonly authenticated: boolean;
  readonly verificationRunId: string | null;
  readonly verificationSeq: number | null;
  readonly now: Date;
}

/** Opens a run; false where one is open for that participant and key type already. */
export async function insertRun(tx: Transaction, run: NewRun): Promise<boolean> {
  const { rowCount } = await tx.query(
    `INSERT INTO dict_reconciliations (id, participant, key_type, state, rung, rounds, unconfirmed, verification_run_id,
       verification_seq, trigger, requested_by, authenticated, fencing_token, file_polls, file_failures, files_requested,
       files_lost, by_cid_reads, started_at, updated_at)
     VALUES ($1, $2, $3, 'requested', $4, 0, 0, $5, $6, $7, $8, $9, 0, 0, 0, 0, 0, 0, $10, $10)
     ON CONFLICT (participant, key_type) WHERE ended_at IS NULL DO NOTHING`,
    [
      run.id,
      run.participant,
      run.keyType,
      run.rung,
      run.verificationRunId,
      run.verificationSeq,
      run.trigger,
      run.requestedBy,
      run.authenticated,
      run.now,
    ],
  );
  return rowCount === 1;
}

/** A run by its id; null where there is none. */
export async function readRun(sql: Sql, id: string): Promise<Run | null> {
  const { rows } = await sql.query<Run>(`SELECT ${columns} FROM dict_reconciliations WHERE id = $1`, [id]);
  return rows[0] ?? null;
}

/** The open run of a participant and key type; null where none is. */
export async function readOpenRun(sql: Sql, participant: Participant, keyType: KeyType): Promise<Run | null> {
  const { rows } = await sql.query<Run>(
    `SELECT ${columns} FROM dict_reconciliations WHERE participant = $1 AND key_type = $2 AND ended_at IS NULL`,
    [participant, keyType],
  );
  return rows[0] ?? null;
}

/** The seq of the last repair of a participant and key type, by whichever run; null where there never was one. */
export async function lastRepairSeq(sql: Sql, participant: Participant, keyType: KeyType): Promise<number | null> {
  const { rows } = await sql.query<{ seq: number | null }>(
    'SELECT max(last_repair_seq) AS seq FROM dict_reconciliations WHERE participant = $1 AND key_type = $2',
    [participant, keyType],
  );
  return rows[0]?.seq ?? null;
}

/**
 * Makes `owner` the run's process: its token is raised, so that whatever an earlier owner still does is refused. Null where
 * another owner's lease has not run out, or the run has ended.
 */
export async function takeRun(sql: Sql, id: string, owner: string, now: Date, leaseUntil: Date): Promise<number | null> {
  const { rows } = await sql.query<{ fencing_token: number }>(
    `UPDATE dict_reconciliations
     SET fencing_token = fencing_token + 1, lease_owner = $2, lease_until = $4, updated_at = $3
     WHERE id = $1 AND ended_at IS NULL AND (lease_owner IS NULL OR lease_owner = $2 OR lease_until <= $3)
     RETURNING fencing_token`,
    [id, owner, now, leaseUntil],
  );
  return rows[0]?.fencing_token ?? null;
}

/** Prolongs the lease; throws `RunTaken` where the token is no longer the run's. */
export async function renewLease(sql: Sql, id: string, token: number, leaseUntil: Date): Promise<void> {
  const { rowCount } = await sql.query(
    `UPDATE dict_reconciliations SET lease_until = GREATEST(lease_until, $3)
     WHERE id = $1 AND fencing_token = $2 AND ended_at IS NULL`,
    [id, token, leaseUntil],
  );
  if (rowCount !== 1) throw new RunTaken(`reconciliation ${id} is no longer this process's`);
}

/** Gives the run back, so that the next process need not wait for the lease to run out. */
export async function releaseLease(sql: Sql, id: string, token: number): Promise<void> {
  await sql.query('UPDATE dict_reconciliations SET lease_owner = NULL, lease_until = NULL WHERE id = $1 AND fencing_token = $2', [
    id,
    token,
  ]);
}

/**
 * Locks the run until the transaction ends and proves that it is still this process's. First in every transaction that writes
 * for a run, before VSyncs and entries: always in this order, so that nobody waits in a circle. Throws `RunTaken`.
 */
export async function fenceRun(tx: Transaction, id: string, token: number): Promise<Run> {
  const { rows } = await tx.query<Run>(`SELECT ${columns} FROM dict_reconciliations WHERE id = $1 FOR UPDATE`, [id]);
  const run = rows[0];
  if (run === undefined || run.token !== token || run.endedAt !== null) {
    throw new RunTaken(`reconciliation ${id} is no longer this process's`);
  }
  return run;
}

/** What a step may change of its run; what is absent stays. Ending it is `endRun`. */
export type RunChange = Partial<
  Omit<
    Run,
    | 'id'
    | 'participant'
    | 'keyType'
    | 'state'
    | 'requestedBy'
    | 'authenticated'
    | 'token'
    | 'leaseUntil'
    | 'startedAt'
    | 'endedAt'
  >
> & { readonly state?: OpenState };

/** Writes what a step changed. Only after `fenceRun` in the same transaction. */
export async function updateRun(tx: Transaction, id: string, change: RunChange, now: Date): Promise<void> {
  // Names come from the fixed table above: no text of a caller's gets into the statement.
  const entries = Object.entries(columnOf).flatMap(([property, column]) => {
    // Object.entries widens the names of a literal object to text.
    const value = change[property as keyof RunChange];
    return value === undefined ? [] : [{ column, value }];
  });
  const sets = entries.map(({ column }, index) => `${column} = $${index + 3}`);
  const { rowCount } = await tx.query(
    `UPDATE dict_reconciliations SET ${['updated_at = $2', ...sets].join(', ')} WHERE id = $1`,
    [id, now, ...entries.map(({ value }) => value)],
  );
  assert(rowCount === 1, `reconciliation ${id} vanished while it was locked`);
}

/** Ends a run. Only after `fenceRun` in the same transaction. */
export async function endRun(
  tx: Transaction,
  id: string,
  end: { readonly state: EndState; readonly reason: string | null; readonly evidence?: Readonly<Record<string, unknown>> | null },
  now: Date,
): Promise<void> {
  await tx.query(
    `UPDATE dict_reconciliations
     SET state = $2, reason = $3, evidence = $4, ended_at = $5, updated_at = $5, lease_owner = NULL, lease_until = NULL,
       file_key = NULL
     WHERE id = $1`,
    [id, end.state, end.reason, end.evidence == null ? null : JSON.stringify(end.evidence), now],
  );
}

/** Counts by-CID reads that a step made. */
export async function countByCidReads(sql: Sql, id: string, reads: number): Promise<void> {
  if (reads === 0) return;
  await sql.query('UPDATE dict_reconciliations SET by_cid_reads = by_cid_reads + $2 WHERE id = $1', [id, reads]);
}

/** Notes a repair that a person made of a run's divergence, perhaps after the run: a NOK from before it says nothing any more. */
export async function noteRepair(tx: Transaction, divergenceId: number, seq: number, now: Date): Promise<void> {
  await tx.query(
    `UPDATE dict_reconciliations SET last_repair_seq = greatest(last_repair_seq, $2), updated_at = $3
     WHERE id = (SELECT reconciliation_id FROM dict_divergences WHERE id = $1)`,
    [divergenceId, seq, now],
  );
}

/** Stops a run at its next step, or lets it go on. False where it has ended, or was so already. */
export async function setPaused(sql: Sql, id: string, pausedAt: Date | null, now: Date): Promise<boolean> {
  const { rowCount } = await sql.query(
    `UPDATE dict_reconciliations SET paused_at = $2, updated_at = $3
     WHERE id = $1 AND ended_at IS NULL AND (paused_at IS NULL) <> ($2::timestamptz IS NULL)`,
    [id, pausedAt, now],
  );
  return rowCount === 1;
}
