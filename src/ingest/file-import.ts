/**
 * `import` of a file of any size: rows are loaded into tables of their own (import-loading.ts) and then become the base. Where there is
 * none yet, those tables are given their keys and indexes and take the place of the empty ones (import-building.ts,
 * import-switching.ts); else their rows are folded in (import-merging.ts). Every step is committed with how far the run is: whoever runs
 * the same command again goes on where this one ended, however it ended.
 */

import { availableParallelism } from 'node:os';
import type { Clock } from '../platform/clock.ts';
import type { Database, Transaction } from '../platform/postgres/database.ts';
import type { ImportResult } from './entry-import.ts';
import { buildStaged } from './import-building.ts';
import { BaseFileRefused } from './import-file.ts';
import { loadRows, type RefusedRows } from './import-loading.ts';
import { mergeRows } from './import-merging.ts';
import {
  AlgorithmChanged,
  advanceRun,
  beginRun,
  endRun,
  type FileIdentity,
  type ImportFormat,
  type ImportRun,
  isRunOf,
  lockImports,
  readRun,
  scopesOf,
} from './import-run.ts';
import { switchTables } from './import-switching.ts';
import { chunksOf, type ImportedFile, identify, isUnchanged, readerOf } from './imported-file.ts';
import { lineBlocks } from './line-blocks.ts';
import { readParticipants } from './participant-store.ts';
import { inThisThread, inWorkers } from './row-parser.ts';
import { csvSource, ndjsonSource, type SourcedRows } from './row-source.ts';
import { StagedRows, type StagedWith } from './staged-rows.ts';
import { dropStaging, isBaseEmpty, makeStaging, putRestBack, stagedPages } from './staging-tables.ts';

export interface FileImportDeps {
  readonly database: Database;
  readonly clock: Clock;
  readonly newId: () => string;
  readonly signal?: AbortSignal;
  /** Worker threads that parse. Default: one for each core but the database's, four at most, and none for a file of a few megabytes. */
  readonly workers?: number;
  /** Bytes of the file that are parsed at once. Default 1 MiB. */
  readonly blockBytes?: number;
  /** Bytes of the file in one transaction. Default 64 MiB. */
  readonly commitBytes?: number;
  /** Pages of rows that are folded in one transaction. Default 400, some 8,000 rows. */
  readonly mergePages?: number;
  /** Smallest file whose rows take the place of an empty base; a smaller one is folded in. Default 16 MiB. */
  readonly replaceBytesMin?: number;
}

/** How far it is. What `done` and `total` count: bytes of the file, steps, or pages of rows. */
export interface ImportProgress {
  readonly phase: 'loading' | 'building indexes' | 'merging';
  readonly done: number;
  /** Null: nobody knows. */
  readonly total: number | null;
  /** Rows of the file so far. */
  readonly rows: number;
  readonly bytes: number;
  readonly totalBytes: number | null;
}

export interface FileToImport {
  readonly handle: ImportedFile;
  readonly format: ImportFormat;
  readonly asOf: Date;
  readonly refused: RefusedRows;
}

export interface ImportListener {
  /** Columns of a CSV that are passed over. */
  onUnknown(columns: readonly string[]): void;
  onProgress?(progress: ImportProgress): void;
  /** Another run of the same file had ended before it was done: this one goes on after so many rows. */
  onResumed?(rows: number): void;
  /** Joins the transaction that ends the import. */
  onEnd(tx: Transaction, result: ImportResult): Promise<void>;
}

/** Another import works on this base. */
export class ImportUnderWay extends Error {
  override readonly name = 'ImportUnderWay';

  constructor() {
    super('another import is under way on this base; wait for its end');
  }
}

const workersMax = 4;
const workerBytesMin = 4_194_304;
const commitBytesDefault = 67_108_864;
const mergePagesDefault = 400;
const replaceBytesMinDefault = 16_777_216;
/** The first commit of a participant and key type. */
const firstSeq = 1;

