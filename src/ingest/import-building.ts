/**
 * import_entries and import_cids made ready to become the base: primary keys and indexes on the loaded tables, which is several times
 * cheaper than keeping them up to date row by row. Every step is a transaction of its own and is passed over where it is done already.
 */

import type { Clock } from '../platform/clock.ts';
import type { Database, Sql, Transaction } from '../platform/postgres/database.ts';
import { errorCode } from '../platform/postgres/errors.ts';
import type { ImportRun } from './import-run.ts';
import { STAGED_COLUMNS } from './staged-rows.ts';
import { indexesFor, type StagedIndex } from './staging-tables.ts';

export interface BuildingDeps {
  readonly database: Database;
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
  /** Hears of each step that is done. */
  onStep(done: number, steps: number): void;
}

/** Each step at the limits that it needs; a step can be interrupted. */
async function step(deps: BuildingDeps, work: (tx: Transaction) => Promise<void>): Promise<void> {
  deps.signal?.throwIfAborted();
  await deps.database.transaction(async (tx) => {
    await tx.query('SET LOCAL statement_timeout = 0');
    // All indexes of 1,000,000 rows took 22.8 s so, with PostgreSQL's own 64 MB 25.2 s: fewer runs are merged from disk.
    await tx.query(`SET LOCAL maintenance_work_mem = '512MB'`);
    // A backend whose program was killed would otherwise build its index to the end first.
    await tx.query(`SET LOCAL client_connection_check_interval = '1s'`);
    const cancel = await cancellation(deps.database, tx);
    deps.signal?.addEventListener('abort', cancel, { once: true });
    try {
      await work(tx);
    } catch (cause) {
      deps.signal?.throwIfAborted();
      throw cause;
    } finally {
      deps.signal?.removeEventListener('abort', cancel);
    }
  });
}

async function cancellation(database: Sql, tx: Transaction): Promise<() => void> {
  const { rows } = await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return () => {
    // Where even this cannot be said, the statement runs to its end.
    database.query('SELECT pg_cancel_backend($1)', [rows[0]?.pid ?? 0]).catch(() => {});
  };
}

/** Makes everything ready. Rows of keys that the file has more than once are put into import_rest but for the first of each. */
export async function buildStaged(deps: BuildingDeps, run: ImportRun): Promise<void> {
  // Waits for what the backend of a killed program may still be building.
  await deps.database.transaction((tx) => tx.query('LOCK TABLE import_entries, import_cids IN ACCESS EXCLUSIVE MODE'));
  const forEntries = await indexesFor(deps.database, 'import_entries');
  const forCids = await indexesFor(deps.database, 'import_cids');
  const steps: [boolean, (tx: Transaction) => Promise<void>][] = [
    ...forEntries.map((index): (typeof steps)[number] => [index.built, (tx) => build(tx, index)]),
    [forCids.every(({ built }) => built), (tx) => fillCids(tx, forCids, run, deps.clock.now())],
    [false, (tx) => tx.query('ANALYZE import_entries, import_cids').then(() => {})],
  ];
  for (const [index, [isDone, work]] of steps.entries()) {
    deps.onStep(index, steps.length);
    if (isDone) continue;
    try {
      await step(deps, work);
    } catch (cause) {
      if (errorCode(cause) !== uniqueViolation) throw cause;
      await step(deps, setDuplicatesAside);
      await step(deps, work);
    }
  }
  deps.onStep(steps.length, steps.length);
}

const uniqueViolation = '23505';

async function build(tx: Transaction, index: StagedIndex): Promise<void> {
  await tx.query(index.statement);
}

/**
 * The CIDs from the rows rather than from the file: one statement of the server's costs less than a second COPY, and what counts is
 * what is stored. In one transaction with the indexes: a table emptied in it needs no log where there are no replicas.
 */
async function fillCids(tx: Transaction, indexes: readonly StagedIndex[], run: ImportRun, now: Date): Promise<void> {
  await tx.query('TRUNCATE import_cids');
  await tx.query(
    `INSERT INTO import_cids (participant, key_type, cid, key, added_seq, added_at, source, algorithm)
     SELECT participant, key_type, cid, key, seq, $1, 'import', coalesce($2::jsonb ->> participant, 'dict')
     FROM import_entries WHERE cid IS NOT NULL`,
    [now, JSON.stringify(run.algorithms)],
  );
  for (const { built, stagingName } of indexes) if (built) await tx.query(`DROP INDEX ${stagingName}`);
  for (const index of indexes) await build(tx, index);
}

/** Of each key the first row of the file stays, the others wait to be folded onto it. Only where there are any: it sorts all keys. */
async function setDuplicatesAside(tx: Transaction): Promise<void> {
  await tx.query(`SET LOCAL work_mem = '256MB'`);
  await tx.query('CREATE TABLE import_rest (LIKE import_entries) WITH (autovacuum_enabled = off)');
  await tx.query(
    `CREATE TEMP TABLE import_twice ON COMMIT DROP AS
     SELECT participant AS twice_participant, key AS twice_key, min(ctid) AS first
     FROM import_entries GROUP BY participant, key HAVING count(*) > 1`,
  );
  await tx.query(
    `WITH moved AS (
       DELETE FROM import_entries USING import_twice
       WHERE participant = twice_participant AND key = twice_key AND import_entries.ctid <> first
       RETURNING import_entries.ctid AS place, ${STAGED_COLUMNS})
     INSERT INTO import_rest (${STAGED_COLUMNS}) SELECT ${STAGED_COLUMNS} FROM moved ORDER BY place`,
  );
}
