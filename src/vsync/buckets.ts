/**
 * Where two sets of CIDs differ: XOR and count of 65,536 buckets, by a CID's first two bytes. 2.3 MB, whatever the number of CIDs.
 * 4,096 buckets would make a comparison fetch 16 times the CIDs; a million fall out of the processor's cache. Pure; the stored ones
 * are bucket-store.ts.
 */

import type { Cid } from '../cid/cid.ts';
import { assert } from '../platform/assert.ts';
import { asVSync, type VSync } from './vsync.ts';

export const BUCKET_COUNT = 65_536;

const xorBytes = 32;
const wordsPerXor = xorBytes / Int32Array.BYTES_PER_ELEMENT;

/** XOR and number of the CIDs of each bucket. Changed in place by `foldCid`. */
export interface Buckets {
  /** 32 bytes for each bucket. */
  readonly xors: Uint8Array;
  readonly counts: Uint32Array;
}

/** The buckets of no CIDs. */
export function emptyBuckets(): Buckets {
  return { xors: new Uint8Array(BUCKET_COUNT * xorBytes), counts: new Uint32Array(BUCKET_COUNT) };
}

/** The bucket a CID falls into: its first two bytes as a number. */
export function bucketOf(cid: Cid): number {
  return ((cid[0] ?? 0) << 8) | (cid[1] ?? 0);
}

/** Adds a CID to its bucket, or takes it out. Throws `InvariantBroken` where an empty bucket would lose one. */
export function foldCid(buckets: Buckets, cid: Cid, change: 'added' | 'removed'): void {
  const { xors, counts } = buckets;
  const bucket = bucketOf(cid);
  const count = (counts[bucket] ?? 0) + (change === 'added' ? 1 : -1);
  assert(count >= 0, `bucket ${bucket} is empty and loses a CID`);
  counts[bucket] = count;
  const start = bucket * xorBytes;
  for (let at = 0; at < xorBytes; at++) xors[start + at] = (xors[start + at] ?? 0) ^ (cid[at] ?? 0);
}

/** Adds the CID that stands there in some bytes, without a view for each: 10,000,000 views cost a second. */
export function foldCidAt({ xors, counts }: Buckets, bytes: Uint8Array, cidAt: number): void {
  const bucket = ((bytes[cidAt] ?? 0) << 8) | (bytes[cidAt + 1] ?? 0);
  counts[bucket] = (counts[bucket] ?? 0) + 1;
  const start = bucket * xorBytes;
  for (let at = 0; at < xorBytes; at++) xors[start + at] = (xors[start + at] ?? 0) ^ (bytes[cidAt + at] ?? 0);
}

/** Adds what other buckets hold, of CIDs that these do not have. By words: byte by byte it took a scan of a million rows 235 ms. */
export function mergeBuckets(buckets: Buckets, other: Buckets): void {
  const [words, otherWords] = [wordsOf(buckets), wordsOf(other)];
  for (let at = 0; at < words.length; at++) words[at] = (words[at] ?? 0) ^ (otherWords[at] ?? 0);
  if (words.buffer !== buckets.xors.buffer) buckets.xors.set(new Uint8Array(words.buffer));
  for (let bucket = 0; bucket < BUCKET_COUNT; bucket++) {
    buckets.counts[bucket] = (buckets.counts[bucket] ?? 0) + (other.counts[bucket] ?? 0);
  }
}

/** XOR over all buckets: the VSync of the set. By words: bucket by bucket it was half of what reading the stored buckets takes. */
export function vsyncOfBuckets(buckets: Buckets): VSync {
  const words = wordsOf(buckets);
  const result = new Int32Array(wordsPerXor);
  for (let at = 0; at < words.length; at++) result[at % wordsPerXor] = (result[at % wordsPerXor] ?? 0) ^ (words[at] ?? 0);
  return asVSync(Buffer.from(result.buffer));
}

/** Sum over all buckets: how many CIDs the set has. */
export function countOfBuckets(buckets: Buckets): number {
  return buckets.counts.reduce((sum, count) => sum + count, 0);
}

/** Numbers of the buckets whose XOR or count differ, ascending. Where none differ, the sets are equal. */
export function differingBuckets(a: Buckets, b: Buckets): number[] {
  const differing: number[] = [];
  const [aWords, bWords] = [wordsOf(a), wordsOf(b)];
  for (let bucket = 0, at = 0; bucket < BUCKET_COUNT; bucket++, at += wordsPerXor) {
    let differs = a.counts[bucket] !== b.counts[bucket];
    for (let word = at; !differs && word < at + wordsPerXor; word++) differs = aWords[word] !== bWords[word];
    if (differs) differing.push(bucket);
  }
  return differing;
}

/** The XORs as 32-bit words, whose order of bytes does not matter to who compares them. A copy where they do not lie at a word. */
function wordsOf({ xors }: Buckets): Int32Array {
  const aligned = xors.byteOffset % Int32Array.BYTES_PER_ELEMENT === 0 ? xors : new Uint8Array(xors);
  return new Int32Array(aligned.buffer, aligned.byteOffset, BUCKET_COUNT * wordsPerXor);
}