/**
 * Imports the file as of its time. Rejects with `BaseFileRefused` where the file as a whole is none or changes while it is read,
 * with `ImportUnderWay`, with the signal's reason, or where the database or the file cannot be read; what was loaded until then is
 * found again.
 */
export async function importFile(deps: FileImportDeps, file: FileToImport, listener: ImportListener): Promise<ImportResult> {
  return await deps.database.transaction(async (lock) => {
    if (!(await lockImports(lock))) throw new ImportUnderWay();
    const identity = await identify(file.handle);
    let run = (await resumed(deps, file, identity, listener)) ?? (await begun(deps, file, identity));
    try {
      if (run.phase === 'loading') run = await load(deps, file, identity, run, listener);
      if (!(await isUnchanged(file.handle, identity))) {
        throw new BaseFileRefused('it changed while it was read; nothing of it is in the base');
      }
      if (run.phase === 'building') {
        const built = await replace(deps, run, identity, listener);
        if (built.ended) return resultOf(built.run);
        run = built.run;
      }
      return resultOf(await merge(deps, run, identity, listener));
    } catch (cause) {
      if (cause instanceof AlgorithmChanged || cause instanceof BaseFileRefused) await forget(deps, run);
      throw cause;
    }
  });
}

function resultOf(run: ImportRun): ImportResult {
  const { rows, loaded, unchanged, superseded, refused, withoutRequestId } = run;
  const participants = [...new Set(scopesOf(run).map(({ participant }) => participant))].sort();
  return { rows, loaded, unchanged, superseded, refused, withoutRequestId, participants };
}

/** The run that this one goes on with, or null where it has to begin. */
async function resumed(
  deps: FileImportDeps,
  { format, asOf, refused }: FileToImport,
  identity: FileIdentity | null,
  listener: ImportListener,
): Promise<ImportRun | null> {
  const run = await readRun(deps.database);
  if (run === null || !isRunOf(run, { file: identity, format, asOf })) return null;
  // A table without log is empty after a crash of the server.
  const pages = await stagedPages(deps.database);
  if (pages === null || (pages === 0 && run.rows > run.refused)) return null;
  if (!(await refused.goOnAfter(run.refusedBytes))) return null;
  listener.onResumed?.(run.rows);
  return run;
}

async function begun(deps: FileImportDeps, file: FileToImport, identity: FileIdentity | null): Promise<ImportRun> {
  const { database, clock } = deps;
  const isLarge = identity === null || identity.bytes >= (deps.replaceBytesMin ?? replaceBytesMinDefault);
  const rules = await readParticipants(database);
  const algorithms = rules.flatMap(({ participant, cidAlgorithm }) =>
    cidAlgorithm === 'dict' ? [] : [[participant, cidAlgorithm] as const],
  );
  const run: ImportRun = {
    ...{ id: deps.newId(), file: identity, format: file.format, asOf: file.asOf, phase: 'loading' },
    replaces: isLarge && (await isBaseEmpty(database)),
    algorithms: Object.fromEntries(algorithms),
    ...{ columns: null, nextOffset: 0, nextLine: 0, refusedBytes: 0, scopes: [], mergedPages: 0 },
    ...{ rows: 0, loaded: 0, unchanged: 0, superseded: 0, refused: 0, withoutRequestId: 0 },
    startedAt: clock.now(),
  };
  await database.transaction(async (tx) => {
    await makeStaging(tx, run.replaces);
    await beginRun(tx, run);
  });
  await file.refused.goOnAfter(0);
  return run;
}

function tell(
  listener: ImportListener,
  run: ImportRun,
  identity: FileIdentity | null,
  of: Pick<ImportProgress, 'phase' | 'done' | 'total'>,
): void {
  listener.onProgress?.({ ...of, rows: run.rows, bytes: run.nextOffset, totalBytes: identity?.bytes ?? null });
}

