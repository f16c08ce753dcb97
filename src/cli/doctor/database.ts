/**
 * The database: reached, of a version that is supported, writable by us, its schema as this program needs it. Changes nothing: it makes
 * no database, applies no migration, and starts the embedded server only where there is one that stands still (and lets it stop again).
 */

import { existsSync } from 'node:fs';
import * as path from 'node:path';
import type { Config } from '../../config.ts';
import type { Sql } from '../../platform/postgres/database.ts';
import { accessDatabase, migrationsDirectory, type OpenedDatabase } from '../../platform/postgres/database-access.ts';
import { DatabaseUnavailable, refusalOf } from '../../platform/postgres/errors.ts';
import { MigrationRefused, migrationStatus } from '../../platform/postgres/migrations.ts';
import { EmbeddedServerFailed } from '../../platform/postgres/server-errors.ts';
import { alone, type Checked, type Finding, fail, ok, warn } from './finding.ts';

/** The oldest that is supported: docs/postgres.md. */
const VERSION_MIN = 150_000;

/** What is asked of it are single rows of its catalogue. */
const STATEMENT_LIMIT_MS = 5_000;

/** Opens it, to be closed by the caller; null where there is none that can be reached. */
export async function checkDatabase({ database, program }: Config, signal: AbortSignal): Promise<Checked<OpenedDatabase>> {
  const check = 'database';
  const embeddedDirectory = path.join(program.dataDir, 'postgres');
  if (database.url === null && !existsSync(path.join(embeddedDirectory, 'cluster'))) {
    return alone(ok(check, 'embedded, not made yet: the first command that works on the base makes it'));
  }
  try {
    const opened = await accessDatabase({
      ...database,
      embeddedDirectory,
      poolMin: 0,
      poolMax: 2,
      statementTimeoutMs: STATEMENT_LIMIT_MS,
      applicationName: 'dict-vsync doctor',
    });
    try {
      const findings = [await checkServer(opened, database.url === null), await checkSchema(opened)];
      // Nobody waits for it any more: it came after its time.
      signal.throwIfAborted();
      return { findings, result: opened };
    } catch (cause) {
      await opened.close();
      throw cause;
    }
  } catch (cause) {
    if (cause instanceof DatabaseUnavailable) return alone(fail(check, ...parts(cause.message)));
    if (cause instanceof EmbeddedServerFailed) {
      return alone(fail(check, cause.message, 'see server.log beside its data, and docs/postgres.md for a server of your own'));
    }
    const refusal = refusalOf(cause);
    if (refusal === null) throw cause;
    return alone(fail(check, refusal, 'see docs/postgres.md for the rights that are needed'));
  }
}

/** Messages of the database end with what to do, after a semicolon. */
function parts(message: string): readonly [seen: string, advice: string] {
  const at = message.lastIndexOf('; ');
  return at === -1
    ? [message, 'see that the server runs and that DATABASE_URL names it']
    : [message.slice(0, at), message.slice(at + 2)];
}

async function checkServer(sql: Sql, embedded: boolean): Promise<Finding> {
  const { rows } = await sql.query<{ number: string; version: string; recovery: boolean; readonly: string }>(
    `SELECT current_setting('server_version_num') AS number, current_setting('server_version') AS version,
       pg_is_in_recovery() AS recovery, current_setting('default_transaction_read_only') AS readonly`,
  );
  const [row] = rows;
  const check = 'database';
  if (row === undefined) return fail(check, 'it does not tell its version', 'see that DATABASE_URL names a PostgreSQL server');
  const name = `PostgreSQL ${row.version}${embedded ? ', embedded' : ''}`;
  if (Number(row.number) < VERSION_MIN) {
    return fail(check, `${name}: 15 or newer is needed`, 'update the server, or name another in DATABASE_URL');
  }
  if (row.recovery || row.readonly === 'on') {
    return fail(check, `${name} takes no changes (a standby, or read-only)`, 'name the primary in DATABASE_URL');
  }
  return ok(check, name);
}

async function checkSchema(sql: Sql): Promise<Finding> {
  const check = 'schema';
  try {
    const migrations = await migrationStatus(sql, migrationsDirectory);
    const missing = migrations.filter(({ appliedAt }) => appliedAt === null);
    const last = migrations.at(-1)?.name ?? '';
    if (missing.length === 0) return ok(check, `up to date (${last})`);
    const seen =
      missing.length === migrations.length
        ? 'not made yet'
        : `${missing.length} of ${migrations.length} migrations are missing, from ${missing[0]?.name ?? ''} on`;
    return warn(check, seen, '"dict-vsync migrate" brings it up to date; so does the next command, if its role may');
  } catch (cause) {
    if (!(cause instanceof MigrationRefused)) throw cause;
    return fail(check, cause.message, 'run the version of the program that this database was last used with, or a newer one');
  }
}
