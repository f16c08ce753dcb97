/**
 * The switch: in one transaction VSync, count and buckets of what was loaded are committed and the loaded tables take the place of the
 * empty ones. Before it the base is as it was, after it the whole file is in it. Where the base is no longer empty, or its tables are
 * not those that migrations make, nothing is switched, and the rows are folded in instead.
 */

import { escapeLiteral } from 'pg';
import type { Clock } from '../platform/clock.ts';
import type { Database, Transaction } from '../platform/postgres/database.ts';
import { errorCode } from '../platform/postgres/errors.ts';
import { rowReader, rowsOut } from '../platform/postgres/rows-out.ts';
import { storeBuckets } from '../vsync/bucket-store.ts';
import { type Buckets, countOfBuckets, emptyBuckets, foldCidAt, vsyncOfBuckets } from '../vsync/buckets.ts';
import { commitBulk, type Scope } from '../vsync/vsync-store.ts';
import { lockScopes } from './batch-commit.ts';
import { advanceRun, checkAlgorithms, endRun, type ImportRun, scopesOf } from './import-run.ts';
import { dropStaging, isBaseEmpty, replaceTables } from './staging-tables.ts';
import { tableShape } from './table-shape.ts';

export interface SwitchingDeps {
  readonly database: Database;
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
}

class NotReplaceable extends Error {
  override readonly name = 'NotReplaceable';
}

/**
 * Makes the loaded tables the base. `finish` joins the transaction where nothing is left to be done. Answers the run: merging where
 * rows are left, null where it has ended; or `not replaceable`, and nothing was changed.
 */
export async function switchTables(
  deps: SwitchingDeps,
  run: ImportRun,
  finish: (tx: Transaction, run: ImportRun) => Promise<void>,
): Promise<{ readonly run: ImportRun; readonly ended: boolean } | 'not replaceable'> {
  try {
    return await deps.database.transaction((tx) => switchLocked(tx, deps, run, finish));
  } catch (cause) {
    if (cause instanceof NotReplaceable || refusals.has(errorCode(cause) ?? '')) return 'not replaceable';
    throw cause;
  }
}

/** Something depends on the tables; a lock was not to be had; a deadlock; no right to do it. */
const refusals: ReadonlySet<string> = new Set(['2BP01', '55P03', '40P01', '42501']);

async function switchLocked(
  tx: Transaction,
  deps: SwitchingDeps,
  run: ImportRun,
  finish: (tx: Transaction, run: ImportRun) => Promise<void>,
): Promise<{ readonly run: ImportRun; readonly ended: boolean }> {
  await tx.query('SET LOCAL statement_timeout = 0');
  const now = deps.clock.now();
  const locks = await lockScopes(tx, scopesOf(run), now);
  checkAlgorithms(run, locks);
  if (!(await isBaseEmpty(tx))) throw new NotReplaceable('the base is no longer empty');
  for (const vsync of locks.vsyncs) {
    deps.signal?.throwIfAborted();
    const buckets = await bucketsOfStaged(tx, vsync.scope);
    const present = { vsync: vsyncOfBuckets(buckets), keys: countOfBuckets(buckets) };
    await commitBulk(tx, vsync, present, { source: 'import', now });
    await storeBuckets(tx, vsync.scope, buckets);
  }
  // Short: others wait behind whoever waits for a whole table.
  await tx.query(`SET LOCAL lock_timeout = '10s'`);
  await tx.query('LOCK TABLE dict_entries, dict_cids IN ACCESS EXCLUSIVE MODE');
  if (!(await areTablesEmpty(tx))) throw new NotReplaceable('the base is no longer empty');
  const before = [await tableShape(tx, 'dict_entries'), await tableShape(tx, 'dict_cids')];
  await replaceTables(tx);
  const after = [await tableShape(tx, 'dict_entries'), await tableShape(tx, 'dict_cids')];
  if (before.join() !== after.join()) throw new NotReplaceable('something hangs on the tables that cannot be moved');
  deps.signal?.throwIfAborted();
  const rest = await keepRest(tx);
  const next: ImportRun = { ...run, loaded: run.rows - run.refused - rest, phase: 'merging' };
  if (rest > 0) await advanceRun(tx, run, next, now);
  else {
    await finish(tx, next);
    await dropStaging(tx);
    await endRun(tx, run);
  }
  return { run: next, ended: rest === 0 };
}

async function areTablesEmpty(tx: Transaction): Promise<boolean> {
  const { rows } = await tx.query<{ empty: boolean }>(
    'SELECT NOT EXISTS (SELECT FROM dict_entries) AND NOT EXISTS (SELECT FROM dict_cids) AS empty',
  );
  return rows[0]?.empty === true;
}

async function restRows(tx: Transaction): Promise<number> {
  const { rows } = await tx.query<{ rows: number }>('SELECT count(*) AS rows FROM import_rest');
  return rows[0]?.rows ?? 0;
}

/** Puts what was set aside in the place of what was loaded, to be merged: how many rows. */
async function keepRest(tx: Transaction): Promise<number> {
  const { rows } = await tx.query<{ present: boolean }>(`SELECT to_regclass('import_rest') IS NOT NULL AS present`);
  if (rows[0]?.present !== true) return 0;
  const rest = await restRows(tx);
  await tx.query('ALTER TABLE import_rest RENAME TO import_entries');
  return rest;
}

/** Between the start of a row and its one value: the number of fields, and the length of the value. */
const cidOffset = 6;

/** The buckets of the CIDs that wait in import_cids, as they are stored. */
async function bucketsOfStaged(tx: Transaction, scope: Scope): Promise<Buckets> {
  const buckets = emptyBuckets();
  const [participant, keyType] = [scope.participant, scope.keyType].map((value) => escapeLiteral(value));
  await rowsOut(
    tx.connection,
    {
      statement: `SELECT cid FROM import_cids WHERE participant = ${participant} AND key_type = ${keyType}`,
      columns: ['binary'],
    },
    rowReader((buffer, from) => foldCidAt(buckets, buffer, from + cidOffset)),
  );
  return buckets;
}
