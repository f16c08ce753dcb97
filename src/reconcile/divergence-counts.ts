/**
 * How many divergences a run holds, and how many count towards limits. Each count is one statement over one run's rows; steps that
 * are taken once per batch ask only for what an index answers at once.
 */

import type { Sql } from '../platform/postgres/database.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import type { DivergenceState } from './divergence-store.ts';

/** What a run holds, by state. */
export interface RunTally {
  readonly byState: Readonly<Partial<Record<DivergenceState, number>>>;
  readonly nextDueAt: Date | null;
  readonly settledWithoutApproval: number;
}

/** Counts a run's divergences. */
export async function tallyRun(sql: Sql, runId: string): Promise<RunTally> {
  const { rows } = await sql.query<{ state: DivergenceState; rows: number; nextDueAt: Date | null; uncovered: number }>(
    `SELECT state, count(*) AS rows, min(due_at) AS "nextDueAt", count(*) FILTER (WHERE approval_id IS NULL) AS uncovered
     FROM dict_divergences WHERE reconciliation_id = $1 GROUP BY state`,
    [runId],
  );
  const having = (state: DivergenceState) => rows.find((row) => row.state === state);
  return {
    byState: Object.fromEntries(rows.map((row) => [row.state, row.rows])),
    nextDueAt: having('deferred')?.nextDueAt ?? null,
    settledWithoutApproval: having('settled')?.uncovered ?? 0,
  };
}

/** What of DICT's side stands in the way of judging only-local CIDs (rule R3). */
export interface DictSide {
  /** Whether CIDs of DICT's wait to be judged. */
  readonly waiting: boolean;
  /** CIDs of DICT's whose key could not be learnt. */
  readonly keyless: number;
  /** DICT's last 404 for a CID that it alone had; not for one that a listing made us reckon with. */
  readonly vanishedAt: Date | null;
}

/** Looks only at what is not settled: a count of everything before each batch would grow with the square of the run. */
export async function readDictSide(sql: Sql, runId: string): Promise<DictSide> {
  const { rows } = await sql.query<DictSide>(
    `SELECT
       EXISTS (SELECT FROM dict_divergences
         WHERE reconciliation_id = $1 AND side = 'dict' AND state IN ('found', 'deferred')) AS waiting,
       (SELECT count(*) FROM dict_divergences
         WHERE reconciliation_id = $1 AND side = 'dict' AND state = 'open' AND key IS NULL) AS keyless,
       (SELECT max(proved_at) FROM dict_divergences
         WHERE reconciliation_id = $1 AND side = 'dict' AND state = 'dropped' AND key IS NULL
           AND found_by <> 'listing') AS "vanishedAt"`,
    [runId],
  );
  return rows[0] ?? { waiting: false, keyless: 0, vanishedAt: null };
}

/**
 * How many divergences count towards the thresholds (rule R7): settled ones, of the run and of the last 24 hours of its
 * participant and key type. One carried over from an earlier run is counted where it was settled.
 */
export async function countSettled(sql: Sql, run: Scope & { readonly id: string }, now: Date): Promise<number> {
  const { rows } = await sql.query<{ settled: number }>(
    `SELECT
       (SELECT count(*) FROM dict_divergences WHERE reconciliation_id = $3 AND settled_at IS NOT NULL)
       + (SELECT count(*) FROM dict_divergences
          WHERE participant = $1 AND key_type = $2 AND settled_at > $4 AND reconciliation_id <> $3
            AND id NOT IN (SELECT carried_from FROM dict_divergences
              WHERE reconciliation_id = $3 AND carried_from IS NOT NULL AND settled_at IS NOT NULL)) AS settled`,
    [run.participant, run.keyType, run.id, new Date(now.getTime() - 86_400_000)],
  );
  return rows[0]?.settled ?? 0;
}

/** Orphans that a file has brought: what its plausibility is judged by. */
export async function countOrphansByFile(sql: Sql, runId: string): Promise<number> {
  const { rows } = await sql.query<{ orphans: number }>(
    `SELECT count(*) AS orphans FROM dict_divergences
     WHERE reconciliation_id = $1 AND found_by = 'file' AND kind = 'orphaned' AND state IN ('settled', 'applied')`,
    [runId],
  );
  return rows[0]?.orphans ?? 0;
}
