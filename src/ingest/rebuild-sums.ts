/** The sums of a rebuild: VSync and count set to those of the CIDs, and the buckets kept as the snapshot. */

import type { Database, Sql, Transaction } from '../platform/postgres/database.ts';
import { rebuildBuckets, saveSnapshot } from '../vsync/bucket-store.ts';
import { type Buckets, countOfBuckets, emptyBuckets, foldCid, vsyncOfBuckets } from '../vsync/buckets.ts';
import { bucketsOfCids } from '../vsync/cid-buckets.ts';
import { equalVSync } from '../vsync/vsync.ts';
import { changesBetween } from '../vsync/vsync-journal.ts';
import type { LockedVSync, Scope } from '../vsync/vsync-store.ts';
import { commitBulk, lockVSyncs, readVSync } from '../vsync/vsync-store.ts';
import type { FilterDeps } from './filter-run.ts';
import { type ScanRun, type ScanScope, saveCounted, saveTally } from './scan-run.ts';

const attemptsMax = 4;
/** Changes since the seq that are replayed under the lock; beyond it the CIDs are folded again. */
const catchUpMax = 200_000;

/** Sets VSync and count of a scope to those of its CIDs where they are not, and notes in the run as of which seq its buckets now are. */
export async function correctSums(deps: FilterDeps, run: ScanRun, scope: ScanScope): Promise<void> {
  const of = { participant: run.participant, keyType: scope.keyType };
  if ((await readVSync(deps.database, of)).seq === 0) return;
  let before: { readonly seq: number; readonly buckets: Buckets } | null = {
    seq: scope.seq,
    buckets: scope.counted ?? emptyBuckets(),
  };
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    deps.signal?.throwIfAborted();
    const known = before;
    const isDone = await deps.database.transaction(async (tx) => {
      const [locked] = await lockVSyncs(tx, [of], deps.clock.now());
      if (locked === undefined) return true;
      const buckets =
        known === null ? await bucketsOfCids(tx, of, locked.seq, deps.signal) : await caughtUp(tx, of, known, locked.seq);
      if (buckets === null) return false;
      await correctLocked(tx, deps, run, scope, { locked, buckets });
      return true;
    });
    if (isDone) return;
    const { seq } = await readVSync(deps.database, of);
    // The last attempt folds under the lock: slower for others, but sure to end.
    before = attempt + 1 < attemptsMax ? { seq, buckets: await bucketsOfCids(deps.database, of, seq, deps.signal) } : null;
  }
}

/** The buckets with the commits since that seq; null where these are too many, or a bulk load is among them. */
async function caughtUp(
  sql: Sql,
  scope: Scope,
  known: { readonly seq: number; readonly buckets: Buckets },
  uptoSeq: number,
): Promise<Buckets | null> {
  const since = await changesBetween(sql, scope, { afterSeq: known.seq, uptoSeq, cidsMax: catchUpMax });
  if (!since.complete) return null;
  const buckets = { xors: Buffer.from(known.buckets.xors), counts: known.buckets.counts.slice() };
  for (const { cid, change } of since.changes) foldCid(buckets, cid, change);
  return buckets;
}

async function correctLocked(
  tx: Transaction,
  deps: FilterDeps,
  run: ScanRun,
  scope: ScanScope,
  { locked, buckets }: { readonly locked: LockedVSync; readonly buckets: Buckets },
): Promise<void> {
  const vsync = vsyncOfBuckets(buckets);
  const keys = countOfBuckets(buckets);
  const isRight = equalVSync(vsync, locked.vsync) && keys === locked.keys;
  if (!isRight) await commitBulk(tx, locked, { vsync, keys }, { source: 'rebuild', now: deps.clock.now() });
  scope.seq = isRight ? locked.seq : locked.nextSeq;
  scope.counted = buckets;
  scope.tally['sumsCorrected'] = (scope.tally['sumsCorrected'] ?? 0) + (isRight ? 0 : 1);
  await saveCounted(tx, run, scope);
  await saveTally(tx, run, scope);
}

/** Keeps the buckets as the snapshot of the present seq, with the commits since; answers that seq. */
export async function keepBuckets(database: Database, of: Scope, scope: ScanScope): Promise<number> {
  const { seq } = await readVSync(database, of);
  const buckets = scope.counted === null ? null : await caughtUp(database, of, { seq: scope.seq, buckets: scope.counted }, seq);
  if (buckets === null) return (await rebuildBuckets(database, of)).seq;
  if (seq > 0) await saveSnapshot(database, of, { seq, buckets });
  return seq;
}
