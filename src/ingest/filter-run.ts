/**
 * The filter that scan and rebuild share: which keys of a participant may be unsound. Rows are hashed and folded as they lie on the
 * disk, then CIDs; where sums of buckets differ, by damage or because keys changed meanwhile, the bucket is compared as of one
 * moment. It may name keys that are sound, and misses none that was unsound when it began. Judging them is scan.ts, mending rebuild.ts.
 */

import { availableParallelism } from 'node:os';
import type { CidAlgorithm } from '../cid/cid.ts';
import type { KeyType } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database } from '../platform/postgres/database.ts';
import { readAllVSyncs } from '../vsync/vsync-store.ts';
import { compareUneven, type PassDeps, readAllCids, readAllEntries, type ScanProgress } from './filter-passes.ts';
import { readParticipant } from './participant-store.ts';
import { type Lane, laneOver } from './row-filter/lane.ts';
import type { FolderSetup } from './row-filter/row-folder.ts';
import { blocksOf, readTableSize } from './row-filter/table-files.ts';
import { threadedLane } from './row-filter/threaded-lane.ts';
import { insertRun, type ScanKind, type ScanRun, seedOf, takeRun } from './scan-run.ts';

export interface FilterSettings {
  /** Connections, and threads where there are any, that read side by side. */
  readonly lanes: number;
  /** Tables from this size on are read by threads; starting them takes longer than reading a smaller one. */
  readonly threadsFromBlocks: number;
  readonly rangeBlocks: number;
  readonly checkpointMs: number;
  readonly bucketsPerBatch: number;
}

/** Two cores: two servers' processes and two threads share them. More lanes than four wait for the disk. */
const filterDefaults: FilterSettings = {
  lanes: Math.min(4, availableParallelism()),
  threadsFromBlocks: 4_096,
  rangeBlocks: 2_048,
  checkpointMs: 5_000,
  bucketsPerBatch: 64,
};

export interface FilterDeps {
  /** With its address, several cores are used. */
  readonly database: Database & { readonly url?: string };
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ScanProgress) => void;
}

/** What is asked: a scan or rebuild under an id. One that was interrupted goes on, if it is the same. */
export interface FilterRequest {
  readonly id: string;
  readonly kind: ScanKind;
  readonly acceptAltered: boolean;
  readonly participant: Participant;
  readonly keyTypes: readonly KeyType[];
}

const attemptsMax = 3;
const plainRangeBlocks = 128;
/** A participant with a smaller part of the rows than one in so many is read by its index. */
const indexedShare = 20;

/** Runs the filter, from where it had come; what it names stands in scan_candidates. Rejects only by the database or the signal. */
export async function filterKeys(
  deps: FilterDeps,
  request: FilterRequest,
  settings: Partial<FilterSettings> = {},
): Promise<{ readonly run: ScanRun; readonly algorithm: CidAlgorithm }> {
  const all = { ...filterDefaults, ...settings };
  const algorithm = (await readParticipant(deps.database, request.participant))?.cidAlgorithm ?? 'dict';
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const run = (attempt === 1 ? await goOn(deps, request) : null) ?? (await begin(deps, request, algorithm));
    if (await filtered(deps, run, algorithm, all)) return { run, algorithm };
  }
  throw new Error(`dict_entries was rewritten ${attemptsMax} times while it was read: try again when nothing rewrites it`);
}

async function goOn(
  deps: FilterDeps,
  { id, kind, acceptAltered, participant, keyTypes }: FilterRequest,
): Promise<ScanRun | null> {
  const run = await deps.database.transaction((tx) => takeRun(tx, id, participant, deps.clock.now()));
  const isSame =
    run !== null &&
    run.kind === kind &&
    run.acceptAltered === acceptAltered &&
    run.scopes.length === keyTypes.length &&
    run.scopes.every(({ keyType }) => keyTypes.includes(keyType));
  return isSame ? run : null;
}

async function begin(deps: FilterDeps, request: FilterRequest, algorithm: CidAlgorithm): Promise<ScanRun> {
  const { database } = deps;
  const { files, rowsEstimate } = await readTableSize(database, 'dict_entries');
  const keys = (await readAllVSyncs(database, request.participant)).reduce((sum, vsync) => sum + vsync.keys, 0);
  const isFew = algorithm === 'dict' && keys * indexedShare < rowsEstimate;
  const what = { ...request, keyTypes: request.keyTypes.toSorted(), files: isFew ? [] : files };
  return await database.transaction((tx) => insertRun(tx, what, deps.clock.now()));
}

/** False where the rows were rewritten, so that it has to begin anew. */
async function filtered(deps: FilterDeps, run: ScanRun, algorithm: CidAlgorithm, settings: FilterSettings): Promise<boolean> {
  if (!['entries', 'cids', 'buckets'].includes(run.phase)) return true;
  // Rows of another algorithm are held as objects: fewer at once.
  const rangeBlocks = algorithm === 'dict' ? settings.rangeBlocks : Math.min(settings.rangeBlocks, plainRangeBlocks);
  const passes: PassDeps = { ...deps, ...settings, rangeBlocks };
  const lanes = openLanes(deps, run, algorithm, settings);
  try {
    if (run.phase === 'entries' && (await readAllEntries(passes, run, lanes)) === 'rewritten') return false;
    if (run.phase === 'cids') await readAllCids(passes, run, lanes);
    if (run.phase === 'buckets') await compareUneven(passes, run, lanes);
    return true;
  } finally {
    await Promise.all(lanes.map((lane) => lane.close()));
  }
}

function openLanes({ database }: FilterDeps, run: ScanRun, algorithm: CidAlgorithm, settings: FilterSettings): Lane[] {
  const { url } = database;
  const setup: FolderSetup = {
    participant: run.participant,
    keyTypes: run.scopes.map(({ keyType }) => keyType),
    algorithm,
    seed: seedOf(run),
  };
  const isLarge = blocksOf(run.files) >= settings.threadsFromBlocks;
  return Array.from({ length: settings.lanes }, () =>
    url !== undefined && isLarge ? threadedLane(url, setup) : laneOver(database, setup),
  );
}
