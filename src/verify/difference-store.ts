/**
 * The CIDs that a verification saw DICT and us disagree on: those in flight are remembered from look to look, those located are
 * what a reconciliation starts from. One function per statement.
 */

import type { Cid } from '../cid/cid.ts';
import { asCid, cidFromHex, packCids } from '../cid/cid.ts';
import type { Sql } from '../platform/postgres/database.ts';
import type { Difference } from './explanation.ts';
import type { Run } from './run-store.ts';

/** How a difference was found: by events and journal, or because it alone was left over. */
export type FoundBy = 'log' | 'residual';

/** Where a look was: our seq and DICT's time. */
export interface LookPosition {
  readonly seq: number;
  readonly at: Date;
}

/** Remembers differences of a look; one that the run knows already takes the new state. */
export async function saveDifferences(
  sql: Sql,
  run: Run,
  state: 'in-flight' | 'located',
  differences: readonly (Difference & { readonly foundBy: FoundBy })[],
  position: LookPosition,
): Promise<void> {
  if (differences.length === 0) return;
  await sql.query(
    `INSERT INTO dict_sync_differences (run_id, participant, key_type, cid, side, since, found_by, state, seen_seq, seen_at)
     SELECT $1, $2, $3, substring($4::bytea FROM 32 * (n - 1) + 1 FOR 32), ($5::text[])[n], ($6::timestamptz[])[n],
       ($7::text[])[n], $8, $9, $10
     FROM generate_series(1, $11::int) AS n
     ON CONFLICT (run_id, cid) DO UPDATE
     SET state = excluded.state, side = excluded.side, since = excluded.since,
       -- Once known, a hidden difference is an exception of the anchor, and explained without asking DICT again.
       found_by = CASE dict_sync_differences.found_by WHEN 'residual' THEN 'residual' ELSE excluded.found_by END`,
    [
      run.runId,
      run.scope.participant,
      run.scope.keyType,
      packCids(differences.map(({ cid }) => cidFromHex(cid))),
      differences.map(({ side }) => side),
      differences.map(({ sinceMs }) => (sinceMs === null ? null : new Date(sinceMs))),
      differences.map(({ foundBy }) => foundBy),
      state,
      position.seq,
      position.at,
      differences.length,
    ],
  );
}

/**
 * Remembers how hidden differences were found: from the next look on they are exceptions of the anchor, which tells no more of it.
 * Whether the run waits for them is not changed.
 */
export async function rememberResiduals(
  sql: Sql,
  run: Run,
  residuals: readonly Difference[],
  position: LookPosition,
): Promise<void> {
  if (residuals.length === 0) return;
  await sql.query(
    `INSERT INTO dict_sync_differences (run_id, participant, key_type, cid, side, since, found_by, state, seen_seq, seen_at)
     SELECT $1, $2, $3, decode(given.cid, 'hex'), given.side, given.since, 'residual', 'settled', $7, $8
     FROM unnest($4::text[], $5::text[], $6::timestamptz[]) AS given (cid, side, since)
     ON CONFLICT (run_id, cid) DO UPDATE SET found_by = excluded.found_by`,
    [
      run.runId,
      run.scope.participant,
      run.scope.keyType,
      residuals.map(({ cid }) => cid),
      residuals.map(({ side }) => side),
      residuals.map(({ sinceMs }) => (sinceMs === null ? null : new Date(sinceMs))),
      position.seq,
      position.at,
    ],
  );
}

/** What the run still waits for. */
export async function readInFlight(sql: Sql, runId: string): Promise<Map<string, Difference>> {
  const { rows } = await sql.query<{ cid: Buffer; side: 'dict' | 'local'; since: Date | null }>(
    `SELECT cid, side, since FROM dict_sync_differences WHERE run_id = $1 AND state = 'in-flight'`,
    [runId],
  );
  return new Map(
    rows.map((row) => {
      const cid = row.cid.toString('hex');
      return [cid, { cid, side: row.side, sinceMs: row.since === null ? null : row.since.getTime() }];
    }),
  );
}

/** Marks all that was in flight but these as settled. */
export async function settleAllBut(sql: Sql, runId: string, pending: Iterable<string>): Promise<void> {
  await sql.query(
    `UPDATE dict_sync_differences SET state = 'settled'
     WHERE run_id = $1 AND state = 'in-flight' AND NOT (encode(cid, 'hex') = ANY ($2::text[]))`,
    [runId, [...pending]],
  );
}

/** How many differences the run has watched since its last NOK, settled or not. */
export async function countWatched(sql: Sql, runId: string): Promise<number> {
  const { rows } = await sql.query<{ watched: number }>(
    `SELECT count(*) AS watched FROM dict_sync_differences WHERE run_id = $1 AND state <> 'located'`,
    [runId],
  );
  return rows[0]?.watched ?? 0;
}

/** Forgets what was only watched: under traffic that is hundreds of rows a run, and nobody asks for them again. */
export async function forgetWatched(sql: Sql, runId: string): Promise<void> {
  await sql.query(`DELETE FROM dict_sync_differences WHERE run_id = $1 AND state <> 'located'`, [runId]);
}

/** A difference that a reconciliation is to settle. */
export interface LocatedDifference {
  readonly cid: Cid;
  /** Who alone has it. */
  readonly side: 'dict' | 'local';
  /** DICT's time since when they differ; null where nothing tells. */
  readonly since: Date | null;
  readonly foundBy: FoundBy;
}

/** The located differences of a concluded run, by CID, at most `limit` after the CID `after` (null: from the first). */
export async function locatedDifferences(
  sql: Sql,
  runId: string,
  page: { readonly limit: number; readonly after: Cid | null },
): Promise<LocatedDifference[]> {
  const { rows } = await sql.query<{ cid: Buffer; side: 'dict' | 'local'; since: Date | null; found_by: FoundBy }>(
    `SELECT cid, side, since, found_by FROM dict_sync_differences
     WHERE run_id = $1 AND state = 'located' AND ($2::bytea IS NULL OR cid > $2)
     ORDER BY cid LIMIT $3`,
    [runId, page.after === null ? null : Buffer.from(page.after), page.limit],
  );
  return rows.map((row) => ({ cid: asCid(row.cid), side: row.side, since: row.since, foundBy: row.found_by }));
}
