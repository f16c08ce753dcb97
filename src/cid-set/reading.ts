/** The two ways in which a file of CIDs is read: all of it folded into buckets, and the CIDs of chosen buckets with their lines. */

import { CID_BYTES, type Cid } from '../cid/cid.ts';
import { countOfBuckets } from '../vsync/buckets.ts';
import { collectLines, foldLines, type LineReader, type UnusualLine } from '../vsync/cid-lines.ts';
import type { LineBuckets } from '../vsync/line-kernel.ts';
import { asVSync, emptyVSync, equalVSync, type VSync, xorInto } from '../vsync/vsync.ts';
import { type CidFile, FileChanged } from './cid-file.ts';
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

/** What a reading tells while it goes on. */
export interface ReadingListener {
  readonly signal: AbortSignal;
  /** Hears each line that is no CID. */
  onBad(bad: BadLine): void;
  /** Hears after each chunk how many bytes of the file are read. */
  onRead(file: CidFile, bytes: number): void;
}

/** Folds the whole file. Rejects as `CidFile.chunks` does, and with `EncodingRefused`. */
export async function foldFile(file: CidFile, listener: ReadingListener): Promise<FoldedFile> {
  let badLines = 0;
  const reader = foldLines((unusual) => {
    const judged = judgeLine(unusual, file.name);
    if (typeof judged !== 'string') return judged;
    badLines += 1;
    listener.onBad({ file: file.name, line: unusual.number, reason: judged });
    return null;
  });
  const lines = await readThrough(file, listener, reader);
  return { buckets: reader.buckets, lines, cids: countOfBuckets(reader.buckets), badLines };
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
  buckets: readonly number[],
  listener: Omit<ReadingListener, 'onBad'>,
  taker: CidTaker,
): Promise<void> {
  const expected = sumOf(folded.buckets, buckets);
  const xor = emptyVSync();
  let count = 0;
  const take = (cid: Cid, line: number): void => {
    count += 1;
    // More than there were would not fit the memory that was made for them.
    if (count > expected.count) throw new FileChanged(file.name);
    xorInto(xor, cid);
    taker.take(cid, line);
  };
  const judge = (unusual: UnusualLine): Cid | null => {
    const judged = judgeLine(unusual, file.name);
    return typeof judged === 'string' ? null : judged;
  };
  await readThrough(file, listener, collectLines(buckets, take, judge), taker.beforeChunk?.bind(taker));
  if (count !== expected.count || !equalVSync(xor, expected.xor)) throw new FileChanged(file.name);
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
    onRead(file, bytes);
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
