/** How far a source of events has been taken in. Written in the transaction of each batch; read before a verification (rule R1). */

import type { Sql } from '../platform/postgres/database.ts';

export interface IngestProgress {
  /** Such as `file:/path` or `stdin`. */
  readonly origin: string;
  /** Events taken from the source by this consumer, duplicates and dead letters included. */
  readonly consumed: number;
  /** Known to be waiting and not taken yet; null where the source cannot say. */
  readonly backlog: number | null;
  /** When the next waiting event occurred, as far as known. */
  readonly oldestUnconsumedAt: Date | null;
  /** The highest `occurred_at` taken. */
  readonly latestOccurredAt: Date | null;
  /** Null while the consumer runs. */
  readonly endedAt: Date | null;
}

/** Replaces what is known of the source; its latest `occurred_at` never goes back. */
export async function writeProgress(sql: Sql, progress: IngestProgress, now: Date): Promise<void> {
  await sql.query(
    `INSERT INTO ingest_progress (origin, consumed, backlog, oldest_unconsumed_at, latest_occurred_at, ended_at, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (origin) DO UPDATE SET consumed = excluded.consumed, backlog = excluded.backlog,
       oldest_unconsumed_at = excluded.oldest_unconsumed_at,
       latest_occurred_at = greatest(ingest_progress.latest_occurred_at, excluded.latest_occurred_at),
       ended_at = excluded.ended_at, updated_at = excluded.updated_at`,
    [
      progress.origin,
      progress.consumed,
      progress.backlog,
      progress.oldestUnconsumedAt,
      progress.latestOccurredAt,
      progress.endedAt,
      now,
    ],
  );
}
