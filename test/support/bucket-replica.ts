/**
 * One replica of many: a process with a client of DICT that does routine work at full speed and a verification every minute, with
 * token buckets of its own or in a Redis that all share. Tells how far it is, so that a test can kill it in the middle.
 */

import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { BucketObservers } from '../../src/bridge/bucket-observer.ts';
import { createDictClient } from '../../src/bridge/dict-client.ts';
import { redisBuckets } from '../../src/bridge/redis-buckets.ts';
import type { DictApi } from '../../src/dict/api.ts';
import { DictError } from '../../src/dict/errors.ts';
import { participant } from '../../src/dict/participant.ts';
import { type Clock, scaledClock } from '../../src/platform/clock.ts';
import { openRedis } from '../../src/platform/redis/connection.ts';

export interface ReplicaOrders {
  readonly apiUrl: string;
  /** Null: buckets of its own. */
  readonly redisUrl: string | null;
  /** How many times as fast as real time everybody's clock runs. */
  readonly factor: number;
  /** Entries to be read by CID; none: pages of the event log are read instead. */
  readonly cids: readonly string[];
  readonly calls: number;
  /** Calls that wait or run at a time. */
  readonly concurrency: number;
  /** Whether every minute a verification is made and its residual looked up, ahead of the routine. */
  readonly verifies: boolean;
  readonly callMs: number;
  readonly leaseMs: number;
}

/** What a replica has seen so far. Waits are of tokens, in milliseconds of the faster clock. */
export interface ReplicaReport {
  readonly done: number;
  readonly ended: boolean;
  /** Calls that failed, by kind. */
  readonly failures: Readonly<Record<string, number>>;
  readonly verifications: number;
  readonly tookMs: number;
  readonly verificationWaitsMs: readonly number[];
  readonly routineWaitsMs: readonly number[];
}

const PSP = participant('00038166');
const MINUTE_MS = 60_000;
const REPORT_EVERY = 20;

interface Seen {
  done: number;
  ended: boolean;
  failures: Record<string, number>;
  verifications: number;
  tookMs: number;
  verificationWaitsMs: number[];
  routineWaitsMs: number[];
}

async function clientOf(orders: ReplicaOrders, clock: Clock, seen: Seen) {
  const { apiUrl, redisUrl, factor, callMs, leaseMs } = orders;
  const limits = { url: redisUrl ?? '', user: null, password: null, authorities: null, connectMs: 5_000, callMs: 5_000 };
  const redis = redisUrl === null ? null : await openRedis({ ...limits, random: Math.random });
  const shared = { keyPrefix: 'test:', replica: randomUUID(), timeScale: factor, leaseMs };
  const store = redis === null ? null : redisBuckets({ redis, ...shared });
  const observers: BucketObservers = ({ policy }) => ({
    onWait: ({ priority, waitedMs }) => {
      if (priority === 'verification') seen.verificationWaitsMs.push(waitedMs);
      if (priority === 'routine' && policy !== 'POLICIES_LIST') seen.routineWaitsMs.push(waitedMs);
    },
  });
  const client = createDictClient({
    apiUrl,
    filesHosts: [],
    clock,
    random: Math.random,
    limits: { callMs },
    retry: { triesMax: 1 },
    budget: { waitMaxMs: 1_000 * MINUTE_MS, observers, ...(store === null ? {} : { store }) },
  });
  const close = async (): Promise<void> => {
    await client.close();
    await store?.close();
    redis?.close();
  };
  return { client, close };
}

async function counted(seen: Seen, call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
  } catch (cause) {
    const kind = cause instanceof DictError ? cause.kind : String(cause);
    seen.failures[kind] = (seen.failures[kind] ?? 0) + 1;
  }
}

async function routine(orders: ReplicaOrders, dict: DictApi, seen: Seen, onDone: () => void): Promise<void> {
  const { cids, calls, concurrency } = orders;
  let begun = 0;
  const one = async (): Promise<void> => {
    for (; begun < calls; ) {
      const cid = cids[begun % Math.max(cids.length, 1)];
      begun += 1;
      if (cid === undefined) await counted(seen, () => dict.listCidSetEvents({ participant: PSP, keyType: 'CPF' }));
      else await counted(seen, () => dict.getEntryByCid({ participant: PSP, cid }));
      onDone();
    }
  };
  await Promise.all(Array.from({ length: concurrency }, one));
}

/** On the minute, however long the last one takes. */
async function verifyEveryMinute(dict: DictApi, clock: Clock, seen: Seen, signal: AbortSignal): Promise<void> {
  const scope = { participant: PSP, keyType: 'CPF' } as const;
  const first = { priority: 'verification' } as const;
  const verify = async (): Promise<void> => {
    const asked = await dict.createSyncVerification({ ...scope, participantSyncVerifier: 'a'.repeat(64) }, first);
    if (asked.result !== 'NOK') throw new TypeError('no set of CIDs has this VSync');
    await dict.getEntryByCid({ participant: PSP, cid: 'a'.repeat(64) }, first);
    seen.verifications += 1;
  };
  const begun: Promise<void>[] = [];
  while (!signal.aborted) {
    begun.push(counted(seen, verify));
    await clock.sleep(MINUTE_MS, signal).catch(() => undefined);
  }
  await Promise.all(begun);
}

async function work(orders: ReplicaOrders, send: (report: ReplicaReport) => void): Promise<void> {
  const clock = scaledClock(orders.factor);
  const seen: Seen = {
    done: 0,
    ended: false,
    failures: {},
    verifications: 0,
    tookMs: 0,
    verificationWaitsMs: [],
    routineWaitsMs: [],
  };
  const { client, close } = await clientOf(orders, clock, seen);
  const over = new AbortController();
  const beganMs = clock.now().getTime();
  const verifying = orders.verifies ? verifyEveryMinute(client, clock, seen, over.signal) : Promise.resolve();
  await routine(orders, client, seen, () => {
    seen.done += 1;
    if (seen.done % REPORT_EVERY === 0) send({ ...seen, verificationWaitsMs: [], routineWaitsMs: [] });
  });
  seen.tookMs = clock.now().getTime() - beganMs;
  over.abort();
  await verifying;
  await close();
  seen.ended = true;
  send(seen);
}

/** A replica as its parent sees it. */
export interface RunningReplica {
  readonly child: ChildProcess;
  /** Resolves once so many calls are done. */
  reached(done: number): Promise<void>;
  /** Resolves when all is done. */
  readonly report: Promise<ReplicaReport>;
}

/** Starts a replica in a process of its own; whoever starts it kills it where it shall not end by itself. */
export function startReplica(orders: ReplicaOrders): RunningReplica {
  const child = fork(fileURLToPath(import.meta.url));
  const { promise, resolve, reject } = Promise.withResolvers<ReplicaReport>();
  // Who is killed reports nothing, and nobody may be waiting for it.
  promise.catch(() => undefined);
  let done = 0;
  child.on('message', (report: ReplicaReport) => {
    done = report.done;
    child.emit('progress');
    if (report.ended) resolve(report);
  });
  child.once('exit', (code, signal) => reject(new Error(`the replica ended with ${code ?? signal}`)));
  child.send(orders);
  return {
    child,
    reached: async (wanted) => {
      while (done < wanted) await Promise.race([once(child, 'progress'), promise]);
    },
    report: promise,
  };
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  const send = process.send.bind(process);
  process.once('disconnect', () => process.exit());
  const [orders] = (await once(process, 'message')) as [ReplicaOrders]; // the parent sends nothing else
  await work(orders, (report) => send(report));
  process.disconnect();
}
