/**
 * A stream of NDJSON events taken in, batch by batch, two of them under way at once. A batch closes when it has enough events or bytes, or when its first
 * event has waited long enough. Starting again from the beginning is how it resumes: what was taken in already is recognised, so
 * no position has to be trusted to a file that may have been replaced.
 */

import { decodeEvent } from '../event/event-decoding.ts';
import { PARTED_EVENTS_MIN, PartPlan } from './batch-parts.ts';
import type { EventBatch, ReceivedEvent } from './event-batch.ts';
import { decodeBatch } from './event-batch.ts';
import type { EventLine } from './event-lines.ts';
import { LineCutter } from './event-lines.ts';
import type { IngestCounts, IngestDeps } from './ingest-batch.ts';
import { commitBatch, NO_COUNTS, sumOfCounts } from './ingest-batch.ts';
import { writeProgress } from './ingest-progress.ts';

export interface IngestSettings {
  readonly batchEvents: number;
  readonly batchBytes: number;
  /** How long the first event of a batch waits for others. */
  readonly batchWaitMs: number;
  readonly lineBytesMax: number;
}

/**
 * A batch is that large only where so many events wait: 4,000 against 1,000 cost a quarter less processor time each, and take a third of a
 * second to commit. Who comes alone waits `batchWaitMs` at most.
 */
export const INGEST_DEFAULTS: IngestSettings = {
  batchEvents: 4_000,
  batchBytes: 4_194_304,
  batchWaitMs: 200,
  lineBytesMax: 1_048_576,
};

export interface EventSource {
  /** Such as `file:/path` or `stdin`. */
  readonly origin: string;
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Length of the whole stream where it is known. */
  readonly totalBytes: number | null;
}

export interface IngestedStream extends IngestCounts {
  /** Lines taken in. */
  readonly lines: number;
  /** False where the signal stopped it before the end. */
  readonly complete: boolean;
}

interface Reading {
  readonly source: EventSource;
  readonly iterator: AsyncIterator<Uint8Array>;
  readonly cutter: LineCutter;
  readonly queue: EventLine[];
  queuedBytes: number;
  /** The chunk being read; kept between batches so that none is lost to a wait that ended first. */
  pending: Promise<IteratorResult<Uint8Array>> | null;
  ended: boolean;
}

function enqueue(reading: Reading, lines: readonly EventLine[]): void {
  for (const line of lines) {
    reading.queue.push(line);
    reading.queuedBytes += line.bytes.length;
  }
}

/** Reads on until a batch is full, the source has ended, or the first queued line has waited long enough. */
async function fill(deps: IngestDeps, reading: Reading, settings: IngestSettings, signal: AbortSignal): Promise<void> {
  let deadline: { readonly over: Promise<'over'>; readonly timer: AbortController } | null = null;
  let stop = (): void => {};
  const stopped = new Promise<'over'>((resolve) => {
    stop = () => resolve('over');
  });
  signal.addEventListener('abort', stop);
  try {
    while (!reading.ended && !signal.aborted && !isFull(reading, settings)) {
      if (reading.queue.length > 0 && deadline === null) {
        const timer = new AbortController();
        const over = deps.clock.sleep(settings.batchWaitMs, timer.signal).then(
          () => 'over' as const,
          () => 'over' as const,
        );
        deadline = { over, timer };
      }
      reading.pending ??= reading.iterator.next();
      // A promise that stays open keeps what the others of its races came to: never a chunk, of which one line may have thousands.
      const read = reading.pending.then(() => 'read' as const);
      const first = await Promise.race([read, stopped, ...(deadline === null ? [] : [deadline.over])]);
      if (first === 'over') return;
      const next = await reading.pending;
      reading.pending = null;
      reading.ended = next.done === true;
      enqueue(reading, next.done === true ? reading.cutter.end() : reading.cutter.push(next.value));
    }
  } finally {
    deadline?.timer.abort();
    signal.removeEventListener('abort', stop);
  }
}

function isFull(reading: Reading, settings: IngestSettings): boolean {
  return reading.queue.length >= settings.batchEvents || reading.queuedBytes >= settings.batchBytes;
}

/** At least one line, then as many as the limits allow. */
function cutBatch(reading: Reading, settings: IngestSettings): EventLine[] {
  let bytes = 0;
  let lines = 0;
  for (const line of reading.queue) {
    bytes += line.bytes.length;
    if (lines > 0 && (lines >= settings.batchEvents || bytes > settings.batchBytes)) break;
    lines += 1;
  }
  const batch = reading.queue.splice(0, lines);
  for (const line of batch) reading.queuedBytes -= line.bytes.length;
  return batch;
}

function receivedOf(origin: string, line: EventLine, lineBytesMax: number): ReceivedEvent {
  const event = { bytes: line.bytes, origin: `${origin} line ${line.number}` };
  if (line.tooLongBytes === null) return event;
  const detail = `event: the line has ${line.tooLongBytes} bytes; at most ${lineBytesMax} are allowed (its beginning is kept)`;
  return { ...event, refused: { reason: 'line_too_long', detail } };
}

/** Lines that wait: counted where all are read, estimated by the mean line of a stream whose length is known, else null. */
function backlogOf(reading: Reading, consumed: number, endOffset: number): number | null {
  if (reading.ended) return reading.queue.length;
  const { totalBytes } = reading.source;
  if (totalBytes === null) return null;
  const bytesLeft = Math.max(totalBytes - endOffset, 0);
  return Math.max(Math.ceil(bytesLeft / (endOffset / consumed)), reading.queue.length);
}

