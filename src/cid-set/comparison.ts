/**
 * Two files of CIDs compared in bounded memory: what only one of them has, and what one has more often than the other. Pass one folds
 * both into buckets; where no bucket differs that was all. Pass two (second-pass.ts) looks at the CIDs of differing buckets. A CID
 * that both have equally often is no difference, however often that is.
 */

import { differingBuckets } from '../vsync/buckets.ts';
import type { CidFile } from './cid-file.ts';
import type { DifferenceSink } from './differences.ts';
import { type FoldedFile, foldFile, type ReadFile, type ReadingListener } from './reading.ts';
import { type SecondPassDeps, tellDifferencesOf } from './second-pass.ts';

export type FilePair = readonly [CidFile, CidFile];
export type FoldedPair = readonly [FoldedFile, FoldedFile];

export interface Comparison {
  readonly files: FoldedPair;
  /** False where the sink wanted no more before the end. */
  readonly complete: boolean;
}

/** Folds both files. Rejects as `foldFile` does. */
export async function foldBoth(files: FilePair, listener: ReadingListener): Promise<FoldedPair> {
  return [await foldFile(files[0], listener), await foldFile(files[1], listener)];
}

/** Whether both have the same CIDs equally often, as far as buckets tell. */
export function sameCids(pair: FoldedPair): boolean {
  return differingSums(pair).length === 0;
}

/** Compares the files. Rejects as their readings do, and with `SpoolFailed` or `MemoryTooSmall`. */
export async function compareFiles(
  files: FilePair,
  deps: ReadingListener & SecondPassDeps,
  sink: DifferenceSink,
): Promise<Comparison> {
  deps.onPhase('folding');
  const folded = await foldBoth(files, deps);
  const sides: readonly [ReadFile, ReadFile] = [
    { file: files[0], folded: folded[0] },
    { file: files[1], folded: folded[1] },
  ];
  return { files: folded, complete: await tellDifferencesOf(sides, differingSums(folded), deps, sink) };
}

/** Numbers of the buckets whose count, XOR or sum differ, ascending. */
function differingSums([{ buckets: a }, { buckets: b }]: FoldedPair): number[] {
  const differing = new Set(differingBuckets(a, b));
  for (const [bucket, sum] of a.sums.entries()) if (sum !== b.sums[bucket]) differing.add(bucket);
  return [...differing].sort((one, other) => one - other);
}
