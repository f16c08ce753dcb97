/**
 * Looks for what no verification can see: rows altered under their stored CID, entries and CIDs that are not one to one, and buckets or
 * VSync that are not the XOR of the CIDs. Reads only, beside running ingest: a filter names the keys that may be unsound
 * (filter-run.ts), these are judged in slices that are each one moment; CIDs as of one seq. Mending is the reconciliation's (from
 * DICT, by the CID in history) or rebuild's.
 */

import type { CidAlgorithm } from '../cid/cid.ts';
import type { KeyType } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';
import { assert } from '../platform/assert.ts';
import type { Transaction } from '../platform/postgres/database.ts';
import { countOfBuckets, differingBuckets, vsyncOfBuckets } from '../vsync/buckets.ts';
import { equalVSync, vsyncToHex } from '../vsync/vsync.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import type { KeyFinding } from './entry-integrity.ts';
import { checkKey } from './entry-integrity.ts';
import { type FilterDeps, type FilterSettings, filterKeys } from './filter-run.ts';
import { readKeys } from './key-slice.ts';
import { countCandidates, nextCandidates, removeCandidates } from './scan-candidates.ts';
import { byParticipant, deleteRuns, type ScanRun, type ScanScope, saveRun, saveTally, scopeOf } from './scan-run.ts';
import type { FindingKind, ScopeFinding } from './scan-store.ts';
import { FINDING_KINDS, KEY_FAULTS, keepFindings, readKeyFindings, readScopeFindings } from './scan-store.ts';

export interface ScanSettings extends FilterSettings {
  /** Keys judged in one moment. */
  readonly sliceKeys: number;
  /** Findings kept of one scope; beyond it they are only counted. */
  readonly findingsMax: number;
}

const scanDefaults = { sliceKeys: 1_000, findingsMax: 10_000 };

export interface ScanResult {
  readonly scanId: string;
  readonly scope: Scope;
  /** As of which seq buckets and VSync were checked. */
  readonly seq: number;
  /** Rows looked at, tombstones included. */
  readonly entries: number;
  readonly counts: Readonly<Record<FindingKind, number>>;
  /** The first findings about keys, for showing; all that were kept are read by `readKeyFindings`. */
  readonly examples: readonly KeyFinding[];
  readonly scopeFindings: readonly ScopeFinding[];
  readonly clean: boolean;
}

const examplesMax = 20;

export interface ScanDeps extends FilterDeps {
  readonly settings?: Partial<ScanSettings>;
}

/**
 * Scans participant by participant and keeps what it finds under `scanId`; answers as they are done. One that was interrupted under that
 * id goes on where it was, one that was finished starts over. Rejects only by the database or the signal, or with `ScanTakenOver`.
 */
export async function* scanScopes(deps: ScanDeps, scopes: readonly Scope[], scanId: string): AsyncGenerator<ScanResult> {
  for (const [participant, keyTypes] of byParticipant(scopes)) yield* await scanParticipant(deps, participant, keyTypes, scanId);
  await deleteRuns(deps.database, scanId);
}

/** The same of one key type. */
export async function scanScope(deps: ScanDeps, scope: Scope, scanId: string): Promise<ScanResult> {
  const results: ScanResult[] = [];
  for await (const result of scanScopes(deps, [scope], scanId)) results.push(result);
  const [only] = results;
  assert(only !== undefined, 'a scan of one key type has one result');
  return only;
}

async function scanParticipant(
  deps: ScanDeps,
  participant: Participant,
  keyTypes: readonly KeyType[],
  scanId: string,
): Promise<ScanResult[]> {
  const request = { id: scanId, kind: 'scan', acceptAltered: false, participant, keyTypes } as const;
  const { run, algorithm } = await filterKeys(deps, request, deps.settings);
  const results: ScanResult[] = [];
  if (run.phase === 'keys') await judgeKeys(deps, run, algorithm);
  for (const scope of run.scopes) results.push(await resultOf(deps, run, scope));
  return results;
}

