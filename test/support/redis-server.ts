/**
 * A Redis server of a test's own: on a free port of the loopback address, with its files in a directory of its own, ended by the
 * process id that it was started with. It can be killed and started again on the same port, as after a crash.
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { openRedis, type RedisConnection, type RedisOptions } from '../../src/platform/redis/connection.ts';

export interface TestRedis {
  readonly url: string;
  readonly port: number;
  /** Gives a command as an operator does, and returns the answer. */
  command(...words: readonly string[]): string;
  /** SIGKILL: what was not saved is lost. */
  kill(): Promise<void>;
  /** Starts it on the same port and files. */
  start(): Promise<void>;
  /** SIGSTOP and SIGCONT: connections stay, answers do not come. */
  pause(): void;
  resume(): void;
}

const TRIES = 5;

export interface TestRedisOptions {
  /** More words of the command line, such as `--requirepass secret`. */
  readonly more?: readonly string[];
  /** Names the port's option where it is not `--port`. */
  readonly portOption?: string;
  readonly scheme?: 'redis' | 'rediss';
}

/** Starts a server; it is ended with the test. */
export async function testRedis(t: TestContext, options: TestRedisOptions = {}): Promise<TestRedis> {
  const directory = mkdtempSync(path.join(tmpdir(), 'redis-'));
  let child: ChildProcess | null = null;
  let port = 0;
  // Where the test's process ends before its time, its server shall not stay.
  const onExit = (): void => void child?.kill('SIGKILL');
  process.once('exit', onExit);
  const kill = async (): Promise<void> => {
    if (child === null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    child = null;
    await exited;
  };
  const start = async (): Promise<void> => {
    child = await started(directory, port, options);
  };
  t.after(async () => {
    process.off('exit', onExit);
    await kill();
    rmSync(directory, { recursive: true, force: true });
  });
  // Another program may take the port that was free a moment ago.
  for (let tries = 1; child === null; tries += 1) {
    port = await freePort();
    await start().catch((cause: unknown) => {
      if (tries === TRIES) throw cause;
    });
  }
  return {
    url: `${options.scheme ?? 'redis'}://127.0.0.1:${port}`,
    port,
    command: (...words) =>
      execFileSync('redis-cli', ['-p', String(port), ...words], { encoding: 'utf8', timeout: 60_000 }).trim(),
    kill,
    start,
    pause: () => child?.kill('SIGSTOP'),
    resume: () => child?.kill('SIGCONT'),
  };
}

/** A connection with limits for tests, closed with the test. */
export async function testConnection(t: TestContext, url: string, more: Partial<RedisOptions> = {}): Promise<RedisConnection> {
  const redis = await openRedis({
    url,
    user: null,
    password: null,
    authorities: null,
    connectMs: 5_000,
    callMs: 5_000,
    random: Math.random,
    ...more,
  });
  t.after(() => redis.close());
  return redis;
}

async function started(directory: string, port: number, { more, portOption }: TestRedisOptions): Promise<ChildProcess> {
  const given = [portOption ?? '--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--daemonize', 'no'];
  const child = spawn('redis-server', [...given, '--save', '', '--appendonly', 'no', ...(more ?? [])], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const gaveUpMs = Date.now() + 30_000;
  while (!said.includes('Ready to accept connections')) {
    if (child.exitCode !== null || Date.now() > gaveUpMs) {
      child.kill('SIGKILL');
      throw new Error(`redis-server does not start:\n${said}`);
    }
    await wait(10);
  }
  return child;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  server.close();
  await once(server, 'close');
  return port;
}
