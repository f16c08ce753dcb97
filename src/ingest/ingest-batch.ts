/**
 * One batch of events: inbox, entries, CID history, VSync and journal, dead letters, progress and what the core was waited for. A small
 * batch is one transaction, a large one two at once, of different participants and key types (batch-parts.ts), and progress is written
 * when both are committed. Either all of an event is there afterwards or nothing of it, so a consumer may be killed anywhere and be given
 * the same events again.
 *
 * The VSync rows are locked first, in sorted order: whatever else a part touches belongs to a locked participant and key type, so
 * two consumers never wait for each other in a circle. No part waits for its other one while it holds a lock.
 */

import type { KeyEvent } from '../event/key-event.ts';
import { settleByAcknowledgement, settleByEcho } from '../ledger/core-correction.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database, Transaction } from '../platform/postgres/database.ts';
import { commitKeys, lockScopes, untilUncontended } from './batch-commit.ts';
import { type FoldedEvent, foldGroups, type KeyGroup } from './batch-fold.ts';
import { PartPlan, partsOf } from './batch-parts.ts';
import type { DeadLetter } from './dead-letter.ts';
import { keepDeadLetters } from './dead-letter.ts';
import { readHeldEntries } from './entry-store.ts';
import type { DecodedOne, EventBatch, KeyChange, ReceivedEvent } from './event-batch.ts';
import { decodeBatch } from './event-batch.ts';
import type { TakenEvent } from './event-inbox.ts';
import { knownEvents, takeEvents } from './event-inbox.ts';
import type { IngestProgress } from './ingest-progress.ts';
import { writeProgress } from './ingest-progress.ts';

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

async function acknowledge(tx: Transaction, events: readonly KeyEvent[], now: Date): Promise<TakenEvent[]> {
  const taken: TakenEvent[] = [];
  for (const event of events) {
    if (event.action !== 'core.acknowledged') continue;
    const settled = await settleByAcknowledgement(tx, event, now);
    taken.push({ eventId: event.eventId, outcome: settled ? 'applied' : 'echo', occurredAt: event.occurredAt });
  }
  return taken;
}

/** Counts of nothing. */
export const NO_COUNTS: IngestCounts = { applied: 0, superseded: 0, echo: 0, dead: 0, duplicate: 0 };

/** Counts of two together. */
export function sumOfCounts(a: IngestCounts, b: IngestCounts): IngestCounts {
  return {
    applied: a.applied + b.applied,
    superseded: a.superseded + b.superseded,
    echo: a.echo + b.echo,
    dead: a.dead + b.dead,
    duplicate: a.duplicate + b.duplicate,
  };
}

interface Applied {
  readonly taken: readonly TakenEvent[];
  readonly conflicts: readonly DeadLetter[];
  readonly duplicates: number;
}

async function applyEvents(tx: Transaction, batch: EventBatch, repeats: boolean, now: Date): Promise<Applied> {
  if (batch.events.length === 0) return { taken: [], conflicts: [], duplicates: 0 };
  const locks = await lockScopes(
    tx,
    batch.events.map(({ event }) => event),
    now,
  );
  const ids = batch.events.map(({ event }) => event.eventId);
  const known = repeats ? await knownEvents(tx, ids) : new Set<string>();
  const fresh = known.size === 0 ? batch.events : batch.events.filter(({ event }) => !known.has(event.eventId));
  const groups = known.size === 0 ? batch.groups : batch.groups.flatMap((group) => freshOf(group, known));
  const fold = foldGroups(groups, await readHeldEntries(tx, groups), locks.algorithmOf);
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
  return { taken, conflicts: conflictsOf(fold.events, fresh), duplicates: batch.events.length - fresh.length };
}

/** The group without events that are known; none where none is left. */
function freshOf(group: KeyGroup<KeyChange>, known: ReadonlySet<string>): KeyGroup<KeyChange>[] {
  const events = group.events.filter(({ eventId }) => !known.has(eventId));
  return events.length === 0 ? [] : [{ ...group, events }];
}

