/** The two ways in which a file of CIDs is read: all of it folded into buckets, and the CIDs of chosen buckets with their lines. */

import { CID_BYTES, type Cid } from '../cid/cid.ts';
import { FileChanged } from '../platform/input-file.ts';
import { BUCKET_COUNT, countOfBuckets } from '../vsync/buckets.ts';
import {
  collectLines,
  collectTogether,
  type FoundLines,
  foldLines,
  type LineJudge,
  type LineReader,
  newLineKernel,
  type UnusualLine,
} from '../vsync/cid-lines.ts';
import { foldLine } from '../vsync/line-fold.ts';
import { LINE_BYTES, type LineBuckets } from '../vsync/line-kernel.ts';
import { asVSync, emptyVSync, equalVSync, type VSync, xorInto } from '../vsync/vsync.ts';
import type { CidFile } from './cid-file.ts';
import { judgeLine } from './line-judge.ts';

export interface BadLine {
  readonly file: string;
  readonly line: number;
  readonly reason: string;
}

export interface FoldedFile {
  readonly buckets: LineBuckets;
  readonly lines: number;
  readonly cids: number;
  readonly badLines: number;
}

/** A file that was folded, to be read again. */
export interface ReadFile {
  readonly file: CidFile;
  readonly folded: FoldedFile;
}

/** What a reading tells while it goes on. */
export interface ReadingListener {
  readonly signal: AbortSignal;
  /** Hears each line that is no CID. */
  onBad(bad: BadLine): void;
  /** Hears after each chunk how much of the file is read. Lines are reckoned from bytes. */
  onRead(file: CidFile, bytes: number, lines: number): void;
}

/** Folds the whole file. Rejects as `CidFile.chunks` does, and with `EncodingRefused`. */
export async function foldFile(file: CidFile, listener: ReadingListener): Promise<FoldedFile> {
  const judged = judgeOf(file, listener);
  const reader = foldLines(judged.judge);
  const lines = await readThrough(file, listener, reader);
  return { buckets: reader.buckets, lines, cids: countOfBuckets(reader.buckets), badLines: judged.badLines };
}

/** The same, giving each CID to be looked at on the way: several times slower. The CID lies in a buffer that is used again. */
export async function foldFileWatching(
  file: CidFile,
  listener: ReadingListener,
  onCid: (cid: Cid, line: number) => void,
): Promise<FoldedFile> {
  const judged = judgeOf(file, listener);
  const kernel = newLineKernel();
  const { buckets } = kernel;
  const take = (cid: Cid, line: number): void => {
    foldLine(buckets, cid);
    onCid(cid, line);
  };
  const lines = await readThrough(file, listener, collectLines(everyBucket(), take, judged.judge, kernel));
  return { buckets, lines, cids: countOfBuckets(buckets), badLines: judged.badLines };
}

function* everyBucket(): Generator<number, void, undefined> {
  for (let bucket = 0; bucket < BUCKET_COUNT; bucket++) yield bucket;
}

function judgeOf(file: CidFile, { onBad }: ReadingListener): { readonly judge: LineJudge; readonly badLines: number } {
  let badLines = 0;
  return {
    judge(unusual) {
      const judged = judgeLine(unusual, file.name);
      if (typeof judged !== 'string') return judged;
      badLines += 1;
      onBad({ file: file.name, line: unusual.number, reason: judged });
      return null;
    },
    get badLines() {
      return badLines;
    },
  };
}

/** Who takes the CIDs of chosen buckets. */
export interface CidTaker {
  /** Waited for before each chunk, which has at most `CHUNK_CIDS_MAX` CIDs. */
  beforeChunk?(): Promise<void>;
  take(found: FoundLines): void;
}

/**
 * Gives the CIDs of the chosen buckets, in the order of the lines; then compares what came with what was folded. Rejects as `foldFile`
 * does, and with `FileChanged` where the two do not agree.
 */
export async function collectCids(
  { file, folded }: ReadFile,
  buckets: readonly number[],
  listener: Omit<ReadingListener, 'onBad'>,
  taker: CidTaker,
): Promise<void> {
  const expected = sumOf(folded.buckets, buckets);
  const xor = new Uint32Array(CID_BYTES / 4);
  let count = 0;
  const take = (found: FoundLines): void => {
    count += found.count;
    // More than there were would not fit the memory that was made for them.
    if (count > expected.count) throw new FileChanged(file.name);
    xorTogether(xor, found);
    taker.take(found);
  };
  const judge = (unusual: UnusualLine): Cid | null => {
    const judged = judgeLine(unusual, file.name);
    return typeof judged === 'string' ? null : judged;
  };
  await readThrough(file, listener, collectTogether(buckets, take, judge), taker.beforeChunk?.bind(taker));
  if (count !== expected.count || !equalVSync(asVSync(new Uint8Array(xor.buffer)), expected.xor))
    throw new FileChanged(file.name);
}

/** Word by word: byte by byte it would take longer than the kernel takes to find them. */
function xorTogether(xor: Uint32Array, { cids, count }: FoundLines): void {
  const bytes = cids.byteOffset % 4 === 0 ? cids : cids.slice();
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, count * xor.length);
  for (let at = 0; at < words.length; at++) xor[at & 7] = (xor[at & 7] ?? 0) ^ (words[at] ?? 0);
}

async function readThrough(
  file: CidFile,
  { signal, onRead }: Omit<ReadingListener, 'onBad'>,
  reader: LineReader,
  beforeChunk?: () => Promise<void>,
): Promise<number> {
  let bytes = 0;
  for await (const chunk of file.chunks(signal)) {
    await beforeChunk?.();
    reader.read(chunk);
    bytes += chunk.length;
    onRead(file, bytes, Math.round(bytes / LINE_BYTES));
  }
  return reader.end();
}

function sumOf({ xors, counts }: LineBuckets, numbers: readonly number[]): { readonly count: number; readonly xor: VSync } {
  const xor = emptyVSync();
  let count = 0;
  for (const bucket of numbers) {
    count += counts[bucket] ?? 0;
    xorInto(xor, asVSync(xors.subarray(bucket * CID_BYTES, (bucket + 1) * CID_BYTES)));
  }
  return { count, xor };
}
