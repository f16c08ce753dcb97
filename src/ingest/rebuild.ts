/**
 * Makes what is derived agree with what it is derived from, under traffic (rule R16). CIDs are recomputed from the attributes,
 * slice by slice under the scope's lock; VSync and count from the CIDs at a seq, outside the lock, plus the commits since, under it.
 * Every slice is a transaction of its own and changes nothing the second time: a rebuild that was killed is run again.
 *
 * A row whose attributes do not hash to the CID that counts may have been altered behind the system's back. Unless the caller accepts
 * such rows, they are left and counted: DICT, not we, knows which of the two is right.
 */

import type { Cid, CidAlgorithm } from '../cid/cid.ts';
import { cidToHex } from '../cid/cid.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database, Transaction } from '../platform/postgres/database.ts';
import { rebuildBuckets } from '../vsync/bucket-store.ts';
import type { Buckets } from '../vsync/buckets.ts';
import { countOfBuckets, foldCid, vsyncOfBuckets } from '../vsync/buckets.ts';
import { membershipAsOf } from '../vsync/cid-history.ts';
import { equalVSync } from '../vsync/vsync.ts';
import { changesBetween } from '../vsync/vsync-journal.ts';
import type { CidTransition, LockedVSync, Scope } from '../vsync/vsync-store.ts';
import { commitBulk, commitTransitions, lockVSyncs, readVSync } from '../vsync/vsync-store.ts';
import { bucketsOfCids } from './cid-buckets.ts';
import { checkKey, computedCid } from './entry-integrity.ts';
import { writeEntries } from './entry-store.ts';
import { keysOf, readSlice } from './key-slice.ts';
import { readParticipant } from './participant-store.ts';
import type { StoredEntry } from './stored-entry.ts';

export interface RebuildDeps {
  readonly database: Database;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  /** Keys recomputed under one lock. Default 1,000. */
  readonly sliceKeys?: number;
}

export interface RebuildResult {
  readonly scope: Scope;
  readonly seq: number;
  /** Rows looked at, tombstones included. */
  readonly entries: number;
  /** Rows whose CID column was lost or wrong while attributes and history agree: set right. */
  readonly restored: number;
  /** Keys that were not sound and were made so from the stored attributes, by the caller's leave. */
  readonly accepted: number;
  /** Keys that are not sound and were left. */
  readonly left: number;
  /** Whether VSync or count were not those of the CIDs. */
  readonly sumsCorrected: boolean;
}

type KeyCounts = { entries: number; restored: number; accepted: number; left: number };

/** What is to be done about one key. */
interface KeyFix {
  readonly entry: StoredEntry | null;
  readonly transitions: readonly CidTransition[];
  readonly kind: 'restored' | 'accepted';
}

const sliceKeysDefault = 1_000;

/** Rebuilds one participant and key type. Only the database, or the signal, makes it reject. */
export async function rebuildScope(deps: RebuildDeps, scope: Scope, acceptAltered: boolean): Promise<RebuildResult> {
  const counts: KeyCounts = { entries: 0, restored: 0, accepted: 0, left: 0 };
  const algorithm = (await readParticipant(deps.database, scope.participant))?.cidAlgorithm ?? 'dict';
  // Sums first: the commits of the slices count on from them.
  const sumsCorrected = await correctSums(deps, scope);
  let after: string | null = null;
  do {
    deps.signal?.throwIfAborted();
    const from: string | null = after;
    const upto: string | null = await deps.database.transaction((tx) =>
      rebuildSlice(tx, deps, { scope, after: from, algorithm, acceptAltered }, counts),
    );
    after = upto;
  } while (after !== null);
  const { seq } = await rebuildBuckets(deps.database, scope);
  return { scope, seq, ...counts, sumsCorrected };
}

interface Slice {
  readonly scope: Scope;
  readonly after: string | null;
  readonly algorithm: CidAlgorithm;
  readonly acceptAltered: boolean;
}

async function rebuildSlice(tx: Transaction, deps: RebuildDeps, slice: Slice, counts: KeyCounts): Promise<string | null> {
  const { scope, algorithm } = slice;
  const now = deps.clock.now();
  const [locked] = await lockVSyncs(tx, [scope], now);
  if (locked === undefined) return null;
  const keys = await readSlice(tx, scope, slice.after, deps.sliceKeys ?? sliceKeysDefault);
  const fixes: KeyFix[] = [];
  let unsound = 0;
  for (const { key, entry, counting } of keysOf(keys)) {
    if (checkKey(key, entry, counting, algorithm).length === 0) continue;
    unsound += 1;
    const fix = slice.acceptAltered ? acceptedFix(key, entry, counting, algorithm) : restoringFix(entry, counting, algorithm);
    if (fix !== null) fixes.push(fix);
  }
  const possible = await withoutForeign(tx, locked, fixes);
  await applyFixes(tx, locked, possible, { algorithm, now });
  counts.entries += keys.entries.length;
  counts.restored += possible.filter(({ kind }) => kind === 'restored').length;
  counts.accepted += possible.filter(({ kind }) => kind === 'accepted').length;
  counts.left += unsound - possible.length;
  return keys.upto;
}

