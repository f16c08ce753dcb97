/**
 * The lines of a CID set file as it stands encrypted on the disk, through a reader or folded into buckets. Folding is done by two threads
 * (segment-folding.ts) where the file is worth it; where anything about it is not usual, it is read in order here, which names the line
 * or the segment.
 */

import { stat } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { readSealedFile } from '../platform/sealed-file.ts';
import { siblingModule } from '../platform/sibling-module.ts';
import { foldLines, type LineReader } from '../vsync/cid-lines.ts';
import type { LineBuckets } from '../vsync/line-kernel.ts';
import { refuseLine } from './cid-set-file.ts';
import {
  foldedTogether,
  foldTaken,
  isToldInOrder,
  type SharedFolding,
  type StoredFile,
  shareFolding,
  usualLines,
} from './segment-folding.ts';

/** After so many segments, some milliseconds, others have their turn. */
const segmentsPerTurn = 8;
/** Smaller files are folded before a thread has started, which takes some 60 ms. */
const sharedFromBytes = 32 * 1_048_576;

/** All of the file through a reader. Throws `SealedFileRefused`, and what the reader's judge throws. */
export async function readSealedLines(file: StoredFile, reader: LineReader, onProgress: () => Promise<void>): Promise<void> {
  let read = 0;
  for (const segment of readSealedFile(file.path, file.seal)) {
    reader.read(segment);
    if (read++ % segmentsPerTurn === 0) await turn(onProgress);
  }
  reader.end();
}

/** The buckets of all lines. Throws `SealedFileRefused`, and `FileRefused` over a line that is no CID. */
export async function foldSealedLines(
  file: StoredFile,
  onProgress: () => Promise<void>,
  sharedFrom = sharedFromBytes,
): Promise<LineBuckets> {
  const { size } = await stat(file.path);
  return (size < sharedFrom ? null : await foldTogether(file, onProgress)) ?? (await foldInOrder(file, onProgress));
}

async function foldInOrder(file: StoredFile, onProgress: () => Promise<void>): Promise<LineBuckets> {
  const reader = foldLines(refuseLine);
  await readSealedLines(file, reader, onProgress);
  return reader.buckets;
}

/** Null where something is not as it should be. */
async function foldTogether(file: StoredFile, onProgress: () => Promise<void>): Promise<LineBuckets | null> {
  let beside: ReturnType<typeof startBeside> | null = null;
  try {
    const shared = shareFolding(file);
    if (shared === null) return null;
    beside = startBeside(shared);
    const reader = usualLines();
    let folded = 0;
    for (const _ of foldTaken(shared, reader)) if (folded++ % segmentsPerTurn === 0) await turn(onProgress);
    return await foldedTogether(shared, reader, beside.folded);
  } catch (cause) {
    if (isToldInOrder(cause)) return null;
    throw cause;
  } finally {
    await beside?.end();
  }
}

async function turn(onProgress: () => Promise<void>): Promise<void> {
  await onProgress();
  await setImmediate();
}

function startBeside(shared: SharedFolding): { readonly folded: Promise<LineBuckets | null>; end(): Promise<void> } {
  const worker = new Worker(siblingModule(import.meta.url, 'segment-folding-thread'), {
    workerData: shared,
    // It keeps one segment and allocates next to nothing.
    resourceLimits: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 24 },
  });
  const folded = new Promise<LineBuckets | null>((resolve) => {
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
