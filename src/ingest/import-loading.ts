/**
 * File → import_entries: some megabytes of the file in each transaction, together with how far the run is, so that a run that was
 * killed goes on after the last of them and never loads a row twice. Refused rows are on disk before the transaction that counts them.
 */

import { pipeline } from 'node:stream/promises';
import { from as copyFrom } from 'pg-copy-streams';
import type { Clock } from '../platform/clock.ts';
import { BINARY_ROWS_HEADER, BINARY_ROWS_TRAILER } from '../platform/postgres/binary-rows.ts';
import type { Database, Transaction } from '../platform/postgres/database.ts';
import { asDatabaseError } from '../platform/postgres/errors.ts';
import { advanceRun, type ImportRun } from './import-run.ts';
import type { RefusedLine } from './row-block.ts';
import type { SourcedRows } from './row-source.ts';
import { STAGED_COLUMNS } from './staged-rows.ts';

/** Where refused rows go. */
export interface RefusedRows {
  /** Cuts it to what an earlier run is known to have written; whether that much was there. */
  goOnAfter(bytes: number): Promise<boolean>;
  write(row: RefusedLine): Promise<void>;
  /** Returns once everything is on disk: how many bytes that is. */
  settle(): Promise<number>;
}

export interface LoadingDeps {
  readonly database: Database;
  readonly clock: Clock;
  readonly refused: RefusedRows;
  readonly signal: AbortSignal | undefined;
  /** Bytes of the file in one transaction. */
  readonly commitBytes: number;
  /** Columns of the file, once the source knows them. */
  columns(): readonly string[] | null;
  onRun(run: ImportRun): void;
}

const copyRows = `COPY import_entries (${STAGED_COLUMNS}) FROM STDIN (FORMAT binary)`;

/** Loads what the source has, from where the run is. Answers the run as it is then. */
export async function loadRows(
  deps: LoadingDeps,
  begun: ImportRun,
  source: AsyncIterator<SourcedRows, void, undefined>,
): Promise<ImportRun> {
  let run = begun;
  for (let ended = false; !ended; ) {
    const before = run;
    const chunk = await deps.database.transaction(async (tx) => {
      const copied = await copyChunk(tx, deps, before, source);
      const refusedBytes = await deps.refused.settle();
      const after: ImportRun = {
        ...copied.run,
        refusedBytes,
        columns: deps.columns(),
        phase: copied.ended ? 'building' : 'loading',
      };
      await advanceRun(tx, before, after, deps.clock.now());
      return { run: after, ended: copied.ended };
    });
    run = chunk.run;
    ended = chunk.ended;
    deps.onRun(run);
  }
  return run;
}

/** Copies rows until the chunk is full or the source has ended. */
async function copyChunk(
  tx: Transaction,
  deps: LoadingDeps,
  before: ImportRun,
  source: AsyncIterator<SourcedRows, void, undefined>,
): Promise<{ run: ImportRun; ended: boolean }> {
  await tx.query('SET LOCAL statement_timeout = 0');
  const scopes = new Set(before.scopes);
  let run = before;
  let ended = false;
  async function* bytes(): AsyncGenerator<Uint8Array, void, undefined> {
    yield BINARY_ROWS_HEADER;
    while (run.nextOffset - before.nextOffset < deps.commitBytes) {
      deps.signal?.throwIfAborted();
      const next = await source.next();
      if (next.done) {
        ended = true;
        break;
      }
      const { staged, refused, endOffset, endLine } = next.value;
      for (const row of refused) await deps.refused.write(row);
      for (const scope of staged?.scopes ?? []) scopes.add(scope);
      run = {
        ...run,
        nextOffset: endOffset,
        nextLine: endLine,
        rows: run.rows + (staged?.rows ?? 0) + refused.length,
        refused: run.refused + refused.length,
        withoutRequestId: run.withoutRequestId + (staged?.withoutRequestId ?? 0),
      };
      deps.onRun(run);
      if (staged !== null && staged.rows > 0) yield staged.bytes;
    }
    yield BINARY_ROWS_TRAILER;
  }
  try {
    await pipeline(bytes, tx.connection.query(copyFrom(copyRows)));
  } catch (cause) {
    throw asDatabaseError(cause);
  }
  return { run: { ...run, scopes: [...scopes].sort() }, ended };
}
