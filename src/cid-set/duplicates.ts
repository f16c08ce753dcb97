/**
 * CIDs that one file has more than once, found exactly and in bounded memory. XOR, count and sum of a bucket do not show them, so every
 * CID is looked at again: 32 bits of each, beside the 16 of its bucket, in one array of the size that pass one has counted. Buckets
 * where two agree are then looked at CID by CID; among ten million different CIDs a fifth of one such bucket is to be expected.
 */

import { CID_BYTES } from '../cid/cid.ts';
import { BUCKET_COUNT } from '../vsync/buckets.ts';
import type { FoundLines } from '../vsync/cid-lines.ts';
import type { Occurrences } from './differences.ts';
import { collectCids, type ReadFile } from './reading.ts';
import { type SecondPassDeps, tellDifferencesOf } from './second-pass.ts';

const markBytes = 4;

/** Calls `onRepeated` for each CID that the file has more than once, ascending. Rejects as `collectCids` does. */
export async function tellDuplicates(
  read: ReadFile,
  deps: SecondPassDeps,
  onRepeated: (occurrences: Occurrences) => void,
): Promise<void> {
  const suspicious: number[] = [];
  for (const slice of slicesOf(read.folded.buckets.counts, Math.floor(deps.memoryBytes / markBytes))) {
    deps.onPhase('collecting');
    suspicious.push(...(await suspiciousAmong(read, slice, deps)));
  }
  await tellDifferencesOf([read], suspicious, deps, {
    onlyIn: () => {},
    repeated: (_cid, [occurrences]) => onRepeated(occurrences),
    flush: async () => true,
  });
}

/** Ranges of buckets that hold at most so many CIDs, where that can be. */
function* slicesOf(counts: Uint32Array, capacity: number): Generator<readonly number[], void, undefined> {
  let slice: number[] = [];
  let inSlice = 0;
  for (const [bucket, count] of counts.entries()) {
    if (count < 2) continue;
    if (inSlice > 0 && inSlice + count > capacity) {
      yield slice;
      slice = [];
      inSlice = 0;
    }
    slice.push(bucket);
    inSlice += count;
  }
  if (slice.length > 0) yield slice;
}

async function suspiciousAmong(read: ReadFile, slice: readonly number[], deps: SecondPassDeps): Promise<number[]> {
  const { counts } = read.folded.buckets;
  const places = new Uint32Array(BUCKET_COUNT);
  let size = 0;
  for (const bucket of slice) {
    places[bucket] = size;
    size += counts[bucket] ?? 0;
  }
  const marks = new Uint32Array(size);
  const take = ({ cids, count }: FoundLines): void => {
    for (let at = 0; at < count * CID_BYTES; at += CID_BYTES) {
      const bucket = ((cids[at] ?? 0) << 8) | (cids[at + 1] ?? 0);
      const place = places[bucket] ?? 0;
      places[bucket] = place + 1;
      marks[place] = markOf(cids, at);
    }
  };
  await collectCids(read, slice, deps, { take });
  return slice.filter((bucket) => {
    const end = places[bucket] ?? 0;
    return hasEqual(marks.subarray(end - (counts[bucket] ?? 0), end));
  });
}

/** The last bytes of a CID: made by hand, CIDs tend to begin alike. */
function markOf(cids: Uint8Array, at: number): number {
  const end = at + CID_BYTES;
  return ((cids[end - 4] ?? 0) << 24) | ((cids[end - 3] ?? 0) << 16) | ((cids[end - 2] ?? 0) << 8) | (cids[end - 1] ?? 0);
}

function hasEqual(marks: Uint32Array): boolean {
  const sorted = marks.sort();
  for (let at = 1; at < sorted.length; at++) if (sorted[at] === sorted[at - 1]) return true;
  return false;
}
