/**
 * The three passes of the filter over one participant: rows, CIDs, uneven buckets. Each keeps how far it has come every few seconds, at
 * a point where no lane works; what a kill loses is done again.
 */

import { performance } from 'node:perf_hooks';
import type { KeyType } from '../dict/key-type.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database } from '../platform/postgres/database.ts';
import { storedSums } from '../vsync/bucket-store.ts';
import { BUCKET_COUNT, emptyBuckets, mergeBuckets } from '../vsync/buckets.ts';
import type { Lane } from './row-filter/lane.ts';
import { addPairSums, countUneven, unevenBuckets } from './row-filter/pair-sums.ts';
import type { Candidate } from './row-filter/row-folder.ts';
import { type BlockRange, blocksOf, grownRanges, rangeAt, readTableSize, sameFiles } from './row-filter/table-files.ts';
import { addCandidates } from './scan-candidates.ts';
import { type ScanPhase, type ScanRun, saveCids, saveRun, saveScope, scopeOf } from './scan-run.ts';

/** How far a phase is: rows (estimated) of `entries` and `cids`, buckets, keys. */
export interface ScanProgress {
  readonly participant: string;
  readonly phase: ScanPhase;
  readonly done: number;
  readonly total: number;
}

export interface PassDeps {
  readonly database: Database;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ScanProgress) => void;
  /** Blocks that a lane reads at once: how soon it can be interrupted. */
  readonly rangeBlocks: number;
  /** How much work a kill loses. */
  readonly checkpointMs: number;
  /** Buckets compared as of one moment. */
  readonly bucketsPerBatch: number;
}

/** Ranges that files have grown by are read again so often; rows behind are later than the scan. */
const growthsMax = 3;

/** Hashes and folds the rows, from where it had come. `rewritten`: rows lie elsewhere than when it began. */
export async function readAllEntries(deps: PassDeps, run: ScanRun, lanes: readonly Lane[]): Promise<'done' | 'rewritten'> {
  const total = run.files.length === 0 ? 1 : blocksOf(run.files);
  const size = await readTableSize(deps.database, 'dict_entries');
  const rowsPerBlock = size.rowsEstimate / Math.max(1, blocksOf(size.files));
  // Ends: each turn moves the position on, or throws.
  while (run.position < total) {
    deps.signal?.throwIfAborted();
    const ranges = function* (): Generator<BlockRange | null> {
      const until = performance.now() + deps.checkpointMs;
      let lent = 0;
      while (run.position < total && !deps.signal?.aborted && (lent < lanes.length || performance.now() < until)) {
        const range = rangeAt(run.files, run.position, deps.rangeBlocks);
        run.position += range === null ? 1 : range.to - range.from;
        lent += 1;
        yield range;
        report(deps, run, Math.min(run.position, total) * rowsPerBlock, total * rowsPerBlock);
      }
    };
    await eachLane(lanes, ranges(), (lane, range) => readEntryRange(deps, run, lane, range));
    await checkpoint(deps, run, lanes);
  }
  if (run.files.length > 0 && (await readGrowth(deps, run, lanes)) === 'rewritten') return 'rewritten';
  run.phase = 'cids';
  run.position = 0;
  await checkpoint(deps, run, lanes);
  return 'done';
}

/** What came behind the end since it began: rows that moved there, and new ones. */
async function readGrowth(deps: PassDeps, run: ScanRun, lanes: readonly Lane[]): Promise<'done' | 'rewritten'> {
  let known = run.files;
  for (let growth = 0; growth < growthsMax; growth++) {
    const { files } = await readTableSize(deps.database, 'dict_entries');
    if (!sameFiles(run.files, files)) return 'rewritten';
    const ranges = grownRanges(known, files).flatMap(({ name, from, to }) =>
      Array.from({ length: Math.ceil((to - from) / deps.rangeBlocks) }, (_, n): BlockRange => {
        const start = from + n * deps.rangeBlocks;
        return { name, from: start, to: Math.min(to, start + deps.rangeBlocks) };
      }),
    );
    if (ranges.length === 0) break;
    await eachLane(lanes, ranges.values(), async (lane, range) => {
      deps.signal?.throwIfAborted();
      await readEntryRange(deps, run, lane, range);
    });
    known = files;
  }
  return 'done';
}

async function readEntryRange(deps: PassDeps, run: ScanRun, lane: Lane, range: BlockRange | null): Promise<void> {
  const { rows, candidates } = await lane.readEntries(range);
  for (const [index, scope] of run.scopes.entries()) scope.entries += rows[index] ?? 0;
  await addCandidates(deps.database, run, namedKeys(run, candidates));
}

function namedKeys(run: ScanRun, candidates: readonly Candidate[]): { keyType: KeyType; key: string }[] {
  return candidates.flatMap(({ scope, key }) => {
    const keyType = run.scopes[scope]?.keyType;
    return keyType === undefined ? [] : [{ keyType, key }];
  });
}

/**
 * Folds the CIDs, all within one snapshot, which also says what VSync and buckets are stored: a CID that is marked as removed meanwhile
 * moves within the file, and would be met twice or never. Interrupted, it begins again: a fifth of the rows' time.
 */
