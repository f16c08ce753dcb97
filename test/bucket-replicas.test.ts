/**
 * R12 for one process and for several: real processes against a DICT with its real limits, on a clock that runs faster. Replicas
 * share their buckets in a real Redis; one of them is killed, and so is Redis.
 */

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { participant } from '../src/dict/participant.ts';
import { sampleEntries } from '../src/dict/sample-entries.ts';
import { scaledClock } from '../src/platform/clock.ts';
import { READINGS, type SimulatorOptions } from '../src/simulator/options.ts';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import { type ReplicaOrders, type ReplicaReport, type RunningReplica, startReplica } from './support/bucket-replica.ts';
import { redisMissing } from './support/foreign-programs.ts';
import { type TestRedis, testRedis } from './support/redis-server.ts';

const psp = participant('00038166');
const MINUTE_MS = 60_000;
const skip = redisMissing() ?? false;

async function simulated(t: TestContext, factor: number, more: SimulatorOptions = {}): Promise<Simulator> {
  const simulator = await startSimulator({ clock: scaledClock(factor), controlPort: 0, ...more });
  t.after(() => simulator.close());
  return simulator;
}

function replicaOf(t: TestContext, orders: ReplicaOrders): RunningReplica {
  const replica = startReplica(orders);
  t.after(() => replica.child.kill('SIGKILL'));
  return replica;
}

/** How often each operation was answered with which status, as the control interface tells it. */
async function countsOf({ controlUrl }: Simulator): Promise<Readonly<Record<string, number>>> {
  const answer = await fetch(`${controlUrl}/counts`);
  assert.equal(answer.status, 200);
  return (await answer.json()) as Record<string, number>; // what this path answers
}

