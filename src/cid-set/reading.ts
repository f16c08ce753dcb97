/** The two ways in which a file of CIDs is read: all of it folded into buckets, and the CIDs of chosen buckets with their lines. */

import { CID_BYTES, type Cid } from '../cid/cid.ts';
import { BUCKET_COUNT, bucketOf } from '../vsync/buckets.ts';
import { asVSync, emptyVSync, equalVSync, type VSync, xorInto } from '../vsync/vsync.ts';
import { type BucketSums, emptyBucketSums, foldSum } from './bucket-sums.ts';
import { type CidFile, FileChanged } from './cid-file.ts';
import { LineReader, type LineSink } from './line-reader.ts';
import { takePlainLines } from './plain-lines.ts';

export interface BadLine {
  readonly file: string;
  readonly line: number;
  readonly reason: string;
}

export interface FoldedFile {
  readonly buckets: BucketSums;
  readonly lines: number;
  readonly cids: number;
  readonly badLines: number;
}

/** What a reading tells while it goes on. */
export interface ReadingListener {
  readonly signal: AbortSignal;
  /** Hears each line that is no CID. */
  onBad(bad: BadLine): void;
  /** Hears after each chunk how many lines and bytes of the file are read. */
  onRead(file: CidFile, lines: number, bytes: number): void;
}

/** Folds the whole file. Rejects as `CidFile.chunks` does, and with `EncodingRefused`. */
export async function foldFile(file: CidFile, listener: ReadingListener): Promise<FoldedFile> {
  const buckets = emptyBucketSums();
  let cids = 0;
  let badLines = 0;
  const fold = (cid: Cid): void => {
    cids += 1;
    foldSum(buckets, cid);
  };
  const lines = await readLines(file, listener, {
    plain: (bytes, start) => takePlainLines(bytes, start, fold),
    single: fold,
    bad(line, reason) {
      badLines += 1;
      listener.onBad({ file: file.name, line, reason });
    },
  });
  return { buckets, lines, cids, badLines };
}

/** The buckets whose CIDs are wanted. */
export interface ChosenBuckets {
  /** 1 for each chosen bucket. */
  readonly flags: Uint8Array;
  readonly numbers: readonly number[];
}

/** Flags for these buckets. */
export function chosenBuckets(numbers: readonly number[]): ChosenBuckets {
  const flags = new Uint8Array(BUCKET_COUNT);
  for (const bucket of numbers) flags[bucket] = 1;
  return { flags, numbers };
}

/** Who takes the CIDs of chosen buckets. */
export interface CidTaker {
  /** Waited for before each chunk, which has at most `CHUNK_CIDS_MAX` CIDs. */
  beforeChunk?(): Promise<void>;
  /** One buffer, used again. */
  take(cid: Cid, line: number): void;
}

/**
 * Gives each CID of the chosen buckets, in the order of the lines; then compares what came with what was folded. Rejects as `foldFile`
 * does, and with `FileChanged` where the two do not agree.
 */
export async function collectCids(
  file: CidFile,
  folded: FoldedFile,
  chosen: ChosenBuckets,
  listener: Omit<ReadingListener, 'onBad'>,
  taker: CidTaker,
): Promise<void> {
  const { flags } = chosen;
  const expected = sumOf(folded.buckets, chosen);
  const xor = emptyVSync();
  let count = 0;
  const take = (cid: Cid, line: number): void => {
    if (flags[bucketOf(cid)] !== 1) return;
    count += 1;
    // More than there were would not fit the memory that was made for them.
    if (count > expected.count) throw new FileChanged(file.name);
    xorInto(xor, cid);
    taker.take(cid, line);
  };
  const sink: LineSink = {
    plain(bytes, start, firstLine) {
      let line = firstLine;
      return takePlainLines(bytes, start, (cid) => take(cid, line++));
    },
    single: take,
    bad: () => {},
  };
  await readLines(file, listener, sink, taker.beforeChunk?.bind(taker));
  if (count !== expected.count || !equalVSync(xor, expected.xor)) throw new FileChanged(file.name);
}

async function readLines(
  file: CidFile,
  { signal, onRead }: Omit<ReadingListener, 'onBad'>,
  sink: LineSink,
  beforeChunk?: () => Promise<void>,
): Promise<number> {
  const reader = new LineReader(sink);
  let bytes = 0;
  for await (const chunk of file.chunks(signal)) {
    await beforeChunk?.();
    reader.read(chunk);
    bytes += chunk.length;
    onRead(file, reader.lines, bytes);
  }
  return reader.end();
}

function sumOf({ xors, counts }: BucketSums, { numbers }: ChosenBuckets): { readonly count: number; readonly xor: VSync } {
  const xor = emptyVSync();
  let count = 0;
  for (const bucket of numbers) {
    count += counts[bucket] ?? 0;
    xorInto(xor, asVSync(xors.subarray(bucket * CID_BYTES, (bucket + 1) * CID_BYTES)));
  }
  return { count, xor };
}
