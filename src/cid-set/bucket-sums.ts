/**
 * CIDs folded into 65,536 buckets by their first two bytes: XOR and count as the stored buckets have them, and the wrapping 64-bit sum
 * of the CID's four words beside them. A CID that one file has twice and another one that the other file has twice leave XOR and
 * count as they are; their sums tell them apart.
 */

import { CID_BYTES, type Cid } from '../cid/cid.ts';
import { BUCKET_COUNT, type Buckets, bucketOf, emptyBuckets } from '../vsync/buckets.ts';

/** Changed in place while a file is folded. */
export interface BucketSums extends Buckets {
  readonly sums: BigUint64Array;
}

/** The buckets of no CIDs. */
export function emptyBucketSums(): BucketSums {
  return { ...emptyBuckets(), sums: new BigUint64Array(BUCKET_COUNT) };
}

/** Adds one CID. */
export function foldSum({ xors, counts, sums }: BucketSums, cid: Cid): void {
  const bucket = bucketOf(cid);
  counts[bucket] = (counts[bucket] ?? 0) + 1;
  const start = bucket * CID_BYTES;
  for (let at = 0; at < CID_BYTES; at++) xors[start + at] = (xors[start + at] ?? 0) ^ (cid[at] ?? 0);
  const words = Buffer.from(cid.buffer, cid.byteOffset, CID_BYTES);
  // A typed array keeps the lower 64 bits.
  sums[bucket] =
    (sums[bucket] ?? 0n) +
    words.readBigUInt64LE(0) +
    words.readBigUInt64LE(8) +
    words.readBigUInt64LE(16) +
    words.readBigUInt64LE(24);
}

/** Numbers of the buckets whose count, XOR or sum differ, ascending. Where none differ, both have the same CIDs equally often. */
export function differingSums(a: BucketSums, b: BucketSums): number[] {
  const differing: number[] = [];
  for (let bucket = 0; bucket < BUCKET_COUNT; bucket++) {
    const equal =
      a.counts[bucket] === b.counts[bucket] &&
      a.sums[bucket] === b.sums[bucket] &&
      Buffer.compare(xorOf(a, bucket), xorOf(b, bucket)) === 0;
    if (!equal) differing.push(bucket);
  }
  return differing;
}

function xorOf({ xors }: BucketSums, bucket: number): Uint8Array {
  return xors.subarray(bucket * CID_BYTES, (bucket + 1) * CID_BYTES);
}
