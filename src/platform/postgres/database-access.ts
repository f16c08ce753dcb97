/**
 * The database that the configuration names: a server of one's own by its address, or the embedded one where no address is given.
 * An address that does not answer is an error, never a reason to fall back to the embedded server: data would end up in two places.
 */

import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Database, openDatabase } from './database.ts';
import { startEmbeddedServer } from './embedded-server.ts';

export interface DatabaseAccess {
  /** Null: the embedded server. */
  readonly url: string | null;
  /** Data directory of the embedded server. */
  readonly embeddedDirectory: string;
  readonly embeddedStartTimeoutMs: number;
  readonly embeddedStopTimeoutMs: number;
  readonly poolMin: number;
  readonly poolMax: number;
  readonly connectTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly applicationName: string;
}

/** A database with the address that another process of this program can open it by; `close` also leaves the embedded server. */
export interface OpenedDatabase extends Database {
  /** Holds the password: never print it. */
  readonly url: string;
}

/** The numbered SQL files that belong to this program, beside src/ in the clone and dist/ in the package. */
export const migrationsDirectory = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../../migrations');

/** Opens it without touching its schema. Rejects with `DatabaseUnavailable` or `EmbeddedServerFailed`. */
export async function accessDatabase(access: DatabaseAccess): Promise<OpenedDatabase> {
  const { poolMin, poolMax, connectTimeoutMs, statementTimeoutMs, applicationName } = access;
  const pool = { poolMin, poolMax, connectTimeoutMs, statementTimeoutMs, applicationName };
  if (access.url !== null) return { ...(await openDatabase({ ...pool, url: access.url })), url: access.url };
  const server = await startEmbeddedServer({
    dataDirectory: access.embeddedDirectory,
    durable: true,
    startTimeoutMs: access.embeddedStartTimeoutMs,
    stopTimeoutMs: access.embeddedStopTimeoutMs,
  });
  try {
    const database = await openDatabase({ ...pool, url: server.url });
    return {
      ...database,
      url: server.url,
      async close() {
        try {
          await database.close();
        } finally {
          await server.leave();
        }
      },
    };
  } catch (cause) {
    await server.leave();
    throw cause;
  }
}
