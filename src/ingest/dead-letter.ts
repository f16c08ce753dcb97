/**
 * Events that could not be applied, kept byte for byte with the reason. A dead letter is known by its bytes and reason: the same line
 * read again after a crash is the same dead letter.
 */

import { hash } from 'node:crypto';
import type { Participant } from '../dict/participant.ts';
import type { InvalidReason } from '../event/key-event.ts';
import type { Transaction } from '../platform/postgres/database.ts';

/** Reasons that show only against the state of the key. */
export type DeadReason = InvalidReason | 'request_id_conflict';

export interface DeadLetter {
  readonly bytes: Uint8Array;
  readonly eventId: string | null;
  readonly participant: Participant | null;
  readonly reason: DeadReason;
  /** Names the field, what was given and what would be right. */
  readonly detail: string;
  /** Where it came from, such as `file:/path line 17`. */
  readonly origin: string;
}

/** A UUID (version 8) made of the content; of a line that was cut, the detail tells how long it was. */
function idOf(letter: DeadLetter): string {
  const about = letter.reason === 'line_too_long' ? letter.detail : letter.reason;
  const hex = hash('sha256', Buffer.concat([Buffer.from(`${about}\n`), letter.bytes]), 'hex');
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join('-');
}

/** Keeps dead letters; returns how many were not kept already. */
export async function keepDeadLetters(tx: Transaction, letters: readonly DeadLetter[], now: Date): Promise<number> {
  if (letters.length === 0) return 0;
  const byId = new Map<string, DeadLetter>();
  for (const letter of letters) {
    const id = idOf(letter);
    if (!byId.has(id)) byId.set(id, letter);
  }
  const rows = [...byId].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const { rowCount } = await tx.query(
    `INSERT INTO event_dead_letters (id, event_id, participant, raw, reason, detail, origin, received_at)
     SELECT id, event_id, participant, raw, reason, detail, origin, $8
     FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::text[])
       AS letter (id, event_id, participant, raw, reason, detail, origin)
     ON CONFLICT DO NOTHING`,
    [
      rows.map(([id]) => id),
      rows.map(([, letter]) => letter.eventId),
      rows.map(([, letter]) => letter.participant),
      rows.map(([, letter]) => Buffer.from(letter.bytes)),
      rows.map(([, letter]) => letter.reason),
      rows.map(([, letter]) => letter.detail),
      rows.map(([, letter]) => letter.origin),
      now,
    ],
  );
  return rowCount;
}
