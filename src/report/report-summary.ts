/** The reports of a period added up and held against the targets that operators are measured by. */

import type { Sql } from '../platform/postgres/database.ts';

export interface SummaryQuery {
  readonly participant?: string | undefined;
  readonly keyType?: string | undefined;
  readonly since: Date;
  readonly until: Date;
}

export interface ReportTotals {
  readonly runs: number;
  readonly running: number;
  readonly completed: number;
  readonly partial: number;
  readonly failed: number;
  /** Keys at the last run of each participant and key type. */
  readonly keys: number;
  readonly missingLocal: number;
  readonly outdatedLocal: number;
  readonly orphaned: number;
  readonly duplicated: number;
  readonly unresolved: number;
  readonly altered: number;
  readonly divergencesOpen: number;
  readonly durationMsMax: number | null;
  readonly durationMsMedian: number | null;
}

/** One figure beside its target. `value` is null where the period holds nothing to compute it from. */
export interface TargetFigure {
  readonly name: string;
  readonly value: number | null;
  readonly target: string;
  readonly met: boolean | null;
}

export interface ReportSummary {
  readonly since: Date;
  readonly until: Date;
  readonly totals: ReportTotals;
  readonly targets: readonly TargetFigure[];
}

type TotalsRow = { [Name in keyof ReportTotals]: ReportTotals[Name] };

async function readTotals(sql: Sql, query: SummaryQuery): Promise<ReportTotals> {
  const { rows } = await sql.query<TotalsRow>(
    `WITH chosen AS (
       SELECT id, started_at, participant, key_type, status, duration_ms, total_keys_local, missing_local_count,
         outdated_local_count, orphaned_count, duplicated_count, unresolved_count, altered_count, divergences_open
       FROM sync_reports
       WHERE started_at >= $1 AND started_at < $2 AND ($3::text IS NULL OR participant = $3)
         AND ($4::text IS NULL OR key_type = $4)
     ), latest AS (
       SELECT DISTINCT ON (participant, key_type) participant, key_type, total_keys_local FROM chosen
       WHERE total_keys_local IS NOT NULL ORDER BY participant, key_type, started_at DESC
     ), by_participant AS (
       -- A report of all key types at once counts the same keys as those of each: the fuller picture counts.
       SELECT greatest(sum(total_keys_local) FILTER (WHERE key_type = 'ALL'),
         sum(total_keys_local) FILTER (WHERE key_type <> 'ALL')) AS keys
       FROM latest GROUP BY participant
     )
     SELECT count(*) AS runs,
       count(*) FILTER (WHERE status = 'RUNNING') AS running,
       count(*) FILTER (WHERE status = 'COMPLETED') AS completed,
       count(*) FILTER (WHERE status = 'PARTIAL') AS partial,
       count(*) FILTER (WHERE status = 'FAILED') AS failed,
       (SELECT coalesce(sum(keys), 0)::bigint FROM by_participant) AS keys,
       coalesce(sum(missing_local_count), 0) AS "missingLocal",
       coalesce(sum(outdated_local_count), 0) AS "outdatedLocal",
       coalesce(sum(orphaned_count), 0) AS orphaned,
       coalesce(sum(duplicated_count), 0) AS duplicated,
       coalesce(sum(unresolved_count), 0) AS unresolved,
       coalesce(sum(altered_count), 0) AS altered,
       coalesce(sum(divergences_open), 0) AS "divergencesOpen",
       max(duration_ms) AS "durationMsMax",
       (percentile_disc(0.5) WITHIN GROUP (ORDER BY duration_ms))::bigint AS "durationMsMedian"
     FROM chosen`,
    [query.since, query.until, query.participant ?? null, query.keyType ?? null],
  );
  const row = rows[0];
  if (row === undefined) throw new RangeError('an aggregate without GROUP BY returns one row');
  return row;
}

const dayMs = 86_400_000;
const monthMs = 30 * dayMs;

function figure(name: string, value: number | null, target: string, met: (value: number) => boolean): TargetFigure {
  return { name, value, target, met: value === null ? null : met(value) };
}

function targetsOf(totals: ReportTotals, periodMs: number): TargetFigure[] {
  const days = Math.max(1, periodMs / dayMs);
  const months = Math.max(1, periodMs / monthMs);
  const ended = totals.completed + totals.partial + totals.failed;
  const divergences =
    totals.missingLocal + totals.outdatedLocal + totals.orphaned + totals.duplicated + totals.unresolved + totals.altered;
  return [
    figure('divergence rate, % of keys', totals.keys === 0 ? null : (100 * divergences) / totals.keys, '< 0.1', (v) => v < 0.1),
    figure('missing here, a day', totals.missingLocal / days, '< 10', (v) => v < 10),
    figure('orphaned', totals.orphaned, '0', (v) => v === 0),
    figure('outdated here', totals.outdatedLocal, '< 50', (v) => v < 50),
    figure('runs that ended well, %', ended === 0 ? null : (100 * (ended - totals.failed)) / ended, '> 99.9', (v) => v > 99.9),
    figure('runs failed, a month', totals.failed / months, '< 1', (v) => v < 1),
  ];
}

/** Totals of all reports whose run started in the period, and the targets of the daily synchronisation. */
export async function summariseReports(sql: Sql, query: SummaryQuery): Promise<ReportSummary> {
  const totals = await readTotals(sql, query);
  const periodMs = query.until.getTime() - query.since.getTime();
  return { since: query.since, until: query.until, totals, targets: targetsOf(totals, periodMs) };
}