function conflictsOf(folded: readonly FoldedEvent<KeyChange>[], fresh: readonly DecodedOne[]): DeadLetter[] {
  if (folded.every(({ dead }) => dead === null)) return [];
  const sources = new Map(fresh.map(({ event, received }) => [event.eventId, received]));
  return folded.flatMap(({ event, dead }): DeadLetter[] => {
    const source = sources.get(event.eventId);
    if (dead === null || source === undefined) return [];
    return [{ ...source, eventId: event.eventId, participant: event.participant, ...dead }];
  });
}

function countsOf(batch: EventBatch, applied: Applied, deadKept: number): IngestCounts {
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

/** What is told of a source once a batch of it is committed. */
type Progress = Omit<IngestProgress, 'latestOccurredAt'>;

/** Takes a batch in: decodes it and commits it. */
export async function ingestBatch(
  deps: IngestDeps,
  received: readonly ReceivedEvent[],
  progress?: Progress,
): Promise<IngestCounts> {
  return await commitBatch(deps, await decodeBatch(received, deps.clock.now()), { progress });
}

export interface CommitOptions {
  /** Written when all events of the batch are committed. */
  readonly progress?: Progress | undefined;
  /**
   * Whether events of the batch are likely to be in the inbox already, as when a stream is read again: the inbox is then asked first.
   * Else it is only inserted into, and asked when that fails. Default: false.
   */
  readonly repeats?: boolean | undefined;
  /** How batches of the same stream are cut into parts. */
  readonly plan?: PartPlan | undefined;
  /**
   * The batch of the same stream before this one, where it may still be under way: parts are committed beside those of it that touch
   * other participants and key types, and progress is written after its.
   */
  readonly before?: Promise<unknown> | undefined;
}

/**
 * Commits a decoded batch. Bad events become dead letters and the rest proceeds; only the database can make this reject, and then nothing
 * of the batch has happened, or, of a large one, only that of some participants and key types: the same batch can be given again.
 */
export async function commitBatch(deps: IngestDeps, batch: EventBatch, options: CommitOptions = {}): Promise<IngestCounts> {
  const { progress, repeats = false, plan = new PartPlan(), before } = options;
  const written = progress === undefined ? undefined : { ...progress, latestOccurredAt: latest(batch.events) };
  const parts = partsOf(batch, plan);
  if (parts.length === 1) {
    await before;
    return await commitPart(deps, batch, { progress: written, repeats });
  }
  const outcomes = await Promise.allSettled(parts.map((part) => commitPart(deps, part, { progress: undefined, repeats })));
  let counts = NO_COUNTS;
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') throw outcome.reason;
    counts = sumOfCounts(counts, outcome.value);
  }
  await before;
  if (written !== undefined) await writeProgress(deps.database, written, deps.clock.now());
  return counts;
}

async function commitPart(
  deps: IngestDeps,
  batch: EventBatch,
  { progress, repeats }: { readonly progress: IngestProgress | undefined; readonly repeats: boolean },
): Promise<IngestCounts> {
  return await untilUncontended((attempt) =>
    deps.database.transaction(async (tx) => {
      const now = deps.clock.now();
      // A first attempt that met an event it did not expect tells by a unique violation.
      const applied = await applyEvents(tx, batch, repeats || attempt > 1, now);
      const deadKept = await keepDeadLetters(tx, [...batch.invalid, ...applied.conflicts], now);
      if (progress !== undefined) await writeProgress(tx, progress, now);
      return countsOf(batch, applied, deadKept);
    }),
  );
}

function latest(events: readonly DecodedOne[]): Date | null {
  let time: Date | null = null;
  for (const { event } of events) if (time === null || event.occurredAt > time) time = event.occurredAt;
  return time;
}