async function load(
  deps: FileImportDeps,
  file: FileToImport,
  identity: FileIdentity | null,
  run: ImportRun,
  listener: ImportListener,
): Promise<ImportRun> {
  const stagedWith: StagedWith = {
    ...{ asOfMs: run.asOf.getTime(), updatedAtMs: run.startedAt.getTime(), seq: firstSeq, algorithms: run.algorithms },
  };
  const read = readerOf(file.handle, identity === null, run.nextOffset);
  let columns = run.columns;
  const loading = {
    ...{ database: deps.database, clock: deps.clock, refused: file.refused, signal: deps.signal },
    commitBytes: deps.commitBytes ?? commitBytesDefault,
    columns: () => columns,
    onRun: (now: ImportRun) =>
      tell(listener, now, identity, { phase: 'loading', done: now.nextOffset, total: identity?.bytes ?? null }),
  };
  const loadFrom = async (source: AsyncGenerator<SourcedRows, void, undefined>): Promise<ImportRun> => {
    try {
      return await loadRows(loading, run, source);
    } finally {
      await source.return();
    }
  };
  const from = { offset: run.nextOffset, line: run.nextLine };
  if (file.format === 'csv') {
    const onColumns = (names: readonly string[]): void => {
      columns = names;
    };
    const position = columns === null ? null : { ...from, columns };
    const csvListener = { onColumns, onUnknown: (names: readonly string[]) => listener.onUnknown(names) };
    return await loadFrom(csvSource(chunksOf(read), position, new StagedRows(stagedWith), csvListener));
  }
  const isSmall = identity !== null && identity.bytes - run.nextOffset < workerBytesMin;
  const workers = deps.workers ?? (isSmall ? 0 : Math.max(1, Math.min(workersMax, availableParallelism() - 1)));
  const parser = workers === 0 ? inThisThread(stagedWith) : inWorkers(stagedWith, workers);
  try {
    return await loadFrom(ndjsonSource(lineBlocks(read, from.offset, deps.blockBytes), from.line, parser));
  } finally {
    await parser.close();
  }
}

/** Rows that were loaded for an empty base become it; where that cannot be, they are left to be merged. */
async function replace(
  deps: FileImportDeps,
  run: ImportRun,
  identity: FileIdentity | null,
  listener: ImportListener,
): Promise<{ readonly run: ImportRun; readonly ended: boolean }> {
  const { database, clock, signal } = deps;
  if (run.replaces && run.rows > run.refused && (await isBaseEmpty(database))) {
    const onStep = (done: number, total: number): void =>
      tell(listener, run, identity, { phase: 'building indexes', done, total });
    await buildStaged({ database, clock, signal, onStep }, run);
    const switched = await switchTables({ database, clock, signal }, run, (tx, ended) => listener.onEnd(tx, resultOf(ended)));
    if (switched !== 'not replaceable') return switched;
  }
  const merging: ImportRun = { ...run, phase: 'merging', replaces: false };
  await database.transaction(async (tx) => {
    await putRestBack(tx);
    await advanceRun(tx, run, merging, clock.now());
  });
  return { run: merging, ended: false };
}

async function merge(
  deps: FileImportDeps,
  begunRun: ImportRun,
  identity: FileIdentity | null,
  listener: ImportListener,
): Promise<ImportRun> {
  const { database, clock, signal } = deps;
  const total = (await stagedPages(database)) ?? 0;
  const onRun = (run: ImportRun): void => tell(listener, run, identity, { phase: 'merging', done: run.mergedPages, total });
  const run = await mergeRows({ database, clock, signal, pages: deps.mergePages ?? mergePagesDefault, onRun }, begunRun, total);
  await database.transaction(async (tx) => {
    await listener.onEnd(tx, resultOf(run));
    await dropStaging(tx);
    await endRun(tx, run);
  });
  return run;
}

async function forget(deps: FileImportDeps, run: ImportRun): Promise<void> {
  await deps.database.transaction(async (tx) => {
    await dropStaging(tx);
    await endRun(tx, run);
  });
}
