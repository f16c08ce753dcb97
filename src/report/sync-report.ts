/**
 * Sync reports: one row per run, written when it starts and closed with its result. A run that was killed stays RUNNING until
 * it is resumed and closes the same row. Rendering is the commands' work.
 */

import type { Sql } from '../platform/postgres/database.ts';
import type { SealedDetails } from './details-cipher.ts';

export type ReportStatus = 'RUNNING' | 'COMPLETED' | 'PARTIAL' | 'FAILED';

export interface ReportOpening {
  readonly id: string;
  readonly startedAt: Date;
  readonly participant: string;
  readonly keyType: string;
  /** RECONCILIATION; FULL or INCREMENTAL where a listing of entries was compared, of all key types at once (`ALL`). */
  readonly syncType: string;
  readonly requestedBy: string;
}

/** What a run found and did. Counts are of divergences settled in this run. */
export interface ReportFigures {
  readonly verificationsSent: number;
  readonly totalKeysLocal: number;
  /** Null where no file or listing of DICT's was read. */
  readonly totalKeysBacen: number | null;
  readonly missingLocal: number;
  readonly outdatedLocal: number;
  readonly orphaned: number;
  readonly duplicated: number;
  readonly unresolved: number;
  readonly altered: number;
  readonly entriesCreated: number;
  readonly entriesUpdated: number;
  readonly entriesDeleted: number;
  readonly divergencesOpen: number;
  readonly byCidReads: number;
  readonly filesRequested: number;
}

export interface ReportResult {
  readonly status: Exclude<ReportStatus, 'RUNNING'>;
  /** The verification's last outcome, such as `in-sync (ok)`. */
  readonly outcome: string;
  readonly completedAt: Date;
  readonly figures: ReportFigures;
  readonly errorMessage: string | null;
  readonly details: SealedDetails | null;
}

export interface SyncReport extends ReportOpening {
  readonly status: ReportStatus;
  readonly outcome: string | null;
  readonly completedAt: Date | null;
  readonly durationMs: number | null;
  /** Null while the run goes on. */
  readonly figures: ReportFigures | null;
  readonly keysInSync: number | null;
  readonly errorMessage: string | null;
  readonly details: SealedDetails | null;
}

/** Creates the partition of that moment's year, unless it is there. Two runs that start at once may both find it missing. */
async function ensurePartition(sql: Sql, at: Date): Promise<void> {
  const year = at.getUTCFullYear();
  const name = `sync_reports_${year}`;
  const { rows } = await sql.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [name]);
  if (rows[0]?.there === true) return;
  // DDL takes no parameters; the year is a number of ours. The lock is held for this one statement's transaction.
  await sql.query(
    `DO $$ BEGIN
       PERFORM pg_advisory_xact_lock(hashtextextended('${name}', 0));
       CREATE TABLE IF NOT EXISTS ${name} PARTITION OF sync_reports
         FOR VALUES FROM ('${year}-01-01T00:00:00Z') TO ('${year + 1}-01-01T00:00:00Z');
     END $$`,
  );
}

/** Writes the RUNNING row of a run; doing so again with the same id and start changes nothing. */
export async function openReport(sql: Sql, opening: ReportOpening): Promise<void> {
  await ensurePartition(sql, opening.startedAt);
  await sql.query(
    `INSERT INTO sync_reports (id, started_at, participant, key_type, sync_type, requested_by, status)
     VALUES ($1, $2, $3, $4, $5, $6, 'RUNNING') ON CONFLICT (started_at, id) DO NOTHING`,
    [opening.id, opening.startedAt, opening.participant, opening.keyType, opening.syncType, opening.requestedBy],
  );
}

/** Closes a report with its result; a later closing (a resumed PARTIAL run) replaces an earlier one. */
export async function closeReport(
  sql: Sql,
  opening: Pick<ReportOpening, 'id' | 'startedAt'>,
  result: ReportResult,
): Promise<void> {
  const { figures } = result;
  const known = figures.missingLocal + figures.outdatedLocal + figures.unresolved;
  const total = figures.totalKeysBacen ?? figures.totalKeysLocal;
  await sql.query(
    `UPDATE sync_reports SET status = $3, outcome = $4, completed_at = $5, duration_ms = $6, verifications_sent = $7,
       total_keys_local = $8, total_keys_bacen = $9, keys_in_sync = $10, missing_local_count = $11, outdated_local_count = $12,
       orphaned_count = $13, duplicated_count = $14, unresolved_count = $15, altered_count = $16, entries_created = $17,
       entries_updated = $18, entries_deleted = $19, divergences_open = $20, by_cid_reads = $21, files_requested = $22,
       error_message = $23, details_key_version = $24, details = $25
     WHERE started_at = $2 AND id = $1`,
    [
      opening.id,
      opening.startedAt,
      result.status,
      result.outcome,
      result.completedAt,
      Math.max(0, result.completedAt.getTime() - opening.startedAt.getTime()),
      figures.verificationsSent,
      figures.totalKeysLocal,
      figures.totalKeysBacen,
      Math.max(0, total - known),
      figures.missingLocal,
      figures.outdatedLocal,
      figures.orphaned,
      figures.duplicated,
      figures.unresolved,
      figures.altered,
      figures.entriesCreated,
      figures.entriesUpdated,
      figures.entriesDeleted,
      figures.divergencesOpen,
      figures.byCidReads,
      figures.filesRequested,
      result.errorMessage,
      result.details?.keyVersion ?? null,
      result.details?.sealed ?? null,
    ],
  );
}

