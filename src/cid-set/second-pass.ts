/**
 * The second look at one file or two: the CIDs of chosen buckets are collected, brought into order, and told where they are not there
 * equally often. As much at once as memory holds, by slices of buckets, or through a temporary file: comparison-plan.ts says which.
 */

import type { SpoolFile } from '../platform/spool-file.ts';
import { CHUNK_CIDS_MAX } from './cid-file.ts';
import { type CidRecords, cidRecords, RECORD_BYTES } from './cid-records.ts';
import { planSecondPass } from './comparison-plan.ts';
import { type DifferenceSink, type Side, tellDifferences } from './differences.ts';
import { collectCids, type ReadFile, type ReadingListener } from './reading.ts';
import { cursorOfMemory, cursorOfRuns, mergeBytesMin, SPILLED_BYTES, type SpilledRun, spillRun } from './sorted-records.ts';

export type Phase = 'folding' | 'collecting' | 'merging';

export interface SecondPassDeps extends Omit<ReadingListener, 'onBad'> {
  /** Hears what is being done. */
  onPhase(phase: Phase): void;
  readonly openSpool: () => Promise<SpoolFile>;
  /** For the CIDs of the buckets. */
  readonly memoryBytes: number;
}

/** Memory is too little even for a merge. */
export class MemoryTooSmall extends Error {
  override readonly name = 'MemoryTooSmall';

  constructor(runs: number) {
    super(`so little memory leaves ${runs} parts, too many to be merged at once: give four times as much (--memory)`);
  }
}

/** One file (compared with nothing), or two. */
export type Sides = readonly [ReadFile] | readonly [ReadFile, ReadFile];

/** Tells the differences within these buckets, ascending; false where the sink wanted no more. Rejects as `collectCids` does. */
export async function tellDifferencesOf(
  sides: Sides,
  buckets: readonly number[],
  deps: SecondPassDeps,
  sink: DifferenceSink,
): Promise<boolean> {
  const capacity = Math.max(Math.floor(deps.memoryBytes / RECORD_BYTES), 2 * CHUNK_CIDS_MAX);
  const countOf = (bucket: number): number => sides.reduce((sum, { folded }) => sum + (folded.buckets.counts[bucket] ?? 0), 0);
  const inputBytes = sides.reduce((sum, { file }) => sum + (file.sizeBytes ?? 0), 0);
  const plan = planSecondPass(buckets, countOf, capacity, inputBytes);
  switch (plan.kind) {
    case 'none':
      return true;
    case 'slices':
      return await tellSlices(sides, plan.slices, plan.recordsMax, deps, sink);
    case 'spill':
      return await tellSpilled(sides, buckets, capacity, deps, sink);
  }
}

async function tellSlices(
  sides: Sides,
  slices: readonly (readonly number[])[],
  recordsMax: number,
  deps: SecondPassDeps,
  sink: DifferenceSink,
): Promise<boolean> {
  const records = cidRecords(recordsMax);
  for (const slice of slices) {
    deps.onPhase('collecting');
    records.clear();
    let firstSideSize = 0;
    for (const [side, read] of sides.entries()) {
      if (side === 1) firstSideSize = records.size;
      await collectCids(read, slice, deps, { take: records.add });
    }
    if (sides.length === 1) firstSideSize = records.size;
    records.sort();
    if (!(await tellDifferences(cursorOfMemory(records, firstSideSize), deps.signal, sink))) return false;
  }
  return true;
}

async function tellSpilled(
  sides: Sides,
  buckets: readonly number[],
  capacity: number,
  deps: SecondPassDeps,
  sink: DifferenceSink,
): Promise<boolean> {
  const spool = await deps.openSpool();
  try {
    deps.onPhase('collecting');
    const runs = await spillSides(sides, buckets, cidRecords(capacity), deps, spool);
    deps.onPhase('merging');
    // The memory of the records may not be given back yet.
    const mergeBytes = (capacity * RECORD_BYTES) / 4;
    if (mergeBytesMin(runs.length) > mergeBytes) throw new MemoryTooSmall(runs.length);
    return await tellDifferences(cursorOfRuns(spool.fd, runs, mergeBytes), deps.signal, sink);
  } finally {
    await spool.close();
  }
}

async function spillSides(
  sides: Sides,
  buckets: readonly number[],
  records: CidRecords,
  deps: SecondPassDeps,
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
  for (const [index, read] of sides.entries()) {
    const side = index === 0 ? 0 : 1;
    const beforeChunk = async (): Promise<void> => {
      if (records.capacity - records.size < CHUNK_CIDS_MAX) await spill(side);
    };
    await collectCids(read, buckets, deps, { beforeChunk, take: records.add });
    await spill(side);
  }
  return runs;
}
