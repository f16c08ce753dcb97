/**
 * The import that is under way (import_runs): one at most, written in the transaction of whatever it tells of, so that the same
 * command goes on exactly where a killed one ended. Ended runs leave no row; what they did stands in the audit log.
 */

import type { CidAlgorithm } from '../cid/cid.ts';
import { KEY_TYPES } from '../dict/key-type.ts';
import { type Participant, participant } from '../dict/participant.ts';
import { assert } from '../platform/assert.ts';
import type { Sql, Transaction } from '../platform/postgres/database.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import type { LockedScopes } from './batch-commit.ts';
import type { ImportCounts } from './entry-import.ts';

export type ImportFormat = 'ndjson' | 'csv';

/** What a file is known by: the same import is one of the same file, format and time. */
export interface FileIdentity {
  readonly bytes: number;
  readonly modifiedAt: Date;
  readonly digest: Buffer;
}

export interface ImportRun extends ImportCounts {
  readonly id: string;
  /** Null: a pipe. */
  readonly file: FileIdentity | null;
  readonly format: ImportFormat;
  readonly asOf: Date;
  readonly phase: 'loading' | 'building' | 'merging';
  /** Whether the rows can take the place of an empty base. */
  readonly replaces: boolean;
  /** Of participants whose CIDs are not made by `dict`, as the rows were staged. */
  readonly algorithms: Readonly<Record<Participant, CidAlgorithm>>;
  readonly columns: readonly string[] | null;
  readonly nextOffset: number;
  readonly nextLine: number;
  readonly refusedBytes: number;
  /** Each as `participant key_type`. */
  readonly scopes: readonly string[];
  readonly mergedPages: number;
  readonly startedAt: Date;
}

interface RunRow {
  readonly id: string;
  readonly file_bytes: number | null;
  readonly file_modified_at: Date | null;
  readonly file_digest: Buffer | null;
  readonly format: ImportFormat;
  readonly as_of: Date;
  readonly phase: ImportRun['phase'];
  readonly replaces: boolean;
  readonly algorithms: Record<Participant, CidAlgorithm>;
  readonly columns: string[] | null;
  readonly next_offset: number;
  readonly next_line: number;
  readonly refused_bytes: number;
  readonly scopes: string[];
  readonly merged_pages: number;
  readonly rows: number;
  readonly loaded: number;
  readonly unchanged: number;
  readonly superseded: number;
  readonly refused: number;
  readonly without_request_id: number;
  readonly started_at: Date;
}

function runOf(row: RunRow): ImportRun {
  const { file_bytes, file_modified_at, file_digest } = row;
  const isFile = file_bytes !== null && file_modified_at !== null && file_digest !== null;
  return {
    id: row.id,
    file: isFile ? { bytes: file_bytes, modifiedAt: file_modified_at, digest: file_digest } : null,
    format: row.format,
    asOf: row.as_of,
    phase: row.phase,
    replaces: row.replaces,
    algorithms: row.algorithms,
    columns: row.columns,
    nextOffset: row.next_offset,
    nextLine: row.next_line,
    refusedBytes: row.refused_bytes,
    scopes: row.scopes,
    mergedPages: row.merged_pages,
    rows: row.rows,
    loaded: row.loaded,
    unchanged: row.unchanged,
    superseded: row.superseded,
    refused: row.refused,
    withoutRequestId: row.without_request_id,
    startedAt: row.started_at,
  };
}

/** The participants and key types of its rows. */
export function scopesOf(run: Pick<ImportRun, 'scopes'>): Scope[] {
  return run.scopes.map((text) => {
    const [ispb = '', keyTypeText] = text.split(' ');
    const keyType = KEY_TYPES.find((known) => known === keyTypeText);
    assert(keyType !== undefined, `import_runs.scopes: "${text}" names a participant and a key type`);
    return { participant: participant(ispb), keyType };
  });
}

/** Whether the run is of that file, format and time, and can go on with it. A pipe cannot be read again. */
export function isRunOf(run: ImportRun, of: Pick<ImportRun, 'file' | 'format' | 'asOf'>): boolean {
  const [mine, theirs] = [run.file, of.file];
  if (mine === null || theirs === null) return false;
  const sameFile =
    mine.bytes === theirs.bytes && mine.modifiedAt.getTime() === theirs.modifiedAt.getTime() && mine.digest.equals(theirs.digest);
  return sameFile && run.format === of.format && run.asOf.getTime() === of.asOf.getTime();
}

