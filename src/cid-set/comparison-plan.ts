/**
 * How the second pass over two files goes: where nothing differs there is none. Where the CIDs of all differing buckets fit the memory
 * they are collected at once; where they do not, either the files are read once for each slice of buckets, or the CIDs are spilled to
 * disk, sorted, and merged. Whichever moves fewer bytes.
 */

import { SPILLED_BYTES } from './sorted-records.ts';

export type SecondPass =
  | { readonly kind: 'none' }
  /** One reading of both files for each list of buckets; the lists ascend. */
  | { readonly kind: 'slices'; readonly slices: readonly (readonly number[])[]; readonly recordsMax: number }
  | { readonly kind: 'spill' };

/** A spilled byte is written and read again, and writing costs about as much as reading twice. */
const spillWeight = 3;

/**
 * `differing`: the buckets, ascending; `countOf`: how many CIDs both files have in one; `capacity`: how many records memory holds;
 * `inputBytes`: how long both files are together.
 */
export function planSecondPass(
  differing: readonly number[],
  countOf: (bucket: number) => number,
  capacity: number,
  inputBytes: number,
): SecondPass {
  if (differing.length === 0) return { kind: 'none' };
  const slices: number[][] = [];
  let slice: number[] = [];
  let inSlice = 0;
  let all = 0;
  let recordsMax = 0;
  for (const bucket of differing) {
    const count = countOf(bucket);
    all += count;
    if (slice.length > 0 && inSlice + count > capacity) {
      slices.push(slice);
      slice = [];
      inSlice = 0;
    }
    slice.push(bucket);
    inSlice += count;
    recordsMax = Math.max(recordsMax, inSlice);
  }
  slices.push(slice);
  const slicesCost = slices.length * inputBytes;
  const spillCost = inputBytes + all * SPILLED_BYTES * spillWeight;
  const fits = recordsMax <= capacity && (slices.length === 1 || slicesCost <= spillCost);
  return fits ? { kind: 'slices', slices, recordsMax } : { kind: 'spill' };
}
