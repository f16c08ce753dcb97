/**
 * Makes what is derived agree with what it is derived from, under traffic (rule R16). A filter names the keys that may be unsound and
 * folds the CIDs (filter-run.ts); VSync and count are set to those of the CIDs at a seq, plus the commits since, under the scope's
 * lock; then the named keys are mended, slice by slice under that lock. Every slice is a transaction of its own and takes its keys off
 * the list: a rebuild that was interrupted goes on under its id.
 *
 * A row whose attributes do not hash to the CID that counts may have been altered behind the system's back. Unless the caller accepts
 * such rows, they are left and counted: DICT, not we, knows which of the two is right.
 */

import type { Cid, CidAlgorithm } from '../cid/cid.ts';
import { cidToHex } from '../cid/cid.ts';
import type { KeyType } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';
import { assert } from '../platform/assert.ts';
import type { Transaction } from '../platform/postgres/database.ts';
import { membershipAsOf } from '../vsync/cid-history.ts';
import type { CidTransition, LockedVSync, Scope } from '../vsync/vsync-store.ts';
import { commitTransitions, lockVSyncs } from '../vsync/vsync-store.ts';
import { checkKey, computedCid } from './entry-integrity.ts';
import { writeEntries } from './entry-store.ts';
import { type FilterDeps, type FilterSettings, filterKeys } from './filter-run.ts';
import { readKeys } from './key-slice.ts';
import { correctSums, keepBuckets } from './rebuild-sums.ts';
import { countCandidates, nextCandidates, removeCandidates } from './scan-candidates.ts';
import { byParticipant, deleteRuns, type ScanRun, type ScanScope, saveRun, saveTally } from './scan-run.ts';
import type { StoredEntry } from './stored-entry.ts';

export interface RebuildSettings extends FilterSettings {
  /** Keys mended under one lock. */
  readonly sliceKeys: number;
}

export interface RebuildDeps extends FilterDeps {
  readonly settings?: Partial<RebuildSettings>;
}

/** Under which id it can go on, and whether altered rows are taken for true. */
export interface RebuildRequest {
  readonly id: string;
  readonly acceptAltered: boolean;
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

/** What is to be done about one key. */
interface KeyFix {
  readonly entry: StoredEntry | null;
  readonly transitions: readonly CidTransition[];
  readonly kind: 'restored' | 'accepted';
}

const sliceKeysDefault = 1_000;

/** Rebuilds scopes participant by participant; answers as they are done. Rejects only by the database or the signal. */
export async function* rebuildScopes(
  deps: RebuildDeps,
  scopes: readonly Scope[],
  request: RebuildRequest,
): AsyncGenerator<RebuildResult> {
  for (const [participant, keyTypes] of byParticipant(scopes))
    yield* await rebuildParticipant(deps, participant, keyTypes, request);
  await deleteRuns(deps.database, request.id);
}

/** The same of one key type. */
export async function rebuildScope(deps: RebuildDeps, scope: Scope, request: RebuildRequest): Promise<RebuildResult> {
  const results: RebuildResult[] = [];
  for await (const result of rebuildScopes(deps, [scope], request)) results.push(result);
  const [only] = results;
  assert(only !== undefined, 'a rebuild of one key type has one result');
  return only;
}

async function rebuildParticipant(
  deps: RebuildDeps,
  participant: Participant,
  keyTypes: readonly KeyType[],
  { id, acceptAltered }: RebuildRequest,
): Promise<RebuildResult[]> {
  const { database } = deps;
  const { run, algorithm } = await filterKeys(deps, { id, kind: 'rebuild', acceptAltered, participant, keyTypes }, deps.settings);
  if (run.phase === 'sums') {
    // Sums first: the commits of the slices count on from them.
    for (const scope of run.scopes) await correctSums(deps, run, scope);
    run.phase = 'keys';
    await saveRun(database, run, deps.clock.now());
  }
  if (run.phase === 'keys') {
    await mendKeys(deps, run, algorithm);
    run.phase = 'done';
    await saveRun(database, run, deps.clock.now());
  }
  const results: RebuildResult[] = [];
  for (const scope of run.scopes) {
    const of = { participant, keyType: scope.keyType };
    const { restored = 0, accepted = 0, left = 0, sumsCorrected = 0 } = scope.tally;
    const seq = await keepBuckets(database, of, scope);
    results.push({ scope: of, seq, entries: scope.entries, restored, accepted, left, sumsCorrected: sumsCorrected > 0 });
  }
  return results;
}

/** Mends what the filter named. */
async function mendKeys(deps: RebuildDeps, run: ScanRun, algorithm: CidAlgorithm): Promise<void> {
  const total = await countCandidates(deps.database, run);
  let done = 0;
  for (const scope of run.scopes) {
    let after: string | null = null;
    do {
      deps.signal?.throwIfAborted();
      const from: string | null = after;
      const keys: readonly string[] = await deps.database.transaction((tx) =>
        mendSlice(tx, deps, { run, scope, algorithm, after: from }),
      );
      done += keys.length;
      deps.onProgress?.({ participant: run.participant, phase: 'keys', done, total });
      after = keys.at(-1) ?? null;
    } while (after !== null);
  }
}

interface Slice {
  readonly run: ScanRun;
  readonly scope: ScanScope;
  readonly algorithm: CidAlgorithm;
  readonly after: string | null;
}

/** Mends the next keys; answers which these were. */
async function mendSlice(
  tx: Transaction,
  deps: RebuildDeps,
  { run, scope, algorithm, after }: Slice,
): Promise<readonly string[]> {
  const of = { participant: run.participant, keyType: scope.keyType };
  const now = deps.clock.now();
  const limit = deps.settings?.sliceKeys ?? sliceKeysDefault;
  const keys = await nextCandidates(tx, run, scope.keyType, { after, limit });
  const last = keys.at(-1);
  const [locked] = last === undefined ? [] : await lockVSyncs(tx, [of], now);
  if (last === undefined || locked === undefined) return [];
  const fixes: KeyFix[] = [];
  let unsound = 0;
  for (const { key, entry, counting } of await readKeys(tx, of, keys)) {
    if (checkKey(key, entry, counting, algorithm).length === 0) continue;
    unsound += 1;
    const fix = run.acceptAltered ? acceptedFix(key, entry, counting, algorithm) : restoringFix(entry, counting, algorithm);
    if (fix !== null) fixes.push(fix);
  }
  const possible = await withoutForeign(tx, locked, fixes);
  await applyFixes(tx, locked, possible, { algorithm, now });
  await removeCandidates(tx, run, scope.keyType, last);
  const add = (what: string, keysOfIt: number): void => {
    scope.tally[what] = (scope.tally[what] ?? 0) + keysOfIt;
  };
  add('restored', possible.filter(({ kind }) => kind === 'restored').length);
  add('accepted', possible.filter(({ kind }) => kind === 'accepted').length);
  add('left', unsound - possible.length);
  await saveTally(tx, run, scope);
  await saveRun(tx, run, now);
  return keys;
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
