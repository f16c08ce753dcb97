/**
 * The composition root: configuration in, working parts out. Which adapter is used follows from the configuration alone: an
 * address present means the real service, absent the embedded default. The only place that hands configuration to stages.
 */

import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { CommandFailed, type Io } from './cli/io.ts';
import { type Config, ConfigRefused, loadConfig } from './config.ts';
import type { DictApi } from './dict/api.ts';
import { serveMetrics } from './metrics/metrics-server.ts';
import { createMetrics } from './metrics/registry.ts';
import { type Clock, scaledClock, systemClock } from './platform/clock.ts';
import { createLogger, type Logger } from './platform/log.ts';
import type { Sql } from './platform/postgres/database.ts';
import { accessDatabase, migrationsDirectory, type OpenedDatabase } from './platform/postgres/database-access.ts';
import { DatabaseUnavailable, refusalOf } from './platform/postgres/errors.ts';
import { MigrationRefused, migrate } from './platform/postgres/migrations.ts';
import { EmbeddedServerFailed } from './platform/postgres/server-errors.ts';
import { type DetailsKeys, parseDetailsKeys } from './report/details-cipher.ts';
import type { SynchronisationRunDeps } from './runner/synchronisation-run.ts';
import type { VerifySettings } from './verify/settings.ts';
import { UNWATCHED, type Watch } from './wire-dict.ts';

/** Everything that works on the base starts from this. */
export interface Base {
  readonly config: Config;
  readonly database: OpenedDatabase;
  readonly clock: Clock;
  /** Time limits of steps run on it, whatever `clock` does: a database is not faster on a faster clock. */
  readonly limitClock: Clock;
  readonly log: Logger;
  close(): Promise<void>;
}

/** Reads the configuration; a wrong one ends the command with every complaint. */
function configOf(io: Io): Config {
  try {
    return loadConfig(io);
  } catch (cause) {
    if (cause instanceof ConfigRefused) throw new CommandFailed(cause.message, 1, cause);
    throw cause;
  }
}

function expected(cause: unknown): unknown {
  const known =
    cause instanceof DatabaseUnavailable || cause instanceof EmbeddedServerFailed || cause instanceof MigrationRefused;
  if (known) return new CommandFailed(cause.message, 1, cause);
  const refusal = refusalOf(cause);
  return refusal === null ? cause : new CommandFailed(refusal, 1, cause);
}

/** Opens the base of the configuration: the database, started where it is embedded, with its schema up to date. */
export async function openBase(io: Io): Promise<Base> {
  const config = configOf(io);
  const clock = config.program.timeScale === 1 ? systemClock : scaledClock(config.program.timeScale);
  const log = createLogger({ ...config.log, stream: io.stderr });
  try {
    const database = await accessDatabase({
      ...config.database,
      embeddedDirectory: path.join(config.program.dataDir, 'postgres'),
      // A command uses few connections; the pool keeps the configured minimum only in long-running processes.
      poolMin: 0,
      applicationName: 'dict-vsync',
    });
    try {
      await migrate(database, { directory: migrationsDirectory, clock: systemClock });
    } catch (cause) {
      await database.close();
      throw cause;
    }
    return { config, database, clock, limitClock: systemClock, log, close: () => database.close() };
  } catch (cause) {
    throw expected(cause);
  }
}

/** Opens the base for the time of some work, and closes it whatever happens. */
export async function withBase<Result>(io: Io, work: (base: Base) => Promise<Result>): Promise<Result> {
  const base = await openBase(io);
  try {
    return await work(base);
  } catch (cause) {
    throw expected(cause);
  } finally {
    await base.close();
  }
}

/**
 * Serves /metrics and /health for the time of some work, where the configuration says so; what watches calls of DICT is handed to the
 * work. For every command that runs for long, with a base or without. Ends the command where the port cannot be had.
 */
export async function withMetrics<Result>(
  { config, log, database }: Pick<Base, 'config' | 'log'> & { readonly database?: Sql },
  work: (watch: Watch) => Promise<Result>,
): Promise<Result> {
  const { host, port } = config.metrics;
  if (port === null) return work(UNWATCHED);
  const metrics = createMetrics();
  const checks = database === undefined ? {} : { database: () => database.query('SELECT 1') };
  const server = await serveMetrics({ metrics, checks }, { host, port }).catch((cause: unknown) => {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
    throw new CommandFailed(`metrics cannot be served on ${host} port ${port} (${code})`, 1, cause);
  });
  log.info({ host, port: Number(new URL(server.url).port) }, 'metrics and health are served');
  try {
    return await work(metrics);
  } finally {
    await server.close();
  }
}

/**
 * The keys that the details of reports are encrypted with: the configured ones. With the embedded database, one is made on first
 * use and kept beside it, since whoever can read that directory can read the database too; with a server of one's own, a key
 * on this machine would be lost or forgotten, so that details are only kept once keys are configured.
 */
export function detailsKeysOf({ program, database, report }: Config): DetailsKeys | null {
  if (report.detailsKeys !== null || database.url !== null) return report.detailsKeys;
  const file = path.join(program.dataDir, 'report-keys');
  if (!existsSync(file)) placeOnce(file, `1:${randomBytes(32).toString('base64')}\n`);
  return parseDetailsKeys(readFileSync(file, 'utf8').trim());
}

/** Writes a secret file whole or not at all; where another process was faster, its file stays. */
function placeOnce(file: string, content: string): void {
  mkdirSync(path.dirname(file), { recursive: true });
  const own = `${file}.${randomUUID()}`;
  writeFileSync(own, content, { mode: 0o600 });
  try {
    linkSync(own, file);
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'EEXIST')) throw cause;
  } finally {
    rmSync(own);
  }
}

/** Everything that a synchronisation works with; its working files stand in the data directory. */
export function synchronisationDeps(base: Base, dict: DictApi, signal: AbortSignal): SynchronisationRunDeps {
  const { config } = base;
  const workDirectory = path.join(config.program.dataDir, 'work');
  mkdirSync(workDirectory, { recursive: true, mode: 0o700 });
  return {
    ...base,
    dict,
    signal,
    suspendOnWait: false,
    wakePollMs: config.verification.longestPollMs,
    settings: config.reconciliation,
    verify: config.verification,
    detailsKeys: detailsKeysOf(config),
    workDirectory,
    newId: randomUUID,
  };
}

/** What verification is told of the configuration. */
export function verifySettingsOf({ verification }: Config): VerifySettings {
  return verification;
}