async function assertNo429(simulator: Simulator): Promise<Readonly<Record<string, number>>> {
  const counts = await countsOf(simulator);
  assert.deepEqual(
    Object.keys(counts).filter((name) => name.endsWith(' 429')),
    [],
    JSON.stringify(counts),
  );
  return counts;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

describe('R12: 5,000 reads by CID and a verification every minute, with a tenth of DICT’s by-CID limits', {
  timeout: 300_000,
}, () => {
  const FACTOR = 60;
  const READS = 5_000;
  // With a fifth kept back, 2,880 at once and 120 a minute: eighteen minutes, of which 400 callers wait more than three each.
  const policies = { CIDS_ENTRIES_READ: { capacity: 3_600, refillTokens: 120, refillPeriodSec: 60 } };
  const limits = { callMs: 30_000, leaseMs: 40_000 };

  async function cidsOf(simulator: Simulator): Promise<string[]> {
    simulator.state.seedEntries(sampleEntries({ seed: 7, participant: psp, keyType: 'CPF', count: 200 }));
    return Array.from(simulator.state.activeEntries({ participant: psp }), ({ cid }) => cid);
  }

  async function assertServed(simulator: Simulator, reports: readonly ReplicaReport[]): Promise<void> {
    const counts = await assertNo429(simulator);
    assert.equal(counts['getEntryByCid 200'], READS);
    for (const { failures, verifications, tookMs, verificationWaitsMs, routineWaitsMs } of reports) {
      assert.deepEqual(failures, {});
      const minutes = tookMs / MINUTE_MS;
      assert.ok(minutes > 15, `${minutes} minutes`);
      assert.ok(verifications > minutes / 2, `${verifications} verifications in ${minutes} minutes`);
      assert.equal(verificationWaitsMs.length, 2 * verifications);
      const most = Math.max(...verificationWaitsMs);
      // Each is two tokens of two buckets. A busy machine's own time counts sixtyfold.
      assert.ok(median(verificationWaitsMs) < MINUTE_MS / 2, `a median of ${median(verificationWaitsMs)} ms`);
      assert.ok(most < 5 * MINUTE_MS, `at most ${most} ms`);
      assert.ok(Math.max(...routineWaitsMs) > 2 * MINUTE_MS, 'routine waited for tokens meanwhile');
    }
  }

  it('meet no 429, and no verification is starved, from one process', async (t) => {
    const simulator = await simulated(t, FACTOR, { policies });
    const cids = await cidsOf(simulator);
    const orders = { apiUrl: simulator.apiUrl, redisUrl: null, factor: FACTOR, cids, verifies: true, ...limits };
    const replica = replicaOf(t, { ...orders, calls: READS, concurrency: 400 });
    await assertServed(simulator, [await replica.report]);
  });

  it('meet no 429, and no verification is starved, from two replicas that share their buckets', { skip }, async (t) => {
    const redis = await testRedis(t);
    const simulator = await simulated(t, FACTOR, { policies, readings: { refill: 'at-period-end' } });
    const cids = await cidsOf(simulator);
    const orders = { apiUrl: simulator.apiUrl, redisUrl: redis.url, factor: FACTOR, cids, verifies: true, ...limits };
    const replicas = [0, 1].map(() => replicaOf(t, { ...orders, calls: READS / 2, concurrency: 200 }));
    await assertServed(simulator, await Promise.all(replicas.map(({ report }) => report)));
  });
});

describe('R12: replicas that share DICT’s limits for its event log', { skip, timeout: 300_000 }, () => {
  const FACTOR = 600;
  const LEASES = 'test:{00038166}:leases:CIDS_EVENTS_LIST';

  interface Shared {
    readonly simulator: Simulator;
    readonly redis: TestRedis;
    replica(calls: number): RunningReplica;
  }

  async function setUp(t: TestContext, more: SimulatorOptions = {}): Promise<Shared> {
    const redis = await testRedis(t);
    const simulator = await simulated(t, FACTOR, more);
    const common = { apiUrl: simulator.apiUrl, redisUrl: redis.url, factor: FACTOR, cids: [], verifies: false };
    const limits = { callMs: 5_000, leaseMs: 6_000 };
    return { simulator, redis, replica: (calls) => replicaOf(t, { ...common, ...limits, calls, concurrency: 16 }) };
  }

  for (const refill of READINGS.refill) {
    it(`meet no 429, with tokens that come back ${refill}`, async (t) => {
      const { simulator, replica } = await setUp(t, { readings: { refill } });
      const reports = await Promise.all([replica(150), replica(150), replica(150)].map(({ report }) => report));
      assert.deepEqual(
        reports.map(({ failures }) => failures),
        [{}, {}, {}],
      );
      assert.equal((await assertNo429(simulator))['listCidSetEvents 200'], 450);
    });
  }

  it('go on when one is killed with tokens in use, which lapse', async (t) => {
    // Each call lasts a fifth of a second, so that there are always some under way.
    const slow = { before: () => ({ delayMs: 200 * FACTOR }) };
    const { simulator, redis, replica } = await setUp(t, { behaviour: slow });
    const [doomed, first, second] = [replica(1_000), replica(100), replica(100)];
    await doomed.reached(20);
    doomed.child.kill('SIGKILL');
    await assert.rejects(doomed.report, /SIGKILL/);
    for (const { report } of [first, second]) assert.deepEqual((await report).failures, {});
    await assertNo429(simulator);
    assert.ok(Number(redis.command('ZCARD', LEASES)) <= 16, 'nothing but what the killed one had in use');
    const lapsedMs = Date.now() + 30_000;
    while (redis.command('EXISTS', LEASES) !== '0' && Date.now() < lapsedMs) await wait(100);
    assert.equal(redis.command('EXISTS', LEASES), '0');
  });

  it('wait while Redis is down, and go on when it is back and remembers nothing', async (t) => {
    const { simulator, redis, replica } = await setUp(t);
    const replicas = [replica(150), replica(150)];
    await Promise.all(replicas.map((each) => each.reached(40)));
    await redis.kill();
    const answered = async (): Promise<number> => (await countsOf(simulator))['listCidSetEvents 200'] ?? 0;
    let before = -1;
    // What was under way is answered yet.
    for (let looks = 0; looks < 60 && before !== (await answered()); looks += 1) {
      before = await answered();
      await wait(500);
    }
    await wait(500);
    assert.equal(await answered(), before, 'nothing goes out unthrottled');
    assert.ok(before < 300, 'much is still to be done');
    await redis.start();
    for (const { report } of replicas) assert.deepEqual((await report).failures, {});
    assert.equal((await assertNo429(simulator))['listCidSetEvents 200'], 300);
  });
});
