/**
 * The lines of a CID set file as it stands encrypted on the disk, through a reader or folded into buckets. Folding goes by halves, the
 * second one on a thread of its own: segments are proven each by itself, and buckets of two halves are those of the whole. Each thread
 * reads and decrypts what it folds, since what another one has read lies in another processor's cache, which was measured to cost as
 * much again as folding it.
 */

import { stat } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { countSegments, readSealedFile, type Seal, SealedFileRefused, type SegmentRange } from '../platform/sealed-file.ts';
import { siblingModule } from '../platform/sibling-module.ts';
import { mergeBuckets } from '../vsync/buckets.ts';
import { foldLines, type LineReader } from '../vsync/cid-lines.ts';
import type { LineBuckets } from '../vsync/line-kernel.ts';
import { refuseLine } from './cid-set-file.ts';

/** Where it lies and what opens it. */
export interface StoredFile {
  readonly path: string;
  readonly seal: Seal;
}

/** What the thread is told: where its half begins. */
export interface LaterHalf {
  readonly file: StoredFile;
  readonly from: number;
}

/** What it comes to. Null: something about it is not usual, and the whole file is to be read in order, which says what. */
export type FoldedHalf = {
  /** The end of the line that the first half broke off in, its line feed included. */
  readonly head: Uint8Array;
  readonly buckets: LineBuckets;
} | null;

/** After so many segments, some milliseconds, others have their turn. */
const segmentsPerTurn = 8;
/** Smaller files are folded before a thread has started, which takes some 60 ms. */
const halvedFromBytes = 32 * 1_048_576;
const lineFeed = 0x0a;

/** Part of the file, by default all of it, through a reader. Throws `SealedFileRefused`, and what the reader's judge throws. */
export async function readSealedLines(
  file: StoredFile,
  reader: LineReader,
  onProgress: () => Promise<void>,
  range: SegmentRange = {},
): Promise<void> {
  await pass(file, reader, onProgress, range);
  reader.end();
}

async function pass(file: StoredFile, reader: LineReader, onProgress: () => Promise<void>, range: SegmentRange): Promise<void> {
  let read = 0;
  for (const segment of readSealedFile(file.path, file.seal, range)) {
    reader.read(segment);
    if (read++ % segmentsPerTurn !== 0) continue;
    await onProgress();
    await setImmediate();
  }
}

/** The buckets of all lines. Throws `SealedFileRefused`, and `FileRefused` over a line that is no CID. */
export async function foldSealedLines(
  file: StoredFile,
  onProgress: () => Promise<void>,
  halvedFrom = halvedFromBytes,
): Promise<LineBuckets> {
  const { size } = await stat(file.path);
  return (size < halvedFrom ? null : await foldByHalves(file, onProgress)) ?? (await foldWhole(file, onProgress));
}

async function foldWhole(file: StoredFile, onProgress: () => Promise<void>): Promise<LineBuckets> {
  const reader = foldLines(refuseLine);
  await readSealedLines(file, reader, onProgress);
  return reader.buckets;
}

/** Null where either half is not as it should be: which line or segment it is, is told by reading in order. */
async function foldByHalves(file: StoredFile, onProgress: () => Promise<void>): Promise<LineBuckets | null> {
  const middle = countSegments(file.path, file.seal) >> 1;
  if (middle < 1) return null;
  const thread = foldLaterHalf({ file, from: middle });
  try {
    const reader = usualLines();
    await pass(file, reader, onProgress, { to: middle });
    const later = await thread.folded;
    if (later === null) return null;
    reader.read(later.head);
    reader.end();
    return joined(reader.buckets, later.buckets);
  } catch (cause) {
    if (isToldInOrder(cause)) return null;
    throw cause;
  } finally {
    await thread.end();
  }
}

/** A line that the reader's judge would have to look at, whose number is not known within a half. */
class UnusualHalf extends Error {
  override readonly name = 'UnusualHalf';
}

function usualLines(): LineReader & { readonly buckets: LineBuckets } {
  return foldLines(() => {
    throw new UnusualHalf('a line that is not usual');
  });
}

function isToldInOrder(cause: unknown): boolean {
  return cause instanceof UnusualHalf || cause instanceof SealedFileRefused;
}

function joined(buckets: LineBuckets, others: LineBuckets): LineBuckets {
  mergeBuckets(buckets, others);
  // A BigUint64Array wraps by itself.
  for (const [bucket, sum] of others.sums.entries()) buckets.sums[bucket] = (buckets.sums[bucket] ?? 0n) + sum;
  return buckets;
}

function foldLaterHalf(task: LaterHalf): { readonly folded: Promise<FoldedHalf>; end(): Promise<void> } {
  const worker = new Worker(siblingModule(import.meta.url, 'later-half-thread'), {
    workerData: task,
    // It keeps one segment and allocates next to nothing.
    resourceLimits: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 24 },
  });
  const folded = new Promise<FoldedHalf>((resolve) => {
    worker.once('message', resolve);
    // Where the thread itself fails, the whole file is read here.
    worker.once('error', () => resolve(null));
    worker.once('exit', () => resolve(null));
  });
  return {
    folded,
    end: async () => {
      await worker.terminate();
    },
  };
}

/** Folds from the middle of the file on; called in the thread. */
export function foldFrom({ file, from }: LaterHalf): FoldedHalf {
  const reader = usualLines();
  let head: Buffer | null = null;
  try {
    for (const segment of readSealedFile(file.path, file.seal, { from })) {
      if (head !== null) {
        reader.read(segment);
        continue;
      }
      const headBytes = segment.indexOf(lineFeed) + 1;
      if (headBytes === 0) return null;
      head = Buffer.from(segment.subarray(0, headBytes));
      reader.read(segment.subarray(headBytes));
    }
    reader.end();
  } catch (cause) {
    if (isToldInOrder(cause)) return null;
    throw cause;
  }
  return head === null ? null : { head, buckets: copyOf(reader.buckets) };
}

/** The reader's are in the kernel's memory, which cannot be handed over. */
function copyOf({ xors, counts, sums }: LineBuckets): LineBuckets {
  return { xors: xors.slice(), counts: counts.slice(), sums: sums.slice() };
}