export async function readAllCids(deps: PassDeps, run: ScanRun, lanes: readonly Lane[]): Promise<void> {
  await deps.database.transaction(
    async (tx) => {
      await tx.query('SET LOCAL idle_in_transaction_session_timeout = 0');
      // Rewriting waits until the files have been read.
      await tx.query('LOCK TABLE dict_cids IN ACCESS SHARE MODE');
      const { rows } = await tx.query<{ snapshot: string }>('SELECT pg_export_snapshot() AS snapshot');
      for (const scope of run.scopes) scope.stored = await storedSums(tx, scopeOf(run, scope));
      const moment = { snapshot: rows[0]?.snapshot ?? '', seqs: run.scopes.map(({ stored }) => stored?.seq ?? 0) };
      const { files, rowsEstimate } = await readTableSize(tx, 'dict_cids');
      const total = run.files.length === 0 ? 1 : blocksOf(files);
      const rowsPerBlock = rowsEstimate / Math.max(1, blocksOf(files));
      const ranges = function* (): Generator<BlockRange | null> {
        for (let position = 0; position < total; ) {
          deps.signal?.throwIfAborted();
          const range = run.files.length === 0 ? null : rangeAt(files, position, deps.rangeBlocks);
          position += range === null ? 1 : range.to - range.from;
          yield range;
          report(deps, run, position * rowsPerBlock, total * rowsPerBlock);
        }
      };
      await eachLane(lanes, ranges(), (lane, range) => lane.readCids(range, moment));
    },
    { isolation: 'repeatable read', readOnly: true },
  );
  for (const scope of run.scopes) {
    scope.seq = scope.stored?.seq ?? 0;
    scope.counted = emptyBuckets();
  }
  run.phase = 'buckets';
  run.position = 0;
  await checkpoint(deps, run, lanes);
}

/** Compares the buckets whose sums do not cancel out. */
export async function compareUneven(deps: PassDeps, run: ScanRun, lanes: readonly Lane[]): Promise<void> {
  const total = run.scopes.reduce((sum, { pairs }) => sum + countUneven(pairs), 0);
  let done = 0;
  let keptMs = performance.now();
  // Ends: each turn moves the position on.
  for (let wave = nextWave(deps, run, lanes.length); wave.batches.length > 0; wave = nextWave(deps, run, lanes.length)) {
    deps.signal?.throwIfAborted();
    await eachLane(lanes, wave.batches.values(), async (lane, { scope, buckets }) => {
      await addCandidates(deps.database, run, namedKeys(run, await lane.compareBuckets(scope, buckets)));
      done += buckets.length;
    });
    run.position = wave.upto;
    report(deps, run, done, total);
    if (performance.now() - keptMs < deps.checkpointMs) continue;
    await saveRun(deps.database, run, deps.clock.now());
    keptMs = performance.now();
  }
  run.phase = run.kind === 'rebuild' ? 'sums' : 'keys';
  run.position = 0;
  await saveRun(deps.database, run, deps.clock.now());
}

interface BucketBatch {
  readonly scope: number;
  readonly buckets: readonly number[];
}

/** As many batches as there are lanes, from the position on, and the position after them: buckets of all key types in a row. */
function nextWave(
  deps: PassDeps,
  run: ScanRun,
  lanes: number,
): { readonly batches: readonly BucketBatch[]; readonly upto: number } {
  const batches: BucketBatch[] = [];
  let upto = run.position;
  for (let scope = Math.floor(upto / BUCKET_COUNT); scope < run.scopes.length && batches.length < lanes; ) {
    const { pairs } = run.scopes[scope] ?? { pairs: null };
    const buckets = pairs === null ? [] : unevenBuckets(pairs, upto % BUCKET_COUNT, deps.bucketsPerBatch);
    const last = buckets.at(-1);
    if (last !== undefined) batches.push({ scope, buckets });
    const isLastBucket = last === undefined || last === BUCKET_COUNT - 1;
    upto = isLastBucket ? (scope + 1) * BUCKET_COUNT : scope * BUCKET_COUNT + last + 1;
    scope = Math.floor(upto / BUCKET_COUNT);
  }
  return { batches, upto };
}

/** Takes what the lanes have summed and keeps how far the run is, as one transaction. */
async function checkpoint(deps: PassDeps, run: ScanRun, lanes: readonly Lane[]): Promise<void> {
  for (const lane of lanes) {
    for (const [index, { pairs, buckets }] of (await lane.takeSums()).entries()) {
      const scope = run.scopes[index];
      if (scope === undefined) continue;
      addPairSums(scope.pairs, pairs);
      if (buckets !== null && scope.counted !== null) mergeBuckets(scope.counted, buckets);
    }
  }
  await deps.database.transaction(async (tx) => {
    await saveRun(tx, run, deps.clock.now());
    for (const scope of run.scopes) {
      await saveScope(tx, run, scope);
      if (run.phase === 'buckets') await saveCids(tx, run, scope);
    }
  });
}

/** Hands the items out to whichever lane is free. Rejects with the first failure, after every lane has come to rest. */
async function eachLane<Item>(
  lanes: readonly Lane[],
  items: IterableIterator<Item>,
  work: (lane: Lane, item: Item) => Promise<void>,
): Promise<void> {
  let failed = false;
  const outcomes = await Promise.allSettled(
    lanes.map(async (lane) => {
      for (let next = items.next(); !failed && next.done !== true; next = items.next()) {
        try {
          await work(lane, next.value);
        } catch (cause) {
          failed = true;
          throw cause;
        }
      }
    }),
  );
  const failure = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}

function report(deps: PassDeps, run: ScanRun, done: number, total: number): void {
  const { participant, phase } = run;
  deps.onProgress?.({ participant, phase, done: Math.round(Math.min(done, total)), total: Math.round(total) });
}
