/**
 * The data directory of an embedded server: what lies in it, how it is made, and when it is refused. Running the server on it
 * is server-process.ts.
 *
 *     connection.json   port and password, for the owner's eyes only
 *     cluster/          PostgreSQL's own data, owned by the user the server runs as
 *     server.log        what the server says; the one before is kept beside it
 *     guard.lock, members.lock   see server-membership.ts
 */

import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { errorCode } from './errors.ts';
import type { ServerBinaries } from './server-binaries.ts';
import { EmbeddedServerFailed, messageOf } from './server-errors.ts';
import type { ServerUser } from './server-user.ts';
import { serverUser, spawnAs } from './server-user.ts';

export interface ServerDirectory {
  readonly root: string;
  readonly cluster: string;
  readonly log: string;
  readonly guard: string;
  readonly members: string;
  readonly connection: string;
  /** Whom the server runs as; null: as ourselves. */
  readonly user: ServerUser | null;
  /** Who owns the files beside the cluster, when that has to be said (root working in somebody's directory). */
  readonly owner: ServerUser | null;
}

/** How to reach the server. The port is that of the last start. */
export interface Connection {
  readonly port: number | null;
  readonly password: string;
}

export const superuser = 'dict_vsync';
const initdbTimeoutMs = 120_000;
const ours = new Set(['connection.json', 'cluster', 'cluster.new', 'server.log', 'server.log.1', 'guard.lock', 'members.lock']);

/** Opens (or makes) the directory; refuses one that is not ours to use. */
export function openServerDirectory(dataDirectory: string): ServerDirectory {
  const root = path.resolve(dataDirectory);
  try {
    // Entered by the server's user, listed by its owner alone.
    fs.mkdirSync(root, { recursive: true, mode: 0o711 });
    assertOurs(root);
    fs.accessSync(root, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK);
  } catch (cause) {
    if (cause instanceof EmbeddedServerFailed) throw cause;
    throw new EmbeddedServerFailed(
      `the data directory ${root} cannot be used (${messageOf(cause)}). Give one that this user may write to, or set DATABASE_URL`,
      cause,
    );
  }
  const stat = fs.statSync(root);
  const asRoot = process.getuid?.() === 0;
  return {
    root,
    cluster: path.join(root, 'cluster'),
    log: path.join(root, 'server.log'),
    guard: path.join(root, 'guard.lock'),
    members: path.join(root, 'members.lock'),
    connection: path.join(root, 'connection.json'),
    user: serverUser(root),
    owner: asRoot && stat.uid !== 0 ? { uid: stat.uid, gid: stat.gid } : null,
  };
}

function assertOurs(root: string): void {
  const names = fs.readdirSync(root).filter((name) => !name.startsWith('connection.json.'));
  if (names.includes('PG_VERSION')) {
    throw new EmbeddedServerFailed(
      `${root} is the data directory of another PostgreSQL server; give an empty or a new directory`,
    );
  }
  const foreign = names.find((name) => !ours.has(name));
  if (foreign !== undefined) {
    throw new EmbeddedServerFailed(`the directory ${root} holds something else (${foreign}); give an empty or a new directory`);
  }
}

/** Reads connection.json; null when there is none. */
function readConnection(directory: ServerDirectory): Connection | null {
  let text: string;
  try {
    text = fs.readFileSync(directory.connection, 'utf8');
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return null;
    throw new EmbeddedServerFailed(`${directory.connection} cannot be read (${messageOf(cause)})`, cause);
  }
  try {
    const value: unknown = JSON.parse(text);
    if (
      typeof value === 'object' &&
      value !== null &&
      'password' in value &&
      typeof value.password === 'string' &&
      'port' in value
    ) {
      if (value.port === null || typeof value.port === 'number') return { port: value.port, password: value.password };
    }
  } catch {
    // Answered below, like any other content that is not ours.
  }
  throw new EmbeddedServerFailed(`${directory.connection} is damaged; restore it (the password in it opens the database)`);
}

/** Replaces connection.json as a whole, readable by its owner alone. */
export function writeConnection(directory: ServerDirectory, connection: Connection): void {
  const temporary = `${directory.connection}.${process.pid}`;
  const file = fs.openSync(temporary, 'w', 0o600);
  try {
    fs.writeSync(file, `${JSON.stringify(connection)}\n`);
    fs.fsyncSync(file);
    if (directory.owner !== null) fs.fchownSync(file, directory.owner.uid, directory.owner.gid);
  } finally {
    fs.closeSync(file);
  }
  fs.renameSync(temporary, directory.connection);
}