/** Judges what the filter named, a slice of keys as of one moment at a time, then the sums. */
async function judgeKeys(deps: ScanDeps, run: ScanRun, algorithm: CidAlgorithm): Promise<void> {
  const { database } = deps;
  const settings = { ...scanDefaults, ...deps.settings };
  const total = await countCandidates(database, run);
  let done = 0;
  for (const scope of run.scopes) {
    let after: string | null = null;
    do {
      deps.signal?.throwIfAborted();
      const page = { after, limit: settings.sliceKeys };
      const keys: readonly string[] = await database.transaction(
        (tx) => judgeSlice(tx, deps, { run, scope, algorithm, page, findingsMax: settings.findingsMax }),
        { isolation: 'repeatable read' },
      );
      done += keys.length;
      deps.onProgress?.({ participant: run.participant, phase: 'keys', done, total });
      after = keys.at(-1) ?? null;
    } while (after !== null);
  }
  await database.transaction(async (tx) => {
    const now = deps.clock.now();
    for (const scope of run.scopes) {
      const findings = sumFindings(scope);
      for (const { kind } of findings) count(scope, kind);
      await keepFindings(tx, run.id, scopeOf(run, scope), findings, now);
      await saveTally(tx, run, scope);
    }
    run.phase = 'done';
    await saveRun(tx, run, now);
  });
}

interface Slice {
  readonly run: ScanRun;
  readonly scope: ScanScope;
  readonly algorithm: CidAlgorithm;
  readonly page: { readonly after: string | null; readonly limit: number };
  readonly findingsMax: number;
}

/** Judges the next keys; answers which these were. Findings, tally and what is left go together. */
async function judgeSlice(tx: Transaction, deps: ScanDeps, slice: Slice): Promise<readonly string[]> {
  const { run, scope, algorithm, findingsMax } = slice;
  const of = scopeOf(run, scope);
  const now = deps.clock.now();
  // First, so that nobody can take the scan over before this slice is kept.
  await saveRun(tx, run, now);
  const keys = await nextCandidates(tx, run, scope.keyType, slice.page);
  const last = keys.at(-1);
  if (last === undefined) return [];
  const facts = await readKeys(tx, of, keys);
  const findings = facts.flatMap(({ key, entry, counting }) => checkKey(key, entry, counting, algorithm));
  const keptBefore = KEY_FAULTS.reduce((sum, kind) => sum + (scope.tally[kind] ?? 0), 0);
  await keepFindings(tx, run.id, of, findings.slice(0, Math.max(0, findingsMax - keptBefore)), now);
  await removeCandidates(tx, run, scope.keyType, last);
  for (const { kind } of findings) count(scope, kind);
  await saveTally(tx, run, scope);
  return keys;
}

function count(scope: ScanScope, kind: FindingKind): void {
  scope.tally[kind] = (scope.tally[kind] ?? 0) + 1;
}

/** Buckets, VSync and count as stored, against the CIDs that counted as of the same seq. */
function sumFindings({ stored, counted }: ScanScope): ScopeFinding[] {
  assert(stored !== null && counted !== null, 'keys are judged after the CIDs were read');
  const findings: ScopeFinding[] = [];
  if (stored.fault !== null) {
    findings.push({ kind: 'buckets', detail: `the stored buckets cannot be folded: ${stored.fault}` });
  } else if (stored.buckets !== null) {
    const differing = differingBuckets(stored.buckets, counted).length;
    if (differing > 0)
      findings.push({ kind: 'buckets', detail: `${differing} of the stored buckets are not the XOR of their CIDs` });
  }
  const xor = vsyncOfBuckets(counted);
  if (!equalVSync(xor, stored.vsync)) {
    findings.push({ kind: 'vsync', detail: `stored ${vsyncToHex(stored.vsync)}, XOR of the CIDs ${vsyncToHex(xor)}` });
  }
  const keys = countOfBuckets(counted);
  if (keys !== stored.keys) findings.push({ kind: 'count', detail: `stored ${stored.keys}, CIDs that count ${keys}` });
  return findings;
}

async function resultOf({ database }: ScanDeps, run: ScanRun, scope: ScanScope): Promise<ScanResult> {
  const of = scopeOf(run, scope);
  const counts = Object.fromEntries(FINDING_KINDS.map((kind) => [kind, scope.tally[kind] ?? 0]));
  return {
    ...{ scanId: run.id, scope: of, seq: scope.seq, entries: scope.entries },
    // Every kind has been given its number.
    counts: counts as Record<FindingKind, number>,
    examples: await readKeyFindings(database, run.id, of, { after: 0, limit: examplesMax }),
    scopeFindings: await readScopeFindings(database, run.id, of),
    clean: FINDING_KINDS.every((kind) => counts[kind] === 0),
  };
}
