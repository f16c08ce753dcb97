/**
 * Brings a database's schema to what this program needs: numbered SQL files, each applied once, in order, in one transaction
 * under a lock, with its checksum kept. There is no way down: a database newer than the program is refused instead.
 */

import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import * as path from 'node:path';
import type { Clock } from '../clock.ts';
import type { Database, Sql, Transaction } from './database.ts';
import { asDatabaseError, DatabaseUnavailable } from './errors.ts';

/** The database and the program do not fit; the message says how and what to do. */
export class MigrationRefused extends Error {
  override readonly name = 'MigrationRefused';
}

/** One numbered file, and when it was applied to this database (null: not yet). */
export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly appliedAt: Date | null;
}

interface MigrationFile {
  readonly number: number;
  readonly name: string;
  readonly text: string;
  readonly checksum: string;
}

interface Pair {
  readonly file: MigrationFile;
  readonly row: AppliedRow | null;
}

interface AppliedRow {
  readonly number: number;
  readonly name: string;
  readonly checksum: string;
  readonly applied_at: Date;
}

/** Any constant does, as long as all versions of the program use the same: "dict" in ASCII. */
const lockKey = 0x64696374;
const fileForm = /^([0-9]{6})_[a-z0-9_]+\.sql$/;

async function readMigrations(directory: string): Promise<readonly MigrationFile[]> {
  const files: MigrationFile[] = [];
  for (const name of (await readdir(directory)).toSorted()) {
    if (!name.endsWith('.sql')) continue;
    const found = fileForm.exec(name);
    if (found === null) throw new MigrationRefused(`migration ${name}: the name must look like 000001_what_it_does.sql`);
    // Line endings are git's business, not a change of the migration.
    const text = (await readFile(path.join(directory, name), 'utf8')).replaceAll('\r\n', '\n');
    files.push({ number: Number(found[1]), name, text, checksum: createHash('sha256').update(text).digest('hex') });
  }
  if (files.length === 0) throw new MigrationRefused(`no migrations in ${directory}: the installation is incomplete`);
  files.forEach((file, index) => {
    const before = files[index - 1];
    if (before?.number === file.number)
      throw new MigrationRefused(`migrations ${before.name} and ${file.name} have the same number`);
  });
  return files;
}

async function readApplied(sql: Sql): Promise<readonly AppliedRow[]> {
  const { rows: tables } = await sql.query<{ present: boolean }>(
    `SELECT to_regclass('schema_migrations') IS NOT NULL AS present`,
  );
  if (tables[0]?.present !== true) return [];
  const { rows } = await sql.query<{ number: number; name: string; checksum: string; applied_at: Date }>(
    'SELECT number, name, checksum, applied_at FROM schema_migrations ORDER BY number',
  );
  return rows;
}

/** Pairs every file with its row; refuses rows without a file, changed files, and files numbered before an applied one. */
function pair(files: readonly MigrationFile[], applied: readonly AppliedRow[]): readonly Pair[] {
  const rows = new Map(applied.map((row) => [row.number, row]));
  const latest = applied.at(-1);
  const pairs = files.map((file): Pair => {
    const row = rows.get(file.number) ?? null;
    rows.delete(file.number);
    if (row !== null && row.checksum !== file.checksum) {
      throw new MigrationRefused(
        `migration ${file.name} was changed after it was applied to this database. Restore the file; a change of the schema is a new file`,
      );
    }
    if (row === null && latest !== undefined && file.number < latest.number) {
      throw new MigrationRefused(`migration ${file.name} is numbered before ${latest.name}, which this database already has`);
    }
    return { file, row };
  });
  for (const row of rows.values()) {
    throw new MigrationRefused(
      `the database is newer than this program: it has migration ${row.name}, which this program does not know. Use the newer program`,
    );
  }
  return pairs;
}

/** Which migrations there are and which of them this database has. Rejects with `MigrationRefused` where the two do not fit. */
export async function migrationStatus(sql: Sql, directory: string): Promise<readonly Migration[]> {
  const files = await readMigrations(directory);
  const pairs = pair(files, await readApplied(sql));
  return pairs.map(({ file, row }) => ({ number: file.number, name: file.name, appliedAt: row?.applied_at ?? null }));
}

/**
 * Applies what is missing, all or nothing, and returns the names of what it applied. Programs that migrate at once wait for each
 * other. Rejects with `MigrationRefused` where database and program do not fit.
 */
export async function migrate(
  database: Database,
  options: { readonly directory: string; readonly clock: Clock },
): Promise<{ readonly applied: string[] }> {
  const files = await readMigrations(options.directory);
  return database.transaction(async (tx) => {
    await tx.query('SET LOCAL statement_timeout = 0');
    await tx.query('SELECT pg_advisory_xact_lock($1)', [lockKey]);
    await createTable(tx);
    const applied: string[] = [];
    for (const { file, row } of pair(files, await readApplied(tx))) {
      if (row !== null) continue;
      await apply(tx, file);
      await insertApplied(tx, file, options.clock.now());
      applied.push(file.name);
    }
    return { applied };
  });
}

async function apply(tx: Transaction, file: MigrationFile): Promise<void> {
  try {
    // Without parameters the driver sends a file as it is, many statements in one.
    await tx.connection.query(file.text);
  } catch (cause) {
    const failure = asDatabaseError(cause);
    if (failure instanceof DatabaseUnavailable) throw failure;
    throw new MigrationRefused(`migration ${file.name} failed: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}

async function createTable(sql: Sql): Promise<void> {
  await sql.query(
    `CREATE TABLE IF NOT EXISTS schema_migrations (
       number     integer PRIMARY KEY,
       name       text NOT NULL,
       checksum   text NOT NULL,
       applied_at timestamptz NOT NULL
     )`,
  );
}

async function insertApplied(sql: Sql, file: MigrationFile, appliedAt: Date): Promise<void> {
  await sql.query('INSERT INTO schema_migrations (number, name, checksum, applied_at) VALUES ($1, $2, $3, $4)', [
    file.number,
    file.name,
    file.checksum,
    appliedAt,
  ]);
}
