/**
 * One batch of events, one transaction: inbox, entries, CID history, VSync and journal, dead letters, progress and what the core was
 * waited for. Either all of it is there afterwards or none, so a consumer may be killed anywhere and be given the same events again.
 *
 * The VSync rows are locked first, in sorted order: whatever else a batch touches belongs to a locked participant and key type, so
 * two consumers never wait for each other in a circle. One transaction per event was measured at a hundredth of the speed.
 */

import { decodeEvent } from '../event/event-decoding.ts';
import type { KeyEvent } from '../event/key-event.ts';
import { settleByAcknowledgement, settleByEcho } from '../ledger/core-correction.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database, Transaction } from '../platform/postgres/database.ts';
import { commitKeys, lockScopes, lockStates, untilUncontended } from './batch-commit.ts';
import { foldBatch } from './batch-fold.ts';
import type { DeadLetter } from './dead-letter.ts';
import { keepDeadLetters } from './dead-letter.ts';
import type { TakenEvent } from './event-inbox.ts';
import { knownEvents, takeEvents } from './event-inbox.ts';
import type { IngestProgress } from './ingest-progress.ts';
import { writeProgress } from './ingest-progress.ts';

/** One event as it came. */
export interface ReceivedEvent {
  /** JSON, UTF-8; see src/event/. */
  readonly bytes: Uint8Array;
  /** Where it came from, such as `file:/path line 17`; shown with a dead letter. */
  readonly origin: string;
  /** Set where the source itself found it unacceptable; the bytes are then the part of it that was read. */
  readonly refused?: { readonly reason: 'line_too_long'; readonly detail: string };
}

export interface IngestDeps {
  readonly database: Database;
  readonly clock: Clock;
}

/** What became of a batch's events; each counts once. */
export interface IngestCounts {
  /** Changed the present. */
  readonly applied: number;
  /** Older than the present: history only. */
  readonly superseded: number;
  /** Said what is here already. */
  readonly echo: number;
  /** Not applicable; kept as dead letters. */
  readonly dead: number;
  /** Delivered before. */
  readonly duplicate: number;
}

/** An event more than this ahead of our clock is refused: until then it would win over everything about its key. */
const aheadMaxMs = 24 * 3_600_000;

type Decoded = { readonly event: KeyEvent; readonly received: ReceivedEvent };

interface Batch {
  readonly events: readonly Decoded[];
  readonly invalid: readonly DeadLetter[];
  /** Second deliveries within the batch itself. */
  readonly repeated: number;
}

function decodeBatch(received: readonly ReceivedEvent[], now: Date): Batch {
  const limits = { occurredAtMax: new Date(now.getTime() + aheadMaxMs) };
  const invalid: DeadLetter[] = [];
  const events = new Map<string, Decoded>();
  let repeated = 0;
  for (const one of received) {
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
  return { events: [...events.values()], invalid, repeated };
}

async function acknowledge(tx: Transaction, events: readonly KeyEvent[], now: Date): Promise<TakenEvent[]> {
  const taken: TakenEvent[] = [];
  for (const event of events) {
    if (event.action !== 'core.acknowledged') continue;
    const settled = await settleByAcknowledgement(tx, event, now);
    taken.push({ eventId: event.eventId, outcome: settled ? 'applied' : 'echo', occurredAt: event.occurredAt });
  }
  return taken;
}

interface Applied {
  readonly taken: readonly TakenEvent[];
  readonly conflicts: readonly DeadLetter[];
  readonly duplicates: number;
}

async function applyEvents(tx: Transaction, decoded: readonly Decoded[], now: Date): Promise<Applied> {
  if (decoded.length === 0) return { taken: [], conflicts: [], duplicates: 0 };
  const locks = await lockScopes(
    tx,
    decoded.map(({ event }) => event),
    now,
  );
  const known = await knownEvents(
    tx,
    decoded.map(({ event }) => event.eventId),
  );
  const fresh = decoded.filter(({ event }) => !known.has(event.eventId));
  const changes = fresh.flatMap(({ event }) => (event.action === 'core.acknowledged' ? [] : [event]));
  const fold = foldBatch(changes, await lockStates(tx, changes), locks.algorithmOf);
  await commitKeys(tx, locks, fold.keys, 'event', now);
  await settleByEcho(
    tx,
    fold.keys.flatMap((key) => key.coreState ?? []),
    now,
  );
  const acknowledged = await acknowledge(
    tx,
    fresh.map(({ event }) => event),
    now,
  );
  const folded = fold.events.map(({ event, outcome }) => ({ eventId: event.eventId, outcome, occurredAt: event.occurredAt }));
  const taken = [...folded, ...acknowledged];
  await takeEvents(tx, taken, now);
  const received = new Map(fresh.map((one) => [one.event.eventId, one.received]));
  const conflicts = fold.events.flatMap(({ event, dead }): DeadLetter[] => {
    const source = received.get(event.eventId);
    if (dead === null || source === undefined) return [];
    return [{ ...source, eventId: event.eventId, participant: event.participant, ...dead }];
  });
  return { taken, conflicts, duplicates: decoded.length - fresh.length };
}

function countsOf(batch: Batch, applied: Applied, deadKept: number): IngestCounts {
  const deadRead = batch.invalid.length + applied.conflicts.length;
  const having = (outcome: string): number => applied.taken.filter((event) => event.outcome === outcome).length;
  return {
    applied: having('applied'),
    superseded: having('superseded'),
    echo: having('echo'),
    dead: deadKept,
    duplicate: batch.repeated + applied.duplicates + deadRead - deadKept,
  };
}

/**
 * Takes a batch in. Bad events become dead letters and the rest proceeds; only the database can make this reject, and then nothing of
 * the batch has happened. `progress`: written in the same transaction.
 */
export async function ingestBatch(
  deps: IngestDeps,
  received: readonly ReceivedEvent[],
  progress?: Omit<IngestProgress, 'latestOccurredAt'>,
): Promise<IngestCounts> {
  const batch = decodeBatch(received, deps.clock.now());
  return await untilUncontended(() =>
    deps.database.transaction(async (tx) => {
      const now = deps.clock.now();
      const applied = await applyEvents(tx, batch.events, now);
      const deadKept = await keepDeadLetters(tx, [...batch.invalid, ...applied.conflicts], now);
      if (progress !== undefined) await writeProgress(tx, { ...progress, latestOccurredAt: latest(batch.events) }, now);
      return countsOf(batch, applied, deadKept);
    }),
  );
}

function latest(events: readonly Decoded[]): Date | null {
  let time: Date | null = null;
  for (const { event } of events) if (time === null || event.occurredAt > time) time = event.occurredAt;
  return time;
}