/**
 * The directory's path as the server's own user can name it. A user that may not enter a directory above (a clone under /root)
 * cannot use its path, but can use its working directory, which Linux also gives a path.
 */
export function clusterPath(directory: ServerDirectory, cluster: string): string {
  return directory.user !== null && process.platform === 'linux' ? '/proc/self/cwd' : cluster;
}

/** Makes the cluster unless there is one, and returns how to reach it. Refuses one of another major version. */
export function openCluster(directory: ServerDirectory, binaries: ServerBinaries, durable: boolean): Connection {
  if (fs.existsSync(directory.cluster)) {
    assertMajor(directory, binaries);
    const connection = readConnection(directory);
    if (connection !== null) return connection;
    throw new EmbeddedServerFailed(
      `${directory.connection} is missing, and with it the password of the data in ${directory.cluster}; restore it, or give another directory`,
    );
  }
  const connection = { port: null, password: randomBytes(24).toString('base64url') };
  // Under another name until it is whole: a program killed here leaves nothing that looks like a database.
  const making = `${directory.cluster}.new`;
  fs.rmSync(making, { recursive: true, force: true });
  fs.mkdirSync(making, { mode: 0o700 });
  if (directory.user !== null) fs.chownSync(making, directory.user.uid, directory.user.gid);
  initialise(directory, binaries, making, connection.password, durable);
  writeConnection(directory, connection);
  fs.renameSync(making, directory.cluster);
  return connection;
}

function assertMajor(directory: ServerDirectory, binaries: ServerBinaries): void {
  let found: string;
  try {
    found = fs.readFileSync(path.join(directory.cluster, 'PG_VERSION'), 'utf8').trim();
  } catch (cause) {
    throw new EmbeddedServerFailed(
      `${directory.cluster} is not a PostgreSQL data directory that this user can read (${messageOf(cause)})`,
      cause,
    );
  }
  if (found === String(binaries.major)) return;
  throw new EmbeddedServerFailed(
    `the data in ${directory.cluster} belong to PostgreSQL ${found}, this program brings ${binaries.major}. Dump them with the program's former version and load them anew, or give another directory`,
  );
}

function initialise(
  directory: ServerDirectory,
  binaries: ServerBinaries,
  making: string,
  password: string,
  durable: boolean,
): void {
  const passwordFile = `${directory.connection}.initdb`;
  fs.writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  if (directory.user !== null) fs.chownSync(passwordFile, directory.user.uid, directory.user.gid);
  const file = fs.openSync(passwordFile, 'r');
  try {
    // Handed over as an open file: the server's user may be unable to enter the directory. Windows has no such path, nor root.
    const readAt = process.platform === 'win32' ? passwordFile : '/dev/fd/3';
    const result = spawnSync(
      binaries.initdb,
      [
        ...['-D', clusterPath(directory, making), '-U', superuser, '-A', 'scram-sha-256', `--pwfile=${readAt}`],
        // By code point, on every system alike.
        ...['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--no-instructions'],
        ...(durable ? [] : ['--no-sync']),
      ],
      {
        ...spawnAs(directory.user),
        cwd: making,
        stdio: ['ignore', 'pipe', 'pipe', file],
        timeout: initdbTimeoutMs,
        encoding: 'utf8',
        windowsHide: true,
      },
    );
    if (result.error !== undefined) throw new EmbeddedServerFailed(`initdb failed: ${result.error.message}`, result.error);
    if (result.status !== 0)
      throw new EmbeddedServerFailed(initdbFailure(directory, result.stderr.trim() || result.stdout.trim()));
  } finally {
    fs.closeSync(file);
    fs.rmSync(passwordFile, { force: true });
  }
}

function initdbFailure(directory: ServerDirectory, said: string): string {
  if (directory.user !== null && /Permission denied/.test(said)) {
    return `user ${directory.user.uid}, whom the server runs as, cannot reach ${directory.root}; give a DATA_DIR that everybody may enter. It says: ${said}`;
  }
  const unknown = /could not look up effective user ID ([0-9]+)/.exec(said);
  if (unknown === null) return `initdb failed: ${said}`;
  // Containers like to run under a number of their own choice.
  return `user ${unknown[1]} has no entry in /etc/passwd, which PostgreSQL needs. Add one, run as another user, or set DATABASE_URL`;
}
