/**
 * Looks for what no verification can see: rows altered under their stored CID, entries and CIDs that are not one to one, and buckets or
 * VSync that are not the XOR of the CIDs. Reads only, beside running ingest: keys in slices that are each one moment, CIDs as of one
 * seq. Mending is the reconciliation's (from DICT, by the CID in history) or rebuild's.
 */

import { InvariantBroken } from '../platform/assert.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database } from '../platform/postgres/database.ts';
import type { BucketsAsOf } from '../vsync/bucket-store.ts';
import { loadBuckets } from '../vsync/bucket-store.ts';
import { countOfBuckets, differingBuckets, vsyncOfBuckets } from '../vsync/buckets.ts';
import { equalVSync, vsyncToHex } from '../vsync/vsync.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import { readVSync } from '../vsync/vsync-store.ts';
import { bucketsOfCids } from './cid-buckets.ts';
import type { KeyFinding } from './entry-integrity.ts';
import { checkKey } from './entry-integrity.ts';
import type { KeySlice } from './key-slice.ts';
import { keysOf, readSlice } from './key-slice.ts';
import { readParticipant } from './participant-store.ts';
import type { FindingKind, ScopeFinding } from './scan-store.ts';
import { clearFindings, FINDING_KINDS, keepFindings } from './scan-store.ts';

export interface ScanSettings {
  /** Keys read in one moment. */
  readonly sliceKeys: number;
  /** Findings kept of one scope; beyond it they are only counted. */
  readonly findingsMax: number;
}

const scanDefaults: ScanSettings = { sliceKeys: 5_000, findingsMax: 10_000 };

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

export interface ScanDeps {
  readonly database: Database;
  readonly clock: Clock;
  readonly settings?: Partial<ScanSettings>;
  readonly signal?: AbortSignal;
}

interface Tally {
  readonly counts: Record<FindingKind, number>;
  readonly examples: KeyFinding[];
  kept: number;
  entries: number;
}

/**
 * Scans one participant and key type and keeps what it finds under `scanId`; done again under the same id it starts over. Only the
 * database, or the signal, makes it reject.
 */
export async function scanScope(deps: ScanDeps, scope: Scope, scanId: string): Promise<ScanResult> {
  const settings = { ...scanDefaults, ...deps.settings };
  const counts = { altered: 0, missing: 0, surplus: 0, duplicated: 0, buckets: 0, vsync: 0, count: 0 };
  const tally: Tally = { counts, examples: [], kept: 0, entries: 0 };
  await clearFindings(deps.database, scanId, scope);
  await scanKeys(deps, scope, scanId, settings, tally);
  const { seq, findings } = await checkSums(deps, scope);
  for (const finding of findings) counts[finding.kind] += 1;
  await keepFindings(deps.database, scanId, scope, findings, deps.clock.now());
  const { examples, entries } = tally;
  return {
    scanId,
    scope,
    seq,
    entries,
    counts,
    examples,
    scopeFindings: findings,
    clean: FINDING_KINDS.every((kind) => counts[kind] === 0),
  };
}

async function scanKeys(deps: ScanDeps, scope: Scope, scanId: string, settings: ScanSettings, tally: Tally): Promise<void> {
  const { database } = deps;
  const algorithm = (await readParticipant(database, scope.participant))?.cidAlgorithm ?? 'dict';
  let after: string | null = null;
  do {
    deps.signal?.throwIfAborted();
    const from: string | null = after;
    const slice: KeySlice = await database.transaction((tx) => readSlice(tx, scope, from, settings.sliceKeys), {
      isolation: 'repeatable read',
      readOnly: true,
    });
    const findings = keysOf(slice).flatMap(({ key, entry, counting }) => checkKey(key, entry, counting, algorithm));
    tally.entries += slice.entries.length;
    for (const finding of findings) tally.counts[finding.kind] += 1;
    tally.examples.push(...findings.slice(0, examplesMax - tally.examples.length));
    const kept = findings.slice(0, settings.findingsMax - tally.kept);
    await keepFindings(database, scanId, scope, kept, deps.clock.now());
    tally.kept += kept.length;
    after = slice.upto;
  } while (after !== null);
}

/** Buckets, VSync and count as stored, against the CIDs that counted as of the same seq. */
async function checkSums(deps: ScanDeps, scope: Scope): Promise<{ seq: number; findings: ScopeFinding[] }> {
  const stored = await storedSums(deps.database, scope);
  const { seq, vsync, keys } = stored.sums;
  const counted = await bucketsOfCids(deps.database, scope, seq, deps.signal);
  const findings: ScopeFinding[] = [];
  if (stored.broken !== null) {
    findings.push({ kind: 'buckets', detail: stored.broken });
  } else if ('buckets' in stored.sums) {
    const differing = differingBuckets(stored.sums.buckets, counted).length;
    if (differing > 0)
      findings.push({ kind: 'buckets', detail: `${differing} of the stored buckets are not the XOR of their CIDs` });
  }
  const xor = vsyncOfBuckets(counted);
  if (!equalVSync(xor, vsync)) {
    findings.push({ kind: 'vsync', detail: `stored ${vsyncToHex(vsync)}, XOR of the CIDs ${vsyncToHex(xor)}` });
  }
  const count = countOfBuckets(counted);
  if (count !== keys) findings.push({ kind: 'count', detail: `stored ${keys}, CIDs that count ${count}` });
  return { seq, findings };
}

type Sums = BucketsAsOf | Omit<BucketsAsOf, 'buckets'>;

/** Buckets that cannot even be folded are a finding, not a fault of the scan. */
async function storedSums(database: Database, scope: Scope): Promise<{ readonly sums: Sums; readonly broken: string | null }> {
  try {
    return { sums: await loadBuckets(database, scope), broken: null };
  } catch (cause) {
    if (!(cause instanceof InvariantBroken)) throw cause;
    return { sums: await readVSync(database, scope), broken: `the stored buckets cannot be folded: ${cause.message}` };
  }
}
