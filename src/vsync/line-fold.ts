/**
 * One line of CIDs, one CID: its digits, and what it adds to the buckets of lines. For lines that are too few or too unusual for the
 * WebAssembly kernel, with which it agrees.
 */

import { asCid, CID_BYTES, type Cid } from '../cid/cid.ts';
import { BUCKET_COUNT, bucketOf, foldCid, mergeBuckets } from './buckets.ts';
import type { LineBuckets } from './line-kernel.ts';

const noDigit = 255;

/** Value of a hex digit by its character code. */
const digits = new Uint8Array(256).fill(noDigit);
for (let value = 0; value < 16; value++) {
  const digit = value.toString(16);
  digits[digit.charCodeAt(0)] = value;
  digits[digit.toUpperCase().charCodeAt(0)] = value;
}

const scratch = new Uint8Array(CID_BYTES);

/** The CID of 64 hex digits at that position, in a buffer that the next call uses again; null where it is none. */
export function readHexCid(bytes: Uint8Array, at: number): Cid | null {
  for (let index = 0; index < CID_BYTES; index++) {
    const high = digits[bytes[at + 2 * index] ?? 0] ?? noDigit;
    const low = digits[bytes[at + 2 * index + 1] ?? 0] ?? noDigit;
    if (high === noDigit || low === noDigit) return null;
    scratch[index] = (high << 4) | low;
  }
  return asCid(scratch);
}

/** What a CID adds to its bucket's sum: 64 bits that all of it has a part in, as `mixed` of wasm/cid-lines.ts. */
export function summandOf(cid: Cid): bigint {
  const view = new DataView(cid.buffer, cid.byteOffset, CID_BYTES);
  const word = (index: number): bigint => view.getBigUint64(8 * index, true);
  const wrap = (value: bigint): bigint => BigInt.asUintN(64, value);
  const second = word(1);
  let mix = wrap((word(0) ^ wrap((second << 23n) | (second >> 41n))) * 0x9e3779b97f4a7c15n);
  mix = wrap(((mix ^ (mix >> 32n)) + word(2)) * 0xbf58476d1ce4e5b9n);
  mix = wrap(((mix ^ (mix >> 29n)) + word(3)) * 0x94d049bb133111ebn);
  mix = wrap((mix ^ (mix >> 33n)) * 0xff51afd7ed558ccdn);
  mix = wrap((mix ^ (mix >> 33n)) * 0xc4ceb9fe1a85ec53n);
  return mix ^ (mix >> 33n);
}

/** Adds one CID to the buckets of lines. */
export function foldLine(buckets: LineBuckets, cid: Cid): void {
  foldCid(buckets, cid, 'added');
  const bucket = bucketOf(cid);
  // A BigUint64Array wraps by itself.
  buckets.sums[bucket] = (buckets.sums[bucket] ?? 0n) + summandOf(cid);
}

/** Adds what other buckets hold, of other lines. */
export function mergeLineBuckets(buckets: LineBuckets, others: LineBuckets): void {
  mergeBuckets(buckets, others);
  for (let bucket = 0; bucket < BUCKET_COUNT; bucket++) {
    // A BigUint64Array wraps by itself.
    buckets.sums[bucket] = (buckets.sums[bucket] ?? 0n) + (others.sums[bucket] ?? 0n);
  }
}

/** Whether that bucket's bit is set. */
export function isWanted(wanted: Uint8Array, bucket: number): boolean {
  return ((wanted[bucket >> 3] ?? 0) & (1 << (bucket & 7))) !== 0;
}
