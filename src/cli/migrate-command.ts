/**
 * `dict-vsync migrate`: bring the database's schema up to date, or only say how far it is. Commands that work on the base do the
 * former by themselves; this one is for those who keep the two apart (a role that may change the schema, another that may not).
 */

import * as path from 'node:path';
import { Command } from 'commander';
import { ConfigRefused, loadConfig } from '../config.ts';
import { systemClock } from '../platform/clock.ts';
import { accessDatabase, migrationsDirectory, type OpenedDatabase } from '../platform/postgres/database-access.ts';
import { DatabaseUnavailable, refusalOf } from '../platform/postgres/errors.ts';
import { MigrationRefused, migrate, migrationStatus } from '../platform/postgres/migrations.ts';
import { EmbeddedServerFailed } from '../platform/postgres/server-errors.ts';
import { CommandFailed, type Io } from './io.ts';
import { withProgress } from './progress.ts';

async function withDatabase(io: Io, work: (database: OpenedDatabase) => Promise<void>): Promise<void> {
  try {
    const { database: settings, program } = loadConfig(io);
    const database = await accessDatabase({
      ...settings,
      embeddedDirectory: path.join(program.dataDir, 'postgres'),
      poolMin: 0,
      applicationName: 'dict-vsync migrate',
    });
    try {
      await work(database);
    } finally {
      await database.close();
    }
  } catch (cause) {
    const expected =
      cause instanceof ConfigRefused ||
      cause instanceof DatabaseUnavailable ||
      cause instanceof EmbeddedServerFailed ||
      cause instanceof MigrationRefused;
    if (expected) throw new CommandFailed(cause.message, 1, cause);
    const refusal = refusalOf(cause);
    if (refusal !== null) throw new CommandFailed(refusal, 1, cause);
    throw cause;
  }
}

/** The command `migrate`; see the head of this file. */
export function migrateCommand(io: Io): Command {
  return new Command('migrate')
    .description('Bring the database schema up to date (all or nothing); with --status, only show it')
    .option('--status', 'show which migrations are applied; exit status 1 when some are missing')
    .allowExcessArguments(false)
    .action((options: { readonly status?: true }) =>
      withProgress(io, { title: 'migrate', unit: 'migrations' }, (apart) => migrateOrShow(apart, options.status === true)),
    );
}

async function migrateOrShow(io: Io, status: boolean): Promise<void> {
  await withDatabase(io, async (database) => {
    if (status) {
      const migrations = await migrationStatus(database, migrationsDirectory);
      for (const { name, appliedAt } of migrations)
        io.stdout.write(`${appliedAt?.toISOString() ?? 'not applied             '}  ${name}\n`);
      const missing = migrations.filter(({ appliedAt }) => appliedAt === null).length;
      if (missing > 0)
        throw new CommandFailed(`${missing} of ${migrations.length} migrations are missing; "dict-vsync migrate" applies them`);
      return;
    }
    const { applied } = await migrate(database, { directory: migrationsDirectory, clock: systemClock });
    io.stdout.write(applied.length === 0 ? 'The schema is up to date.\n' : `Applied: ${applied.join(', ')}\n`);
  });
}