function nextOccurredAt(reading: Reading, now: Date): Date | null {
  const next = reading.queue[0];
  if (next === undefined) return null;
  const decoded = decodeEvent(next.bytes, { occurredAtMax: now });
  return decoded.valid ? decoded.event.occurredAt : null;
}

type SoFar = IngestCounts & { readonly lines: number; readonly bytes: number };

/**
 * Commits batch by batch. Two large ones are under way at once, so that one computes while the log of the other is written to disk: parts
 * of the later one wait for the earlier one's locks where they touch the same participant and key type.
 */
async function commitAll(
  deps: IngestDeps,
  reading: Reading,
  settings: IngestSettings,
  signal: AbortSignal,
  onBatch: (soFar: SoFar) => void,
): Promise<SoFar> {
  const { origin } = reading.source;
  const plan = new PartPlan();
  let soFar: SoFar = { ...NO_COUNTS, lines: 0, bytes: 0 };
  let reached = { lines: 0, bytes: 0 };
  // Whether the last batch had events that were in the inbox already: a stream is being read again, and the next may have more.
  let repeats = false;
  /** All batches so far, each committed and told in its turn. */
  let finished = Promise.resolve();
  let last: Promise<unknown> = finished;
  let next = await readBatch(deps, reading, settings, signal);
  try {
    // Ends with the source, or with the signal.
    while (next !== null) {
      const { lines, decoded } = next;
      reached = { lines: reached.lines + lines.length, bytes: lines.at(-1)?.endOffset ?? reached.bytes };
      const oldestUnconsumedAt = nextOccurredAt(reading, deps.clock.now());
      const backlog = backlogOf(reading, reached.lines, reached.bytes);
      const progress = { origin, consumed: reached.lines, backlog, oldestUnconsumedAt, endedAt: null };
      const [before, upTo] = [finished, reached];
      const committed = commitBatch(deps, decoded, { progress, repeats, plan, before });
      finished = before.then(async () => {
        const counts = await committed;
        repeats = counts.duplicate > decoded.repeated;
        soFar = { ...sumOfCounts(soFar, counts), ...upTo };
        onBatch(soFar);
      });
      last = committed;
      // Read and decoded while the database commits. What fails is heard when its turn has come.
      const following = readBatch(deps, reading, settings, signal);
      for (const promise of [committed, finished, following]) promise.catch(() => {});
      await (decoded.events.length < PARTED_EVENTS_MIN ? finished : before);
      if (signal.aborted) {
        const left = await following.catch(() => null);
        reading.queue.unshift(...(left?.lines ?? []));
        break;
      }
      await Promise.race([following, finished]);
      next = await following;
    }
    await finished;
  } finally {
    await last.catch(() => {});
  }
  return soFar;
}

/**
 * Takes the stream in to its end, or until the signal says stop: then the batch in hand is finished first. `onBatch` hears the counts so
 * far after each commit.
 */
export async function ingestStream(
  deps: IngestDeps,
  source: EventSource,
  settings: IngestSettings,
  signal: AbortSignal,
  onBatch: (soFar: IngestCounts & { readonly lines: number; readonly bytes: number }) => void = () => {},
): Promise<IngestedStream> {
  const reading: Reading = {
    source,
    iterator: source.chunks[Symbol.asyncIterator](),
    cutter: new LineCutter(settings.lineBytesMax),
    queue: [],
    queuedBytes: 0,
    pending: null,
    ended: false,
  };
  const soFar = await commitAll(deps, reading, settings, signal, onBatch);
  const complete = reading.ended && reading.queue.length === 0;
  const { bytes, ...counts } = soFar;
  await endProgress(deps, reading, counts.lines, bytes);
  return { ...counts, complete };
}

interface ReadBatch {
  readonly lines: readonly EventLine[];
  readonly decoded: EventBatch;
}

/** The next batch, read and decoded; null at the end of the source, or where the signal came before there was any. */
async function readBatch(
  deps: IngestDeps,
  reading: Reading,
  settings: IngestSettings,
  signal: AbortSignal,
): Promise<ReadBatch | null> {
  await fill(deps, reading, settings, signal);
  const lines = cutBatch(reading, settings);
  if (lines.length === 0) return null;
  const received = lines.map((line) => receivedOf(reading.source.origin, line, settings.lineBytesMax));
  return { lines, decoded: await decodeBatch(received, deps.clock.now()) };
}

async function endProgress(deps: IngestDeps, reading: Reading, lines: number, bytes: number): Promise<void> {
  const now = deps.clock.now();
  const waiting = lines === 0 ? reading.queue.length : backlogOf(reading, lines, bytes);
  const oldestUnconsumedAt = nextOccurredAt(reading, now);
  const { origin } = reading.source;
  await writeProgress(
    deps.database,
    { origin, consumed: lines, backlog: waiting, oldestUnconsumedAt, latestOccurredAt: null, endedAt: now },
    now,
  );
  // A source that was left before its end is told so; the chunk it may still be reading is of no interest any more.
  if (!reading.ended) {
    reading.pending?.catch(() => {});
    void reading.iterator.return?.().catch(() => {});
  }
}