interface ReportRow {
  id: string;
  started_at: Date;
  participant: string;
  key_type: string;
  sync_type: string;
  requested_by: string;
  status: ReportStatus;
  outcome: string | null;
  completed_at: Date | null;
  duration_ms: number | null;
  verifications_sent: number;
  total_keys_local: number;
  total_keys_bacen: number | null;
  keys_in_sync: number | null;
  missing_local_count: number;
  outdated_local_count: number;
  orphaned_count: number;
  duplicated_count: number;
  unresolved_count: number;
  altered_count: number;
  entries_created: number;
  entries_updated: number;
  entries_deleted: number;
  divergences_open: number;
  by_cid_reads: number;
  files_requested: number;
  error_message: string | null;
  details_key_version: number | null;
  details: Buffer | null;
}

const columns = `id, started_at, participant, key_type, sync_type, requested_by, status, outcome, completed_at, duration_ms,
  verifications_sent, total_keys_local, total_keys_bacen, keys_in_sync, missing_local_count, outdated_local_count, orphaned_count,
  duplicated_count, unresolved_count, altered_count, entries_created, entries_updated, entries_deleted, divergences_open,
  by_cid_reads, files_requested, error_message, details_key_version, details`;

function figuresOf(row: ReportRow): ReportFigures {
  return {
    verificationsSent: row.verifications_sent,
    totalKeysLocal: row.total_keys_local,
    totalKeysBacen: row.total_keys_bacen,
    missingLocal: row.missing_local_count,
    outdatedLocal: row.outdated_local_count,
    orphaned: row.orphaned_count,
    duplicated: row.duplicated_count,
    unresolved: row.unresolved_count,
    altered: row.altered_count,
    entriesCreated: row.entries_created,
    entriesUpdated: row.entries_updated,
    entriesDeleted: row.entries_deleted,
    divergencesOpen: row.divergences_open,
    byCidReads: row.by_cid_reads,
    filesRequested: row.files_requested,
  };
}

function reportOf(row: ReportRow): SyncReport {
  const sealed =
    row.details !== null && row.details_key_version !== null
      ? { keyVersion: row.details_key_version, sealed: row.details }
      : null;
  return {
    id: row.id,
    startedAt: row.started_at,
    participant: row.participant,
    keyType: row.key_type,
    syncType: row.sync_type,
    requestedBy: row.requested_by,
    status: row.status,
    outcome: row.outcome,
    completedAt: row.completed_at,
    durationMs: row.duration_ms,
    figures: row.completed_at === null ? null : figuresOf(row),
    keysInSync: row.keys_in_sync,
    errorMessage: row.error_message,
    details: sealed,
  };
}

/** Which reports: each condition narrows, `since` and `until` by the run's start. */
export interface ReportQuery {
  readonly participant?: string | undefined;
  readonly keyType?: string | undefined;
  readonly status?: ReportStatus | undefined;
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
  readonly limit: number;
}

/** Reports, newest first. */
export async function listReports(sql: Sql, query: ReportQuery): Promise<SyncReport[]> {
  const { rows } = await sql.query<ReportRow>(
    `SELECT ${columns} FROM sync_reports
     WHERE ($1::text IS NULL OR participant = $1) AND ($2::text IS NULL OR key_type = $2) AND ($3::text IS NULL OR status = $3)
       AND ($4::timestamptz IS NULL OR started_at >= $4) AND ($5::timestamptz IS NULL OR started_at < $5)
     ORDER BY started_at DESC, id LIMIT $6`,
    [
      query.participant ?? null,
      query.keyType ?? null,
      query.status ?? null,
      query.since ?? null,
      query.until ?? null,
      query.limit,
    ],
  );
  return rows.map(reportOf);
}

/** One report, or null. */
export async function findReport(sql: Sql, id: string): Promise<SyncReport | null> {
  const { rows } = await sql.query<ReportRow>(`SELECT ${columns} FROM sync_reports WHERE id = $1`, [id]);
  const row = rows[0];
  return row === undefined ? null : reportOf(row);
}

const partitionName = /^sync_reports_([0-9]{4})$/;

/** Drops the partitions whose every report is older than that. Returns the years dropped. */
export async function dropReportsBefore(sql: Sql, oldestKept: Date): Promise<number[]> {
  const { rows } = await sql.query<{ name: string }>(
    `SELECT child.relname AS name FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
     WHERE inhparent = 'sync_reports'::regclass ORDER BY child.relname`,
  );
  const dropped: number[] = [];
  for (const { name } of rows) {
    const year = Number(partitionName.exec(name)?.[1]);
    if (Number.isNaN(year) || year >= oldestKept.getUTCFullYear()) continue;
    await sql.query(`DROP TABLE sync_reports_${year}`);
    dropped.push(year);
  }
  return dropped;
}
