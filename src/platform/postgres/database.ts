/**
 * A pool of PostgreSQL connections and the one way to open a transaction. No domain inside; statements stand beside the
 * features that need them. Starting a server is embedded-server.ts, the schema is migrations.ts.
 */

import pg from 'pg';
import { asDatabaseError, DatabaseUnavailable } from './errors.ts';

/** Whatever can run one bound statement: a pool or a transaction. */
export interface Sql {
  query<Row extends pg.QueryResultRow = Record<string, never>>(
    text: string,
    values?: readonly unknown[],
  ): Promise<{ readonly rows: Row[]; readonly rowCount: number }>;
}

/** An open transaction. It can do what `Sql` can; being its own type keeps a pool from being passed where one is needed. */
export interface Transaction extends Sql {
  readonly inTransaction: true;
  /** The connection itself, for COPY streams and cursors. */
  readonly connection: pg.PoolClient;
  /**
   * Runs a statement that finds rows by their keys. It is parsed and planned once per connection, under its name, and for the rest of
   * the transaction nothing but index scans and nested loops are planned, whatever is known of the tables: right after a bulk load that
   * is nothing, and a batch of 1,000 then read a million rows. Rows come as the server's text, one array each: the driver's making an
   * object of 24 columns took longer than the server's finding the row.
   */
  prepared(
    statement: Prepared,
    values: readonly unknown[],
  ): Promise<{ readonly rows: (string | null)[][]; readonly rowCount: number }>;
}

/** One name stands for one text. */
export interface Prepared {
  readonly name: string;
  readonly text: string;
}

export interface TransactionOptions {
  /** Default `read committed`. `repeatable read` for reading several things as of one moment. */
  readonly isolation?: 'read committed' | 'repeatable read';
  readonly readOnly?: boolean;
}

export interface Database extends Sql {
  /** Runs the work in one transaction: committed when it resolves, rolled back when it rejects. Never nested. */
  transaction<Result>(work: (transaction: Transaction) => Promise<Result>, options?: TransactionOptions): Promise<Result>;
  close(): Promise<void>;
}

/** Does the work in the transaction that was given, or in a new one of the database that was: each `Sql` is one of the two. */
export async function withinTransaction<Result>(sql: Sql, work: (transaction: Transaction) => Promise<Result>): Promise<Result> {
  if (isTransaction(sql)) return await work(sql);
  if (isDatabase(sql)) return await sql.transaction(work);
  throw new TypeError('neither a database nor a transaction');
}

function isTransaction(sql: Sql): sql is Transaction {
  return 'inTransaction' in sql;
}

function isDatabase(sql: Sql): sql is Database {
  return 'transaction' in sql;
}

export interface DatabaseOptions {
  readonly url: string;
  readonly poolMin: number;
  readonly poolMax: number;
  /** Limit of one statement; 0 means none. */
  readonly statementTimeoutMs: number;
  readonly connectTimeoutMs: number;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
}

const int8 = 20;

/** Sequence numbers and counts stay far below 2^53; a value beyond it is refused rather than rounded. */
function parseInt8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`int8 value ${text} exceeds 2^53`);
  return value;
}

const types: pg.CustomTypesConfig = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === int8 && format !== 'binary' ? parseInt8 : pg.types.getTypeParser(oid, format ?? 'text'),
};

const texts: pg.CustomTypesConfig = { getTypeParser: () => (text: string) => text };

const byIndexOnly =
  'SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off';

/** For one transaction. */
function preparedOver(client: pg.PoolClient): Transaction['prepared'] {
  let isSet = false;
  return async (statement, values) => {
    try {
      if (!isSet) await client.query(byIndexOnly);
      isSet = true;
      const result = await client.query<(string | null)[]>({
        ...statement,
        values: [...values],
        rowMode: 'array',
        types: texts,
      });
      return { rows: result.rows, rowCount: result.rowCount ?? 0 };
    } catch (cause) {
      throw asDatabaseError(cause);
    }
  };
}

function sqlOver(client: { query(text: string, values: unknown[]): Promise<pg.QueryResult> }): Sql {
  return {
    async query<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []) {
      try {
        const result = await client.query(text, [...values]);
        // The caller states the row's shape beside its own column list; nothing here can check it.
        return { rows: result.rows as Row[], rowCount: result.rowCount ?? 0 };
      } catch (cause) {
        throw asDatabaseError(cause);
      }
    },
  };
}

/** Opens a pool and proves that the server answers. Rejects with `DatabaseUnavailable`. */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const pool = new pg.Pool({
    connectionString: options.url,
    min: options.poolMin,
    max: options.poolMax,
    connectionTimeoutMillis: options.connectTimeoutMs,
    statement_timeout: options.statementTimeoutMs,
    application_name: options.applicationName,
    types,
  });
  // A pooled connection that breaks while idle is replaced at the next use; without a listener it would end the process.
  pool.on('error', () => {});
  try {
    await pool.query('SELECT 1');
  } catch (cause) {
    await pool.end();
    throw new DatabaseUnavailable(cause);
  }
  return { ...sqlOver(pool), transaction: (work, how) => transact(pool, work, how ?? {}), close: () => pool.end() };
}

async function transact<Result>(
  pool: pg.Pool,
  work: (transaction: Transaction) => Promise<Result>,
  options: TransactionOptions,
): Promise<Result> {
  let client: pg.PoolClient;
  try {
    client = await pool.connect();
  } catch (cause) {
    throw asDatabaseError(cause);
  }
  let broken: Error | undefined;
  const onError = (error: Error): void => {
    broken = error;
  };
  client.on('error', onError);
  const sql = sqlOver(client);
  try {
    await sql.query(`BEGIN ISOLATION LEVEL ${options.isolation ?? 'read committed'}${options.readOnly ? ' READ ONLY' : ''}`);
    const result = await work({ ...sql, inTransaction: true, connection: client, prepared: preparedOver(client) });
    await sql.query('COMMIT');
    return result;
  } catch (cause) {
    await client.query('ROLLBACK').catch((error: Error) => {
      broken = error;
    });
    throw cause;
  } finally {
    client.off('error', onError);
    client.release(broken);
  }
}