/** The run under way; null where there is none. */
export async function readRun(sql: Sql): Promise<ImportRun | null> {
  const { rows } = await sql.query<RunRow & { [column: string]: unknown }>(
    `SELECT id, file_bytes, file_modified_at, file_digest, format, as_of, phase, replaces, algorithms, columns, next_offset, next_line,
       refused_bytes, scopes, merged_pages, rows, loaded, unchanged, superseded, refused, without_request_id, started_at
     FROM import_runs`,
  );
  assert(rows.length <= 1, 'at most one import is under way');
  return rows[0] === undefined ? null : runOf(rows[0]);
}

/** Begins a run, in the place of any that was there. */
export async function beginRun(tx: Transaction, run: ImportRun): Promise<void> {
  await tx.query('DELETE FROM import_runs');
  await tx.query(
    `INSERT INTO import_runs (id, file_bytes, file_modified_at, file_digest, format, as_of, phase, replaces, algorithms, columns,
       next_offset, next_line, refused_bytes, scopes, merged_pages, rows, loaded, unchanged, superseded, refused, without_request_id,
       started_at, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $22)`,
    [
      run.id,
      run.file?.bytes ?? null,
      run.file?.modifiedAt ?? null,
      run.file?.digest ?? null,
      run.format,
      run.asOf,
      run.phase,
      run.replaces,
      JSON.stringify(run.algorithms),
      run.columns,
      run.nextOffset,
      run.nextLine,
      run.refusedBytes,
      run.scopes,
      run.mergedPages,
      run.rows,
      run.loaded,
      run.unchanged,
      run.superseded,
      run.refused,
      run.withoutRequestId,
      run.startedAt,
    ],
  );
}

/** Another process took the run over, or ended it; nothing was written by this one since. */
export class ImportLost extends Error {
  override readonly name = 'ImportLost';

  constructor() {
    super('another import took over while this one ran; nothing of this one was committed since');
  }
}

/** Writes how far the run is, from where it was. Throws `ImportLost` where it is no longer there. */
export async function advanceRun(tx: Transaction, before: ImportRun, run: ImportRun, now: Date): Promise<void> {
  const { rowCount } = await tx.query(
    `UPDATE import_runs SET phase = $4, replaces = $5, columns = $6, next_offset = $7, next_line = $8, refused_bytes = $9, scopes = $10,
       merged_pages = $11, rows = $12, loaded = $13, unchanged = $14, superseded = $15, refused = $16, without_request_id = $17,
       updated_at = $18
     WHERE id = $1 AND next_offset = $2 AND merged_pages = $3`,
    [
      run.id,
      before.nextOffset,
      before.mergedPages,
      run.phase,
      run.replaces,
      run.columns,
      run.nextOffset,
      run.nextLine,
      run.refusedBytes,
      run.scopes,
      run.mergedPages,
      run.rows,
      run.loaded,
      run.unchanged,
      run.superseded,
      run.refused,
      run.withoutRequestId,
      now,
    ],
  );
  if (rowCount !== 1) throw new ImportLost();
}

/** Ends the run. Throws `ImportLost` where it is no longer there. */
export async function endRun(tx: Transaction, run: ImportRun): Promise<void> {
  const { rowCount } = await tx.query('DELETE FROM import_runs WHERE id = $1', [run.id]);
  if (rowCount !== 1) throw new ImportLost();
}

/** A participant's CIDs are to be made by another algorithm than when its rows were loaded. */
export class AlgorithmChanged extends Error {
  override readonly name = 'AlgorithmChanged';

  constructor(ispb: Participant) {
    super(`the CID algorithm of ${ispb} was changed while its rows were imported; run the import again`);
  }
}

/** Throws `AlgorithmChanged` where the staged CIDs of a locked participant are not those that it would have now. */
export function checkAlgorithms(run: ImportRun, locks: LockedScopes): void {
  for (const { scope } of locks.vsyncs) {
    const staged = run.algorithms[scope.participant] ?? 'dict';
    if (locks.algorithmOf(scope.participant) !== staged) throw new AlgorithmChanged(scope.participant);
  }
}

/** "Import" in ASCII: held by the one import that works, for as long as its process and its connection live. */
const importLock = 0x494d5052;

/** Whether no other import works; then none will begin until this transaction ends. */
export async function lockImports(tx: Transaction): Promise<boolean> {
  // It is idle while others of its connections work: a server that ends idle transactions would end the lock.
  await tx.query('SET LOCAL idle_in_transaction_session_timeout = 0');
  const { rows } = await tx.query<{ locked: boolean }>('SELECT pg_try_advisory_xact_lock($1) AS locked', [importLock]);
  return rows[0]?.locked === true;
}
