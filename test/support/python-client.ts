/**
 * Python with Google's gRPC packages, for a client of the bridge that is not ours: kept outside the repository, in a folder that is named
 * after what is in it, so that another list of packages is another folder. `npm run interoperation` installs it; tests only use it.
 */

import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import * as path from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const requirements = fileURLToPath(new URL('../interoperation/requirements.txt', import.meta.url));
const program = fileURLToPath(new URL('../interoperation/bridge-client.py', import.meta.url));
const installLimitMs = 600_000;

function systemVersion(): string | null {
  try {
    const script = 'import sys, venv, ensurepip; assert sys.version_info >= (3, 10); print(sys.version)';
    return execFileSync('python3', ['-c', script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: 60_000 });
  } catch {
    return null;
  }
}

function directoryFor(version: string): string {
  const digest = createHash('sha256').update(version).update(readFileSync(requirements)).digest('hex').slice(0, 16);
  const cache = process.env['XDG_CACHE_HOME'] || path.join(homedir(), '.cache');
  return path.join(cache, 'dict-vsync', `python-${digest}`);
}

function pythonIn(directory: string): string {
  return process.platform === 'win32' ? path.join(directory, 'Scripts', 'python.exe') : path.join(directory, 'bin', 'python');
}

const noPython = 'no Python 3.10 or later with venv is installed (Debian, Ubuntu: apt-get install python3-venv)';

/** Why the Python client cannot be used; null when it can. */
export function pythonClientMissing(): string | null {
  const version = systemVersion();
  if (version === null) return noPython;
  return existsSync(pythonIn(directoryFor(version)))
    ? null
    : 'the gRPC packages for Python are not installed ("npm run interoperation" does it)';
}

/** Installs the packages, every one by its digest, where they are not yet; answers where. Needs PyPI. */
export function installPythonClient(): string {
  const version = systemVersion();
  if (version === null) throw new Error(noPython);
  const directory = directoryFor(version);
  if (existsSync(pythonIn(directory))) return directory;
  mkdirSync(path.dirname(directory), { recursive: true });
  // Beside its place until it is whole; two that install at a time do not meet.
  const own = `${directory}.${process.pid}`;
  const options = { stdio: 'inherit', timeout: installLimitMs } as const;
  try {
    execFileSync('python3', ['-m', 'venv', own], options);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary', ':all:'];
    execFileSync(pythonIn(own), [...pip, '--require-hashes', '--requirement', requirements], options);
    if (!existsSync(directory)) renameSync(own, directory);
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
  return directory;
}

export interface PythonClient {
  /** One call, answered as bridge-client.py says. */
  ask(order: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, unknown>>>;
}

/** Starts the client; `tls` are the files of an authority, and of a key and a certificate where the server asks for one. */
export function startPythonClient(t: TestContext, address: string, tls: readonly string[] = []): PythonClient {
  const python = pythonIn(directoryFor(systemVersion() ?? ''));
  const child = spawn(python, [program, address, ...tls], { stdio: ['pipe', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  t.after(async () => {
    child.kill('SIGKILL');
    await closed;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    ask: async (order) => {
      child.stdin.write(`${JSON.stringify(order)}\n`);
      const line = await lines.next();
      if (line.done === true) throw new Error(`the Python client ended at ${JSON.stringify(order)}`);
      return JSON.parse(line.value);
    },
  };
}
