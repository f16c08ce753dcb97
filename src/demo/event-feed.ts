/**
 * The events of the participant's core on their way to ingest: each delivered some time after its change, in another order than they
 * happened in across keys, some twice. What is due is taken in batch by batch, and the backlog reported, as a consumer of a queue does.
 */

import { randomUUID } from 'node:crypto';
import type { KeyType } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';
import { flatEntry } from '../event/flat-entry.ts';
import { type IngestCounts, type IngestDeps, ingestBatch } from '../ingest/ingest-batch.ts';
import { writeProgress } from '../ingest/ingest-progress.ts';
import type { CreatedEntry } from '../simulator/control.ts';
import type { Random } from '../simulator/random.ts';

export type CoreEvent =
  | { readonly action: 'key.created'; readonly created: CreatedEntry; readonly occurredAt: Date }
  /** Cores do not keep the RequestId of the creation, so updates come without it. */
  | { readonly action: 'key.updated'; readonly entry: CreatedEntry['entry']; readonly occurredAt: Date }
  | {
      readonly action: 'key.deleted';
      readonly participant: Participant;
      readonly key: string;
      readonly keyType: KeyType;
      readonly occurredAt: Date;
    };

export interface FeedSettings {
  readonly origin: string;
  readonly deliveryMaxMs: number;
  readonly duplicateShare: number;
  /** The wait between two deliveries to ingest. */
  readonly pumpMs: number;
  readonly batchEvents: number;
}

export interface EventFeed {
  /** An event leaves the core; it arrives when its delivery is due. */
  push(event: CoreEvent): void;
  /** Delivers until stopped. Rejects where the database fails. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when nothing is on its way any more; rejects with the signal's reason. */
  drained(signal: AbortSignal): Promise<void>;
  readonly counts: Readonly<IngestCounts> & { readonly delivered: number };
  /** The longest that a due event has waited for ingest. */
  readonly longestWaitMs: number;
}

interface Delivery {
  readonly dueMs: number;
  readonly bytes: Uint8Array;
  readonly occurredAt: Date;
}

/** Delivers in the order of due times, and never before an earlier event of the same key. */
export function eventFeed(deps: IngestDeps & { readonly random: Random }, settings: FeedSettings): EventFeed {
  const { clock, random } = deps;
  const counts = { applied: 0, superseded: 0, echo: 0, dead: 0, duplicate: 0, delivered: 0 };
  const lastDueMs = new Map<string, number>();
  let waiting: Delivery[] = [];
  let longestWaitMs = 0;

  function push(event: CoreEvent): void {
    const key = keyOf(event);
    const bytes = Buffer.from(JSON.stringify(wireForm(event)));
    const copies = random.next() < settings.duplicateShare ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const drawnMs = clock.now().getTime() + random.next() * settings.deliveryMaxMs;
      // A second copy may come at any time; the first keeps the order of its key.
      const dueMs = copy === 0 ? Math.max(drawnMs, lastDueMs.get(key) ?? 0) : drawnMs;
      if (copy === 0) lastDueMs.set(key, dueMs);
      waiting.push({ dueMs, bytes, occurredAt: event.occurredAt });
    }
  }

  async function pump(): Promise<void> {
    const nowMs = clock.now().getTime();
    // Sorting is stable: events of one key that are due together stay in their order.
    const due = waiting.filter(({ dueMs }) => dueMs <= nowMs).sort((a, b) => a.dueMs - b.dueMs);
    waiting = waiting.filter(({ dueMs }) => dueMs > nowMs);
    for (let from = 0; from < due.length; from += settings.batchEvents) {
      const batch = due.slice(from, from + settings.batchEvents);
      const left = due.slice(from + settings.batchEvents);
      const taken = await ingestBatch(
        deps,
        batch.map(({ bytes }) => ({ bytes, origin: settings.origin })),
        {
          origin: settings.origin,
          consumed: counts.delivered + batch.length,
          backlog: left.length,
          oldestUnconsumedAt: left[0]?.occurredAt ?? null,
          endedAt: null,
        },
      );
      counts.delivered += batch.length;
      for (const outcome of ['applied', 'superseded', 'echo', 'dead', 'duplicate'] as const) counts[outcome] += taken[outcome];
      longestWaitMs = Math.max(longestWaitMs, clock.now().getTime() - (batch[0]?.dueMs ?? Number.POSITIVE_INFINITY));
    }
  }

  let pumping = false;
  return {
    push,
    run: async (signal) => {
      while (!signal.aborted) {
        pumping = true;
        await pump();
        pumping = false;
        await clock.sleep(settings.pumpMs, signal).catch(() => {});
      }
      const { origin } = settings;
      const end = { origin, consumed: counts.delivered, backlog: 0, oldestUnconsumedAt: null, latestOccurredAt: null };
      await writeProgress(deps.database, { ...end, endedAt: clock.now() }, clock.now());
    },
    drained: async (signal) => {
      while (waiting.length > 0 || pumping) await clock.sleep(settings.pumpMs, signal);
    },
    counts,
    get longestWaitMs() {
      return longestWaitMs;
    },
  };
}

function keyOf(event: CoreEvent): string {
  switch (event.action) {
    case 'key.created':
      return event.created.entry.key;
    case 'key.updated':
      return event.entry.key;
    default:
      return event.key;
  }
}

function wireForm(event: CoreEvent): Record<string, unknown> {
  const { action } = event;
  const head = { event_id: randomUUID(), action, occurred_at: event.occurredAt.toISOString() };
  switch (event.action) {
    case 'key.created':
      return { ...head, payload: flatEntry(event.created.entry, event.created.requestId) };
    case 'key.updated':
      return { ...head, payload: flatEntry(event.entry) };
    default:
      return { ...head, payload: { ispb: event.participant, key: event.key, key_type: event.keyType } };
  }
}
