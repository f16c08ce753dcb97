/**
 * Which events were taken in already. The guarantee that a second delivery has no second effect: same transaction, same commit. An
 * event is known by 16 bytes: as a text of 36 characters its index was half as large again, and cost every event as much more.
 */

import { hash } from 'node:crypto';
import { arrayOf } from '../platform/postgres/binary-parameters.ts';
import type { Prepared, Sql, Transaction } from '../platform/postgres/database.ts';

/** What became of an event; see entry-transition.ts. */
export type EventOutcome = 'applied' | 'superseded' | 'echo' | 'dead';

const ownUuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-79a-f][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * The UUID that an event is known by: its id where that is one in lower case, else one of version 8 made of its SHA-256 (120 bits of it).
 * A UUID of version 8 never stands for itself, so that no id of one kind can pass for one of the other.
 */
export function inboxId(eventId: string): string {
  if (ownUuid.test(eventId)) return eventId;
  const hex = hash('sha256', eventId, 'hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

const findKnown: Prepared = {
  name: 'inbox-known',
  text: `SELECT given.at
    FROM unnest($1::uuid[]) WITH ORDINALITY AS given (event_id, at)
    CROSS JOIN LATERAL (SELECT event_id FROM event_inbox WHERE event_id = given.event_id LIMIT 1) AS known`,
};

/** Which of these events are in the inbox. */
export async function knownEvents(tx: Transaction, eventIds: readonly string[]): Promise<Set<string>> {
  const { rows } = await tx.prepared(findKnown, [arrayOf('uuid', eventIds.map(inboxId))]);
  return new Set(rows.flatMap(([at]) => eventIds[Number(at) - 1] ?? []));
}

export interface TakenEvent {
  readonly eventId: string;
  readonly outcome: EventOutcome;
  readonly occurredAt: Date;
}

const take: Prepared = {
  name: 'inbox-take',
  text: `INSERT INTO event_inbox (event_id, outcome, occurred_at, received_at)
    SELECT taken.event_id, taken.outcome, taken.occurred_at, $4
    FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS taken (event_id, outcome, occurred_at)`,
};

/**
 * Puts events into the inbox, in the order of their ids. Rejects with unique_violation where another transaction took one of
 * them meanwhile (the same id under two key types): the batch is then tried again and finds it known.
 */
export async function takeEvents(tx: Transaction, events: readonly TakenEvent[], now: Date): Promise<void> {
  if (events.length === 0) return;
  const sorted = events.map((event) => ({ ...event, id: inboxId(event.eventId) })).sort((a, b) => (a.id < b.id ? -1 : 1));
  await tx.prepared(take, [
    arrayOf(
      'uuid',
      sorted.map(({ id }) => id),
    ),
    arrayOf(
      'text',
      sorted.map((event) => event.outcome),
    ),
    arrayOf(
      'timestamptz',
      sorted.map((event) => event.occurredAt),
    ),
    now,
  ]);
}

/**
 * Deletes at most `rowsMax` events that were taken in before that time. Answers how many. Their places as an array are gone to one by
 * one, whatever PostgreSQL expects; joined, with old statistics it reads the whole inbox.
 */
export async function pruneInbox(sql: Sql, before: Date, rowsMax: number): Promise<number> {
  const { rowCount } = await sql.query(
    `DELETE FROM event_inbox WHERE ctid = ANY (ARRAY(SELECT ctid FROM event_inbox WHERE received_at < $1 LIMIT $2))`,
    [before, rowsMax],
  );
  return rowCount;
}
