/**
 * Events as they came, decoded: what can be applied, what is refused with the reason, and what the batch holds twice. Needs no database,
 * so that the next batch can be decoded while the present one is committed.
 */

import { setImmediate } from 'node:timers/promises';
import { decodeEvent } from '../event/event-decoding.ts';
import type { CoreAcknowledged, KeyEvent } from '../event/key-event.ts';
import { groupByKey, type KeyGroup } from './batch-fold.ts';
import type { DeadLetter } from './dead-letter.ts';

/** One event as it came. */
export interface ReceivedEvent {
  /** JSON, UTF-8; see src/event/. */
  readonly bytes: Uint8Array;
  /** Where it came from, such as `file:/path line 17`; shown with a dead letter. */
  readonly origin: string;
  /** Set where the source itself found it unacceptable; the bytes are then the part of it that was read. */
  readonly refused?: { readonly reason: 'line_too_long'; readonly detail: string };
}

/** An event more than this ahead of our clock is refused: until then it would win over everything about its key. */
const aheadMaxMs = 24 * 3_600_000;

/** An event that can be applied, and what it was read from. */
export interface DecodedOne {
  readonly event: KeyEvent;
  readonly received: ReceivedEvent;
}

export interface EventBatch {
  /** Each id once. */
  readonly events: readonly DecodedOne[];
  /** Those of them that change a key, by their keys. */
  readonly groups: readonly KeyGroup<KeyChange>[];
  readonly invalid: readonly DeadLetter[];
  /** Second deliveries within the batch itself. */
  readonly repeated: number;
}

export type KeyChange = Exclude<KeyEvent, CoreAcknowledged>;

/** How many events are decoded before others get a turn: well under a millisecond. */
const turnEvents = 32;

/** Decodes events, leaving turns to a commit that runs meanwhile. */
export async function decodeBatch(received: readonly ReceivedEvent[], now: Date): Promise<EventBatch> {
  const limits = { occurredAtMax: new Date(now.getTime() + aheadMaxMs) };
  const invalid: DeadLetter[] = [];
  const events = new Map<string, DecodedOne>();
  let repeated = 0;
  for (const [at, one] of received.entries()) {
    if (at % turnEvents === turnEvents - 1) await setImmediate();
    const { bytes, origin, refused } = one;
    if (refused !== undefined) {
      invalid.push({ bytes, origin, eventId: null, participant: null, ...refused });
      continue;
    }
    const decoded = decodeEvent(bytes, limits);
    if (!decoded.valid) {
      const { eventId, participant, reason, detail } = decoded;
      invalid.push({ bytes, origin, eventId, participant, reason, detail });
    } else if (events.has(decoded.event.eventId)) {
      repeated += 1;
    } else {
      events.set(decoded.event.eventId, { event: decoded.event, received: one });
    }
  }
  const changes = [...events.values()].flatMap(({ event }) => (event.action === 'core.acknowledged' ? [] : [event]));
  return { events: [...events.values()], groups: groupByKey(changes), invalid, repeated };
}
