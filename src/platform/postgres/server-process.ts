/**
 * Starting, finding and stopping the one server process on a data directory. Whoever calls holds the guard, so that nobody else
 * does the same. Who uses the server, and when it may stop, is embedded-server.ts.
 */

import { spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { createServer } from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { errorCode } from './errors.ts';
import type { ServerBinaries } from './server-binaries.ts';
import type { Connection, ServerDirectory } from './server-cluster.ts';
import { clusterPath, superuser } from './server-cluster.ts';
import { EmbeddedServerFailed, messageOf } from './server-errors.ts';
import { spawnAs } from './server-user.ts';

const portAttempts = 5;
const probeIntervalMs = 25;
const probeTimeoutMs = 5_000;
const logBytesMax = 10 * 1024 * 1024;
const logTailLines = 12;
const immediateStopMs = 10_000;
const mebibyte = 1024 * 1024;

/** `starting`: alive but not ready (recovery after a crash). `none`: nothing that answers as our server. */
type Answer = 'ready' | 'starting' | 'none';

/** The address of a database on the server. */
export function serverUrl(port: number, password: string, database: string): string {
  return `postgres://${superuser}:${password}@127.0.0.1:${port}/${database}`;
}

/**
 * Asks the server. The password is random and SCRAM proves it on both sides: a foreign server on that port cannot pass for ours.
 */
async function ask(connection: Connection): Promise<Answer> {
  if (connection.port === null) return 'none';
  const client = new pg.Client({
    connectionString: serverUrl(connection.port, connection.password, 'postgres'),
    connectionTimeoutMillis: probeTimeoutMs,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    return 'ready';
  } catch (cause) {
    return errorCode(cause) === '57P03' ? 'starting' : 'none';
  } finally {
    await client.end().catch(() => {});
  }
}

interface LivingServer {
  readonly pid: number;
  /** Null while it has not said yet. */
  readonly port: number | null;
}

/** What postmaster.pid says, when that process lives and really is the server of this cluster; else null. */
function livingServer(directory: ServerDirectory): LivingServer | null {
  let lines: readonly string[];
  try {
    lines = fs.readFileSync(path.join(directory.cluster, 'postmaster.pid'), 'utf8').split('\n');
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return null;
    throw new EmbeddedServerFailed(`${directory.cluster}/postmaster.pid cannot be read (${messageOf(cause)})`, cause);
  }
  const pid = Number.parseInt(lines[0] ?? '', 10);
  const port = Number.parseInt(lines[3] ?? '', 10);
  if (!(pid > 0 && isServer(pid, directory.cluster))) return null;
  return { pid, port: port > 0 ? port : null };
}

function isServer(pid: number, cluster: string): boolean {
  try {
    // The server works in its cluster: an id used again by something else is told apart. A zombie has no such link.
    if (process.platform === 'linux') return fs.realpathSync(`/proc/${pid}/cwd`) === fs.realpathSync(cluster);
    process.kill(pid, 0);
  } catch (cause) {
    return errorCode(cause) === 'EPERM';
  }
  if (process.platform === 'win32') return true;
  return spawnSync('ps', ['-o', 'comm=', '-p', String(pid)], { encoding: 'utf8' }).stdout.includes('postgres');
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (address !== null && typeof address === 'object') resolve(address.port);
        else reject(new EmbeddedServerFailed('the system gave no free port'));
      });
    });
  });
}

interface LaunchOptions {
  readonly durable: boolean;
  readonly settings: Readonly<Record<string, string>>;
  readonly deadlineMs: number;
}

