/** Which events were taken in already. The guarantee that a second delivery has no second effect: same transaction, same commit. */

import type { Sql, Transaction } from '../platform/postgres/database.ts';

/** What became of an event; see entry-transition.ts. */
export type EventOutcome = 'applied' | 'superseded' | 'echo' | 'dead';

/** Which of these events are in the inbox. */
export async function knownEvents(sql: Sql, eventIds: readonly string[]): Promise<Set<string>> {
  const { rows } = await sql.query<{ event_id: string }>('SELECT event_id FROM event_inbox WHERE event_id = ANY ($1)', [
    eventIds,
  ]);
  return new Set(rows.map((row) => row.event_id));
}

export interface TakenEvent {
  readonly eventId: string;
  readonly outcome: EventOutcome;
  readonly occurredAt: Date;
}

/**
 * Puts events into the inbox, in the order of their ids. Rejects with unique_violation where another transaction took one of
 * them meanwhile (the same id under two key types): the batch is then tried again and finds it known.
 */
export async function takeEvents(tx: Transaction, events: readonly TakenEvent[], now: Date): Promise<void> {
  if (events.length === 0) return;
  const sorted = events.toSorted((a, b) => (a.eventId < b.eventId ? -1 : 1));
  await tx.query(
    `INSERT INTO event_inbox (event_id, outcome, occurred_at, received_at)
     SELECT taken.event_id, taken.outcome, taken.occurred_at, $4
     FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS taken (event_id, outcome, occurred_at)`,
    [
      sorted.map((event) => event.eventId),
      sorted.map((event) => event.outcome),
      sorted.map((event) => event.occurredAt.toISOString()),
      now,
    ],
  );
}

/**
 * Deletes at most `rowsMax` events that were taken in before that time. Answers how many. Their ids as an array are looked up one by
 * one, whatever PostgreSQL expects; joined, with old statistics it reads the whole inbox.
 */
export async function pruneInbox(sql: Sql, before: Date, rowsMax: number): Promise<number> {
  const { rowCount } = await sql.query(
    `DELETE FROM event_inbox WHERE event_id = ANY (ARRAY(
       SELECT event_id FROM event_inbox WHERE received_at < $1 ORDER BY received_at LIMIT $2))`,
    [before, rowsMax],
  );
  return rowCount;
}