/** Attributes and history agree and only the row's own CID does not: nothing that anybody would have to accept. */
function restoringFix(entry: StoredEntry | null, counting: readonly Cid[], algorithm: CidAlgorithm): KeyFix | null {
  const [only] = counting;
  if (entry === null || entry.status !== 'ACTIVE' || only === undefined || counting.length > 1) return null;
  const computed = computedCid(entry, algorithm);
  if (computed === null || cidToHex(computed) !== cidToHex(only)) return null;
  return { entry: { ...entry, cid: only }, transitions: [], kind: 'restored' };
}

/** What the stored attributes say counts, and nothing else does. */
function acceptedFix(key: string, entry: StoredEntry | null, counting: readonly Cid[], algorithm: CidAlgorithm): KeyFix {
  const computed = entry === null ? null : computedCid(entry, algorithm);
  const wanted = entry?.status === 'ACTIVE' && computed !== null ? cidToHex(computed) : null;
  const transitions = counting
    .filter((cid) => cidToHex(cid) !== wanted)
    .map((cid): CidTransition => ({ change: 'removed', cid, key }));
  if (computed !== null && wanted !== null && counting.every((cid) => cidToHex(cid) !== wanted)) {
    transitions.push({ change: 'added', cid: computed, key });
  }
  const resolved = entry !== null && entry.status !== 'DELETED' && entry.status !== 'UNRESOLVED' && computed !== null;
  return { entry: resolved ? { ...entry, cid: computed } : null, transitions, kind: 'accepted' };
}

/** Leaves out what would count a CID that counts already, for another key: that row of the history is itself damaged. */
async function withoutForeign(tx: Transaction, locked: LockedVSync, fixes: readonly KeyFix[]): Promise<KeyFix[]> {
  const added = fixes.flatMap(({ transitions }) => transitions.filter(({ change }) => change === 'added').map(({ cid }) => cid));
  const foreign = await membershipAsOf(tx, locked.scope, added, locked.seq);
  return fixes.filter(
    ({ transitions }) => !transitions.some(({ change, cid }) => change === 'added' && foreign.has(cidToHex(cid))),
  );
}

async function applyFixes(
  tx: Transaction,
  locked: LockedVSync,
  fixes: readonly KeyFix[],
  { algorithm, now }: { readonly algorithm: CidAlgorithm; readonly now: Date },
): Promise<void> {
  if (fixes.length === 0) return;
  const stamp = { seq: locked.nextSeq, updatedAt: now };
  await writeEntries(
    tx,
    fixes.flatMap(({ entry }) => (entry === null ? [] : [{ ...entry, ...stamp }])),
  );
  const transitions = fixes.flatMap((fix) => fix.transitions);
  await commitTransitions(tx, locked, transitions, { source: 'rebuild', algorithm, now });
}

const attemptsMax = 4;
/** Changes since the seq that are replayed under the lock; beyond it the CIDs are folded again. */
const catchUpMax = 200_000;

/** Sets VSync and count to those of the CIDs where they are not; whether they were not. */
async function correctSums(deps: RebuildDeps, scope: Scope): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    const { seq } = await readVSync(deps.database, scope);
    if (seq === 0) return false;
    // The last attempt folds under the lock: slower for others, but sure to end.
    const before = attempt < attemptsMax ? await bucketsOfCids(deps.database, scope, seq, deps.signal) : null;
    const corrected = await deps.database.transaction(async (tx) => {
      const [locked] = await lockVSyncs(tx, [scope], deps.clock.now());
      if (locked === undefined) return false;
      const buckets =
        before === null ? await bucketsOfCids(tx, scope, locked.seq, deps.signal) : await caughtUp(tx, locked, before, seq);
      return buckets === null ? null : await correctLocked(tx, deps, locked, buckets);
    });
    if (corrected !== null) return corrected;
  }
}

/** The buckets with the commits since that seq; null where these are too many, or a bulk load is among them. */
async function caughtUp(tx: Transaction, locked: LockedVSync, buckets: Buckets, seq: number): Promise<Buckets | null> {
  const since = await changesBetween(tx, locked.scope, { afterSeq: seq, uptoSeq: locked.seq, cidsMax: catchUpMax });
  if (!since.complete) return null;
  for (const { cid, change } of since.changes) foldCid(buckets, cid, change);
  return buckets;
}

async function correctLocked(tx: Transaction, deps: RebuildDeps, locked: LockedVSync, buckets: Buckets): Promise<boolean> {
  const vsync = vsyncOfBuckets(buckets);
  const keys = countOfBuckets(buckets);
  if (equalVSync(vsync, locked.vsync) && keys === locked.keys) return false;
  await commitBulk(tx, locked, { vsync, keys }, { source: 'rebuild', now: deps.clock.now() });
  return true;
}
