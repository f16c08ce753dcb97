/**
 * Two files of CIDs compared in bounded memory: what only one of them has, and what one has more often than the other. Pass one folds
 * both into buckets; where no bucket differs that was all. Pass two collects the CIDs of differing buckets and brings them into order.
 * A CID that both have equally often is no difference, however often that is.
 */

import type { SpoolFile } from '../platform/spool-file.ts';
import { differingBuckets } from '../vsync/buckets.ts';
import type { LineBuckets } from '../vsync/line-kernel.ts';
import { CHUNK_CIDS_MAX, type CidFile } from './cid-file.ts';
import { type CidRecords, cidRecords, RECORD_BYTES } from './cid-records.ts';
import { planSecondPass } from './comparison-plan.ts';
import { type DifferenceSink, type Side, tellDifferences } from './differences.ts';
import { collectCids, type FoldedFile, foldFile, type ReadingListener } from './reading.ts';
import { cursorOfMemory, cursorOfRuns, mergeBytesMin, SPILLED_BYTES, type SpilledRun, spillRun } from './sorted-records.ts';

export interface ComparisonDeps extends ReadingListener {
  /** Hears what is being done. */
  onPhase(phase: 'folding' | 'collecting' | 'merging'): void;
  readonly openSpool: () => Promise<SpoolFile>;
  /** For the CIDs of differing buckets. */
  readonly memoryBytes: number;
}

export interface Comparison {
  readonly files: readonly [FoldedFile, FoldedFile];
  /** False where the sink wanted no more before the end. */
  readonly complete: boolean;
}

/** Memory is too little even for a merge. */
export class MemoryTooSmall extends Error {
  override readonly name = 'MemoryTooSmall';

  constructor(runs: number) {
    super(`so little memory leaves ${runs} parts, too many to be merged at once: give four times as much (--memory)`);
  }
}

export type FilePair = readonly [CidFile, CidFile];

/** Folds both files. Rejects as `foldFile` does. */
export async function foldBoth(files: FilePair, listener: ReadingListener): Promise<[FoldedFile, FoldedFile]> {
  return [await foldFile(files[0], listener), await foldFile(files[1], listener)];
}

/** Compares the files. Rejects as their readings do, and with `SpoolFailed` or `MemoryTooSmall`. */
export async function compareFiles(files: FilePair, deps: ComparisonDeps, sink: DifferenceSink): Promise<Comparison> {
  deps.onPhase('folding');
  const folded = await foldBoth(files, deps);
  const [a, b] = [folded[0].buckets, folded[1].buckets];
  const capacity = Math.max(Math.floor(deps.memoryBytes / RECORD_BYTES), 2 * CHUNK_CIDS_MAX);
  const plan = planSecondPass(differingSums(a, b), (bucket) => countOf(a, bucket) + countOf(b, bucket), capacity, sizeOf(files));
  if (plan.kind === 'slices') return { files: folded, complete: await compareSlices(files, folded, plan.slices, deps, sink) };
  if (plan.kind === 'none') return { files: folded, complete: true };
  return { files: folded, complete: await compareSpilled(files, folded, { chosen: plan.buckets, capacity }, deps, sink) };
}

/** Whether both have the same CIDs equally often, as far as buckets tell. */
export function sameCids(a: FoldedFile, b: FoldedFile): boolean {
  return differingSums(a.buckets, b.buckets).length === 0;
}

/** Numbers of the buckets whose count, XOR or sum differ, ascending. */
function differingSums(a: LineBuckets, b: LineBuckets): number[] {
  const differing = new Set(differingBuckets(a, b));
  for (const [bucket, sum] of a.sums.entries()) if (sum !== b.sums[bucket]) differing.add(bucket);
  return [...differing].sort((one, other) => one - other);
}

function countOf({ counts }: LineBuckets, bucket: number): number {
  return counts[bucket] ?? 0;
}

function sizeOf(files: FilePair): number {
  return (files[0].sizeBytes ?? 0) + (files[1].sizeBytes ?? 0);
}

async function compareSlices(
  files: FilePair,
  folded: readonly [FoldedFile, FoldedFile],
  slices: readonly (readonly number[])[],
  deps: ComparisonDeps,
  sink: DifferenceSink,
): Promise<boolean> {
  const sizes = slices.map((slice) =>
    slice.reduce((sum, bucket) => sum + countOf(folded[0].buckets, bucket) + countOf(folded[1].buckets, bucket), 0),
  );
  const records = cidRecords(Math.max(...sizes));
  for (const slice of slices) {
    deps.onPhase('collecting');
    records.clear();
    const take = { take: records.add.bind(records) };
    await collectCids(files[0], folded[0], slice, deps, take);
    const firstSideSize = records.size;
    await collectCids(files[1], folded[1], slice, deps, take);
    records.sort();
    if (!(await tellDifferences(cursorOfMemory(records, firstSideSize), deps.signal, sink))) return false;
  }
  return true;
}

async function compareSpilled(
  files: FilePair,
  folded: readonly [FoldedFile, FoldedFile],
  { chosen, capacity }: { readonly chosen: readonly number[]; readonly capacity: number },
  deps: ComparisonDeps,
  sink: DifferenceSink,
): Promise<boolean> {
  const spool = await deps.openSpool();
  try {
    deps.onPhase('collecting');
    const runs = await spillBoth(files, folded, { chosen, records: cidRecords(capacity) }, deps, spool);
    deps.onPhase('merging');
    // The memory of the records may not be given back yet.
    const mergeBytes = deps.memoryBytes / 4;
    if (mergeBytesMin(runs.length) > mergeBytes) throw new MemoryTooSmall(runs.length);
    return await tellDifferences(cursorOfRuns(spool.fd, runs, mergeBytes), deps.signal, sink);
  } finally {
    await spool.close();
  }
}

async function spillBoth(
  files: FilePair,
  folded: readonly [FoldedFile, FoldedFile],
  { chosen, records }: { readonly chosen: readonly number[]; readonly records: CidRecords },
  deps: ComparisonDeps,
  spool: SpoolFile,
): Promise<SpilledRun[]> {
  const runs: SpilledRun[] = [];
  let offsetBytes = 0;
  const spill = async (side: Side): Promise<void> => {
    if (records.size === 0) return;
    records.sort();
    const run = await spillRun(spool, offsetBytes, records, side);
    runs.push(run);
    offsetBytes += run.size * SPILLED_BYTES;
    records.clear();
  };
  for (const side of [0, 1] as const) {
    const take = {
      beforeChunk: async () => {
        if (records.capacity - records.size < CHUNK_CIDS_MAX) await spill(side);
      },
      take: records.add.bind(records),
    };
    await collectCids(files[side], folded[side], chosen, deps, take);
    await spill(side);
  }
  return runs;
}
