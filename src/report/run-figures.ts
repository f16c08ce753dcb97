/** What a run found and did, counted from the rows that verification and reconciliation left. */

import { cidFingerprint, maskKey } from '../ledger/masking.ts';
import type { Sql } from '../platform/postgres/database.ts';
import type { Scope } from '../vsync/scope.ts';
import type { ReportFigures } from './sync-report.ts';

/** Divergences that a report lists one by one; more are only counted. */
const detailsMax = 10_000;

interface CountRow {
  missing: number;
  outdated: number;
  orphaned: number;
  duplicated: number;
  unresolved: number;
  altered: number;
  created: number;
  updated: number;
  deleted: number;
  open: number;
}

/** Applied repairs count by what they did to the row, an orphan put to review among the deleted. */
async function countDivergences(sql: Sql, runId: string | null): Promise<CountRow> {
  const { rows } = await sql.query<CountRow>(
    `SELECT
       count(*) FILTER (WHERE kind = 'missing_local') AS missing,
       count(*) FILTER (WHERE kind = 'outdated_local') AS outdated,
       count(*) FILTER (WHERE kind = 'orphaned') AS orphaned,
       count(*) FILTER (WHERE kind = 'duplicated') AS duplicated,
       count(*) FILTER (WHERE kind = 'unresolved') AS unresolved,
       count(*) FILTER (WHERE kind = 'altered') AS altered,
       count(*) FILTER (WHERE state = 'applied' AND kind = 'missing_local') AS created,
       count(*) FILTER (WHERE state = 'applied' AND kind IN ('outdated_local', 'unresolved', 'altered', 'duplicated')) AS updated,
       count(*) FILTER (WHERE state = 'applied' AND kind = 'orphaned') AS deleted,
       count(*) FILTER (WHERE state IN ('found', 'deferred', 'settled', 'open', 'review')) AS open
     FROM dict_divergences WHERE reconciliation_id = $1 AND state NOT IN ('dropped', 'paired')`,
    [runId],
  );
  const row = rows[0];
  if (row === undefined) throw new RangeError('an aggregate without GROUP BY returns one row');
  return row;
}

/** The figures of a run that began at `startedAt`; `runId` is its reconciliation, null where none was needed. */
export async function readRunFigures(sql: Sql, scope: Scope, startedAt: Date, runId: string | null): Promise<ReportFigures> {
  const counts = await countDivergences(sql, runId);
  const { rows } = await sql.query<{ verifications: number; keys: number; lines: number | null; reads: number; files: number }>(
    `SELECT
       (SELECT count(*) FROM dict_sync_verifications
         WHERE participant = $1 AND key_type = $2 AND requested_at >= $3) AS verifications,
       coalesce((SELECT keys FROM dict_vsyncs WHERE participant = $1 AND key_type = $2), 0) AS keys,
       (SELECT file_lines FROM dict_reconciliations WHERE id = $4) AS lines,
       coalesce((SELECT by_cid_reads FROM dict_reconciliations WHERE id = $4), 0) AS reads,
       coalesce((SELECT files_requested FROM dict_reconciliations WHERE id = $4), 0) AS files`,
    [scope.participant, scope.keyType, startedAt, runId],
  );
  return {
    verificationsSent: rows[0]?.verifications ?? 0,
    totalKeysLocal: rows[0]?.keys ?? 0,
    totalKeysBacen: rows[0]?.lines ?? null,
    missingLocal: counts.missing,
    outdatedLocal: counts.outdated,
    orphaned: counts.orphaned,
    duplicated: counts.duplicated,
    unresolved: counts.unresolved,
    altered: counts.altered,
    entriesCreated: counts.created,
    entriesUpdated: counts.updated,
    entriesDeleted: counts.deleted,
    divergencesOpen: counts.open,
    byCidReads: rows[0]?.reads ?? 0,
    filesRequested: rows[0]?.files ?? 0,
  };
}

/** One divergence of a report: nothing in it identifies a person. */
export interface DivergenceDetail {
  readonly id: number;
  readonly kind: string | null;
  readonly state: string;
  readonly found_by: string;
  readonly key: string | null;
  readonly local_cid: string | null;
  readonly dict_cid: string | null;
  readonly reason: string | null;
}

/** The divergences of a reconciliation, masked, in the order they were found. */
export async function readDivergenceDetails(sql: Sql, runId: string): Promise<DivergenceDetail[]> {
  const { rows } = await sql.query<
    Omit<DivergenceDetail, 'local_cid' | 'dict_cid'> & { key_type: string; local_cid: Buffer | null; dict_cid: Buffer | null }
  >(
    `SELECT id, kind, state, found_by, key, key_type, local_cid, dict_cid, reason FROM dict_divergences
     WHERE reconciliation_id = $1 AND state <> 'paired' ORDER BY id LIMIT $2`,
    [runId, detailsMax],
  );
  return rows.map(({ key_type, ...row }) => ({
    ...row,
    key: row.key === null ? null : maskKey(row.key, key_type),
    local_cid: row.local_cid === null ? null : cidFingerprint(row.local_cid),
    dict_cid: row.dict_cid === null ? null : cidFingerprint(row.dict_cid),
  }));
}
