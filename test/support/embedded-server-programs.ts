/** Starts `embedded-server-member.ts` as processes of their own, and reads what a data directory says about its server. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';

export interface Reached {
  readonly url: string;
  readonly port: number;
}

export interface Program {
  /** Resolves once the program has joined; rejects with what it said on standard error. */
  readonly joined: Promise<Reached>;
  leave(): Promise<void>;
  kill(): Promise<void>;
}

export interface ProgramOptions {
  readonly uid?: number;
  readonly clone?: string;
  readonly node?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly durable?: boolean;
}

const repository = path.resolve(import.meta.dirname, '../..');

function ended(child: ChildProcess): Promise<void> {
  return child.exitCode !== null || child.signalCode !== null ? Promise.resolve() : once(child, 'exit').then(() => {});
}

export function startProgram(t: TestContext, dataDirectory: string, options: ProgramOptions = {}): Program {
  const own = fileURLToPath(import.meta.resolve('./embedded-server-member.ts'));
  const script = options.clone === undefined ? own : path.join(options.clone, path.relative(repository, own));
  const child = spawn(options.node ?? process.execPath, [script, dataDirectory, options.durable === true ? 'durable' : 'fast'], {
    cwd: '/',
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
    ...(options.env === undefined ? {} : { env: { ...process.env, ...options.env } }),
  });
  t.after(async () => {
    child.stdin.destroy();
    await ended(child);
  });
  const joined = new Promise<Reached>((resolve, reject) => {
    let out = '';
    let err = '';
    child.stdout.on('data', (data: Buffer) => {
      out += data.toString();
      // The member's own single line.
      if (out.endsWith('\n')) resolve(JSON.parse(out) as Reached);
    });
    child.stderr.on('data', (data: Buffer) => {
      err += data.toString();
    });
    child.once('close', () => reject(new Error(err)));
    child.once('error', reject);
  });
  joined.catch(() => {});
  return {
    joined,
    async leave() {
      child.stdin.end('leave\n');
      await ended(child);
    },
    async kill() {
      child.kill('SIGKILL');
      await ended(child);
    },
  };
}

/** A directory that is removed when the test ends; the server in it has to be stopped by then. */
export function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'dict-vsync-test-'));
  t.after(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));
  return directory;
}

/** The server's process id, or null when there is no postmaster.pid (PostgreSQL removes it when it stops in good order). */
export function serverPid(dataDirectory: string): number | null {
  try {
    return Number.parseInt(readFileSync(path.join(dataDirectory, 'cluster/postmaster.pid'), 'utf8'), 10);
  } catch {
    return null;
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Under whom a process runs; Linux only. */
export function uidOf(pid: number): number {
  return statSync(`/proc/${pid}`).uid;
}

export async function query(url: string, sql: string): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Waits, a few seconds at most, until the condition holds. */
export async function until(condition: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 200 && !condition(); attempt += 1) await wait(25);
}
