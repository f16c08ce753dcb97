/** What waits to be taken in, over all sources: the question that rule R1 asks before every verification. */

import type { Sql } from '../platform/postgres/database.ts';

export interface IngestBacklog {
  /** Events known to be waiting; null where a running source cannot say. */
  readonly backlog: number | null;
  /** When the oldest of them occurred, as far as known; never later than now. */
  readonly oldestUnconsumedAt: Date | null;
  /** Whether a consumer has begun and not ended. One that was killed counts as running until it is started again. */
  readonly running: boolean;
}

interface BacklogRow {
  known: number;
  unknown: number;
  oldest: Date | null;
  running: number;
}

/** The backlog of all sources together, at `now`. */
export async function readIngestBacklog(sql: Sql, now: Date): Promise<IngestBacklog> {
  const { rows } = await sql.query<BacklogRow>(
    `SELECT coalesce(sum(backlog), 0)::bigint AS known,
       count(*) FILTER (WHERE backlog IS NULL AND ended_at IS NULL) AS unknown,
       min(coalesce(oldest_unconsumed_at, latest_occurred_at, updated_at)) FILTER (WHERE backlog > 0) AS oldest,
       count(*) FILTER (WHERE ended_at IS NULL) AS running
     FROM ingest_progress`,
  );
  const row = rows[0] ?? { known: 0, unknown: 0, oldest: null, running: 0 };
  const oldest = row.oldest !== null && row.oldest > now ? now : row.oldest;
  return {
    backlog: row.known === 0 && row.unknown > 0 ? null : row.known,
    oldestUnconsumedAt: oldest,
    running: row.running > 0,
  };
}