function settingsOf(port: number, { durable, settings }: LaunchOptions): string[] {
  // An eighth of the memory: the program and its users need the rest, and the system caches files anyway.
  const memoryBytes = Math.min(os.totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
  const sharedMebibytes = Math.max(64, Math.min(8_192, Math.floor(memoryBytes / mebibyte / 8)));
  const values: Record<string, string> = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    max_connections: '200',
    timezone: 'UTC',
    log_timezone: 'UTC',
    shared_buffers: `${sharedMebibytes}MB`,
    max_wal_size: '4GB',
    // The log goes to the disk while transactions work, so that a large one has little left to wait for when it commits
    // (PostgreSQL's own is 200 ms): a part of the quarter that ingest gained with it, docs/adr/0021-ingest-in-batches.md.
    wal_writer_delay: '10ms',
    // One server without replicas: loading then needs no log beside the data.
    wal_level: 'minimal',
    max_wal_senders: '0',
    log_checkpoints: 'off',
    // Statements and DETAIL lines carry keys and names: personal data stay out of the log.
    log_min_error_statement: 'panic',
    log_error_verbosity: 'terse',
    ...(durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
    ...settings,
  };
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

function openLog(directory: ServerDirectory): number {
  if (fs.existsSync(directory.log) && fs.statSync(directory.log).size > logBytesMax) {
    fs.renameSync(directory.log, `${directory.log}.1`);
  }
  const log = fs.openSync(directory.log, 'a', 0o600);
  if (directory.owner !== null) fs.fchownSync(log, directory.owner.uid, directory.owner.gid);
  return log;
}

function logSince(directory: ServerDirectory, fromByte: number): string {
  return fs.readFileSync(directory.log).subarray(fromByte).toString('utf8');
}

function tail(text: string): string {
  return text.trimEnd().split('\n').slice(-logTailLines).join('\n');
}

type Launch = { readonly started: true; readonly connection: Connection } | { readonly started: false; readonly log: string };

/** One attempt on one port. Resolves with `started: false` when the server ended by itself; rejects when time is over. */
async function launch(
  directory: ServerDirectory,
  binaries: ServerBinaries,
  connection: Connection,
  limits: LaunchOptions,
): Promise<Launch> {
  const log = openLog(directory);
  const fromByte = fs.fstatSync(log).size;
  const child = spawn(
    binaries.postgres,
    ['-D', clusterPath(directory, directory.cluster), ...settingsOf(connection.port ?? 0, limits)],
    {
      ...spawnAs(directory.user),
      cwd: directory.cluster,
      stdio: ['ignore', log, log],
      // Its own session: Ctrl-C at the terminal is for the program, which then stops the server in good order.
      detached: true,
      windowsHide: true,
    },
  );
  fs.closeSync(log);
  // Raced with every question: something else on that port may take its time to answer.
  const end = new Promise<'ended'>((resolve, reject) => {
    child.once('exit', () => resolve('ended'));
    child.once('error', (cause) => reject(new EmbeddedServerFailed(`cannot be run (${cause.message})`, cause)));
  });
  child.unref();
  let answer: Answer = 'none';
  while (performance.now() < limits.deadlineMs) {
    const next = await Promise.race([end, ask(connection)]);
    if (next === 'ended') return { started: false, log: logSince(directory, fromByte) };
    if (next === 'ready') {
      end.catch(() => {});
      return { started: true, connection };
    }
    answer = next;
    await wait(probeIntervalMs);
  }
  end.catch(() => {});
  const said = tail(logSince(directory, fromByte));
  if (answer === 'starting') {
    throw new EmbeddedServerFailed(`still recovering when its time was over; it goes on, try again later. It says:\n${said}`);
  }
  child.kill('SIGKILL');
  throw new EmbeddedServerFailed(`did not get ready in time. It says:\n${said}`);
}

/**
 * Makes sure that the server runs: finds the one that does (also one whose starter was killed), or starts it on the former port
 * if that is free, else on another. Returns how to reach it.
 */
export async function runServer(
  directory: ServerDirectory,
  binaries: ServerBinaries,
  connection: Connection,
  limits: LaunchOptions,
): Promise<Connection> {
  const living = await awaitLiving(directory, connection, limits.deadlineMs);
  if (living !== null) return living;
  // PostgreSQL itself would refuse while any process has the id in a stale file, which a container gives out again at once.
  fs.rmSync(path.join(directory.cluster, 'postmaster.pid'), { force: true });
  let last = '';
  for (let attempt = 0; attempt < portAttempts; attempt += 1) {
    const port = attempt === 0 && connection.port !== null ? connection.port : await freePort();
    const result = await launch(directory, binaries, { ...connection, port }, limits);
    if (result.started) return result.connection;
    last = result.log;
    if (/pre-existing shared memory block/.test(last)) await wait(500);
    else if (!/could not bind|could not create any TCP/.test(last)) break;
  }
  throw new EmbeddedServerFailed(`did not start. It says (${directory.log}):\n${tail(last)}`);
}

/** Its own word on the port counts: a starter that was killed may not have come to write it down. */
async function awaitLiving(directory: ServerDirectory, connection: Connection, deadlineMs: number): Promise<Connection | null> {
  for (let living = livingServer(directory); living !== null; living = livingServer(directory)) {
    const reached = { ...connection, port: living.port };
    if ((await ask(reached)) === 'ready') return reached;
    if (performance.now() >= deadlineMs) {
      throw new EmbeddedServerFailed(
        `process ${living.pid} runs on ${directory.cluster} but does not accept connections on port ${living.port}; see ${directory.log}, stop it, and try again`,
      );
    }
    await wait(probeIntervalMs);
  }
  return null;
}

function signal(binaries: ServerBinaries, pid: number, name: 'INT' | 'QUIT'): void {
  try {
    if (process.platform === 'win32') spawnSync(binaries.pgCtl, ['kill', name, String(pid)], { windowsHide: true });
    else process.kill(pid, `SIG${name}`);
  } catch (cause) {
    if (errorCode(cause) !== 'ESRCH')
      throw new EmbeddedServerFailed(`process ${pid} cannot be stopped (${messageOf(cause)})`, cause);
  }
}

async function gone(directory: ServerDirectory, withinMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + withinMs;
  while (performance.now() < deadlineMs) {
    if (livingServer(directory) === null) return true;
    await wait(probeIntervalMs);
  }
  return false;
}

/** Stops the server: in good order, or, when that takes longer than `timeoutMs`, at once (the next start then recovers). */
export async function stopServer(directory: ServerDirectory, binaries: ServerBinaries, timeoutMs: number): Promise<void> {
  const living = livingServer(directory);
  if (living === null) return;
  const { pid } = living;
  signal(binaries, pid, 'INT');
  if (await gone(directory, timeoutMs)) return;
  signal(binaries, pid, 'QUIT');
  if (await gone(directory, immediateStopMs)) return;
  throw new EmbeddedServerFailed(`process ${pid} does not stop; see ${directory.log}`);
}
