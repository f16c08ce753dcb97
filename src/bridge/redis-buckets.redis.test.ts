/**
 * Token buckets in a real Redis: they decide as those in process do, whatever happens to the server, and no replica starves another.
 */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import fc from 'fast-check';
import { redisMissing } from '../../test/support/foreign-programs.ts';
import { type TestRedis, type TestRedisOptions, testConnection, testRedis } from '../../test/support/redis-server.ts';
import { participant } from '../dict/participant.ts';
import { type RedisConnection, redisScript } from '../platform/redis/connection.ts';
import { type Bucket, type BucketStore, BucketsUnreachable, type Cost, type Counts, type TokenLease } from './bucket-store.ts';
import { localBuckets } from './local-buckets.ts';
import { redisBuckets } from './redis-buckets.ts';

const psp = participant('00038166');
const POLICY = 'CIDS_EVENTS_LIST';
const MINUTE_MS = 60_000;
const RATES = { capacity: 100, refillTokens: 20, refillPeriodMs: MINUTE_MS };
const skip = redisMissing() ?? false;

const wanting = (more: Partial<Counts>): Counts => ({ person: 0, verification: 0, routine: 0, ...more });

/** Time that moves only when a test moves it. */
interface Hand {
  ms: number;
}

interface Replica {
  readonly store: BucketStore;
  readonly bucket: Bucket;
  readonly redis: RedisConnection;
}

interface Setting {
  readonly server: TestRedis;
  readonly hand: Hand;
  replica(more?: { leaseMs?: number; callMs?: number }): Promise<Replica>;
}

async function setUp(t: TestContext, options: TestRedisOptions = {}): Promise<Setting> {
  const server = await testRedis(t, options);
  const hand = { ms: 1_000_000 };
  return {
    server,
    hand,
    replica: async ({ leaseMs = 60_000, callMs = 5_000 } = {}) => {
      const redis = await testConnection(t, server.url, { callMs });
      const nowMs = (): number => hand.ms;
      const store = redisBuckets({ redis, keyPrefix: 'test:', replica: randomUUID(), timeScale: 1, leaseMs, nowMs });
      return { store, redis, bucket: store.bucket(psp, POLICY) };
    },
  };
}

/** What a turn granted, or null where the bucket is unknown. */
async function taken(
  bucket: Bucket,
  wanted: Partial<Counts>,
): Promise<{ leases: readonly TokenLease[]; available: number } | null> {
  const turn = await bucket.take(wanting(wanted));
  return turn.kind === 'known' ? turn : null;
}

async function available(bucket: Bucket): Promise<number | null> {
  return (await taken(bucket, {}))?.available ?? null;
}

/** Ends calls, and waits until the store has told all of it. */
async function end({ store }: { store: BucketStore }, leases: readonly TokenLease[], cost: Cost = 'charged'): Promise<void> {
  for (const lease of leases) lease.end(cost);
  await store.close();
}

async function prime({ store }: { store: BucketStore }, tokens: number): Promise<void> {
  const priming = await store.beginPriming(psp, [POLICY], 0);
  assert.ok(priming.kind === 'granted');
  await priming.finish([{ policy: POLICY, rates: RATES, available: tokens }]);
}

/** Runs one line of Lua. */
function lua(redis: RedisConnection, text: string): Promise<unknown> {
  return redis.run(redisScript(text), [], []);
}

interface Step {
  readonly gapMs: number;
  readonly wanted: Counts;
  readonly ends: number;
  readonly cost: Cost;
  /** What DICT says there is, asked before this step's calls end and answered after it; null: it is not asked. */
  readonly stated: number | null;
}

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    gapMs: fc.oneof(fc.nat(2_000), fc.nat(200_000)),
    wanted: fc.record({ person: fc.nat(3), verification: fc.nat(5), routine: fc.nat(20) }),
    ends: fc.nat(20),
    cost: fc.constantFrom<Cost>('charged', 'charged', 'charged', 'free', 'exhausted'),
    stated: fc.option(fc.nat(60), { freq: 4 }),
  }),
  { minLength: 5, maxLength: 30 },
);

/** Plays a history and returns what each of its steps saw. */
async function play(store: BucketStore, hand: Hand, rates: typeof RATES, history: readonly Step[]) {
  const bucket = store.bucket(psp, POLICY);
  const open: TokenLease[] = [];
  const seen: unknown[] = [await bucket.take(wanting({ person: 1 }))];
  await bucket.assume(rates, Math.ceil(rates.capacity / 2));
  for (const { gapMs, wanted, ends, cost, stated } of history) {
    hand.ms += gapMs;
    const turn = await bucket.take(wanted);
    assert.ok(turn.kind === 'known');
    open.push(...turn.leases);
    const priming = stated === null ? null : await store.beginPriming(psp, [POLICY], 0);
    for (const lease of open.splice(0, ends)) lease.end(cost);
    await store.close();
    if (priming?.kind === 'granted' && stated !== null) await priming.finish([{ policy: POLICY, rates, available: stated }]);
    const after = await bucket.take(wanting({}));
    seen.push([turn.leases.map(({ priority }) => priority), turn.available, after.kind === 'known' && after.available]);
  }
  return seen;
}

describe('token buckets in Redis', { skip, timeout: 120_000 }, () => {
  it('decide as those in process do, on any history', async (t) => {
    const { server } = await setUp(t);
    const redis = await testConnection(t, server.url);
    let histories = 0;
    let decisions = 0;
    const rates = fc.record({
      capacity: fc.integer({ min: 1, max: 60 }),
      refillTokens: fc.integer({ min: 1, max: 40 }),
      refillPeriodMs: fc.constantFrom(1_000, 7_000, MINUTE_MS),
    });
    await fc.assert(
      fc.asyncProperty(rates, steps, async (bucketRates, history) => {
        histories += 1;
        const [here, there] = [{ ms: 1_000_000 }, { ms: 1_000_000 }];
        const clock = { now: () => new Date(here.ms), sleep: () => assert.fail('nobody sleeps here') };
        const nowMs = (): number => there.ms;
        const keyPrefix = `test:${histories}:`;
        const shared = redisBuckets({ redis, keyPrefix, replica: randomUUID(), timeScale: 1, leaseMs: 600_000, nowMs });
        const expected = await play(localBuckets(clock), here, bucketRates, history);
        assert.deepEqual(await play(shared, there, bucketRates, history), expected);
        decisions += expected.length;
      }),
      { numRuns: 200 },
    );
    assert.ok(decisions > 1_000, `${decisions} decisions compared`);
  });

  it('are one bucket for all replicas: what one uses the others miss', async (t) => {
    const { replica } = await setUp(t);
    const [one, other] = [await replica(), await replica()];
    assert.equal(await available(one.bucket), null);
    await one.bucket.assume(RATES, 60);
    await other.bucket.assume(RATES, 100);
    assert.equal(await available(other.bucket), 60);
    const mine = await taken(one.bucket, { routine: 25 });
    assert.equal(await available(other.bucket), 35);
    const theirs = await taken(other.bucket, { routine: 25 });
    assert.equal(theirs?.leases.length, 15, 'a fifth is kept back from routine');
    await end(one, mine?.leases ?? [], 'free');
    assert.equal(await available(other.bucket), 45);
    await end(other, theirs?.leases.slice(0, 1) ?? [], 'exhausted');
    assert.equal(await available(one.bucket), -14, 'DICT said there are none, and fourteen calls are under way');
  });

  it('ask DICT what there is once for all replicas, and count what was used meanwhile', async (t) => {
    const { replica, hand } = await setUp(t);
    const [one, other] = [await replica(), await replica()];
    const asking = await one.store.beginPriming(psp, [POLICY], 30_000);
    assert.equal((await other.store.beginPriming(psp, [POLICY], 30_000)).kind, 'under-way');
    assert.ok(asking.kind === 'granted');
    await asking.finish([{ policy: POLICY, rates: RATES, available: 80 }]);
    assert.equal((await other.store.beginPriming(psp, [POLICY], 30_000)).kind, 'recent');
    assert.equal(await available(other.bucket), 80);
    hand.ms += 30_000;
    const again = await other.store.beginPriming(psp, [POLICY], 30_000);
    const used = await taken(one.bucket, { person: 3 });
    await end(one, used?.leases ?? []);
    assert.ok(again.kind === 'granted');
    await again.finish([{ policy: POLICY, rates: RATES, available: 50 }]);
    assert.equal(await available(one.bucket), 47, 'DICT may have counted before those three');
  });
});

describe('fairness between replicas', { skip, timeout: 120_000 }, () => {
  it('keeps the last tokens for verifications and people of any replica', async (t) => {
    const { replica } = await setUp(t);
    const [busy, other] = [await replica(), await replica()];
    await busy.bucket.assume(RATES, 40);
    assert.equal((await taken(busy.bucket, { routine: 100 }))?.leases.length, 20);
    assert.equal((await taken(other.bucket, { verification: 100 }))?.leases.length, 10);
    assert.equal((await taken(other.bucket, { person: 4 }))?.leases.length, 4);
  });

  it('serves a verification that waits elsewhere before routine, also where many wait', async (t) => {
    const { replica, hand } = await setUp(t);
    const [busy, other] = [await replica(), await replica()];
    await busy.bucket.assume({ ...RATES, refillTokens: 45 }, 0);
    assert.equal((await taken(other.bucket, { verification: 15 }))?.leases.length, 0);
    hand.ms += 2 * MINUTE_MS - 1;
    // 45 came back: ten stay for people, fifteen are what the other replica waits for.
    assert.equal((await taken(busy.bucket, { routine: 100 }))?.leases.length, 20);
    assert.equal((await taken(other.bucket, { verification: 15 }))?.leases.length, 15);
  });

  it('lets replicas take turns, also where one of them always asks first', async (t) => {
    const { replica, hand } = await setUp(t);
    const [first, second] = [await replica(), await replica()];
    await first.bucket.assume(RATES, 20);
    const got = { first: 0, second: 0 };
    for (let minute = 0; minute <= 10; minute += 1) {
      for (const [name, { bucket }] of [['first', first] as const, ['second', second] as const]) {
        const turn = await taken(bucket, { routine: 100 });
        got[name] += turn?.leases.length ?? 0;
        for (const lease of turn?.leases ?? []) lease.end('charged');
        await wait(2);
      }
      hand.ms += MINUTE_MS;
    }
    assert.ok(got.first + got.second >= 160, `${got.first} and ${got.second} tokens in ten minutes of twenty each`);
    assert.ok(Math.abs(got.first - got.second) <= 20, `${got.first} and ${got.second} tokens`);
  });

  it('forgets a replica that waited and is heard of no more', async (t) => {
    const { replica, hand } = await setUp(t);
    const [gone, living] = [await replica(), await replica()];
    await gone.bucket.assume(RATES, 10);
    await taken(gone.bucket, { verification: 100 });
    hand.ms += 10 * MINUTE_MS;
    assert.equal((await taken(living.bucket, { routine: 100 }))?.leases.length, 0, 'a hundred verifications go first');
    await wait(3_100);
    assert.equal((await taken(living.bucket, { routine: 100 }))?.leases.length, 80);
  });
});

describe('a replica that is killed', { skip, timeout: 120_000 }, () => {
  it('leaves tokens behind that count as used once its calls must have ended, and come back a period later', async (t) => {
    const { replica, hand } = await setUp(t);
    const [killed, living] = [await replica({ leaseMs: 300 }), await replica()];
    await killed.bucket.assume(RATES, 100);
    await taken(killed.bucket, { person: 5 });
    hand.ms += 10 * MINUTE_MS;
    assert.equal(await available(living.bucket), 95, 'the calls may be under way still');
    await wait(350);
    assert.equal(await available(living.bucket), 95, 'and may have been charged at the last moment');
    hand.ms += 2 * MINUTE_MS;
    assert.equal(await available(living.bucket), 100);
  });

  it('leaves nothing in Redis for ever', async (t) => {
    const { replica } = await setUp(t);
    const one = await replica();
    await prime(one, 30);
    const some = await taken(one.bucket, { person: 2, routine: 100 });
    await end(one, some?.leases.slice(0, 1) ?? []);
    await taken(one.bucket, { routine: 100 });
    const lives = await lua(
      one.redis,
      "local t = {} for _, k in ipairs(redis.call('KEYS', '*')) do t[#t+1] = k t[#t+1] = redis.call('PTTL', k) end return t",
    );
    assert.ok(Array.isArray(lives));
    const names = lives.filter((_, at) => at % 2 === 0).map((name) => String(name).replace(/^test:\{00038166\}:/, ''));
    assert.deepEqual(names.toSorted(), [`bucket:${POLICY}`, `leases:${POLICY}`, 'policies', `waiting:${POLICY}`]);
    for (const ttlMs of lives.filter((_, at) => at % 2 === 1)) assert.ok(Number(ttlMs) > 0, `${ttlMs} ms to live`);
  });
});

describe('Redis that forgets', { skip, timeout: 120_000 }, () => {
  it('its scripts is taught them again', async (t) => {
    const { replica, server } = await setUp(t);
    const { bucket } = await replica();
    await bucket.assume(RATES, 50);
    server.command('SCRIPT', 'FLUSH');
    assert.equal((await taken(bucket, { person: 1 }))?.available, 49);
  });

  it('its data knows no tokens until they are stated anew, and is told of calls under way', async (t) => {
    const { replica, server } = await setUp(t);
    const [one, other] = [await replica(), await replica()];
    await one.bucket.assume(RATES, 100);
    const mine = await taken(one.bucket, { person: 6 });
    const theirs = await taken(other.bucket, { person: 3 });
    server.command('FLUSHALL');
    assert.equal(await taken(one.bucket, { person: 1 }), null);
    await prime(other, 50);
    // The first look of each replica at the new bucket tells of its calls.
    await available(one.bucket);
    await available(other.bucket);
    assert.equal(await available(one.bucket), 41);
    await end(one, mine?.leases ?? []);
    await end(other, theirs?.leases ?? [], 'free');
    assert.equal(await available(one.bucket), 44, 'six were charged, three were not');
  });

  it('a bucket while DICT was asked leaves it unknown: what was used meanwhile is lost with it', async (t) => {
    const { replica, server } = await setUp(t);
    const { store, bucket } = await replica();
    await bucket.assume(RATES, 100);
    const asking = await store.beginPriming(psp, [POLICY], 0);
    server.command('FLUSHALL');
    assert.ok(asking.kind === 'granted');
    await asking.finish([{ policy: POLICY, rates: RATES, available: 90 }]);
    assert.equal(await available(bucket), null);
  });

  it('a call under way counts it when it ends, even where nothing else told of it', async (t) => {
    const { replica, server } = await setUp(t);
    const [one, other] = [await replica(), await replica()];
    await one.bucket.assume(RATES, 100);
    const mine = await taken(one.bucket, { person: 6 });
    server.command('FLUSHALL');
    await other.bucket.assume(RATES, 50);
    await end(one, mine?.leases ?? []);
    assert.equal(await available(other.bucket), 44);
  });

  it('what it had since its last dump does not believe the dump', async (t) => {
    const { replica, server } = await setUp(t);
    const one = await replica();
    await one.bucket.assume(RATES, 100);
    assert.equal(await available(one.bucket), 100);
    server.command('SAVE');
    const used = await taken(one.bucket, { person: 90 });
    await end(one, used?.leases ?? []);
    await server.kill();
    await server.start();
    const after = await replica();
    assert.equal(
      await lua(after.redis, `return redis.call('EXISTS', 'test:{00038166}:bucket:${POLICY}')`),
      1,
      'the dump is there',
    );
    assert.equal(await available(after.bucket), null, 'it says 100, where ten are left');
  });
});

describe('Redis that cannot be asked', { skip, timeout: 120_000 }, () => {
  it('has no tokens while it is down, and is used again once it is back', async (t) => {
    const { replica, server } = await setUp(t);
    const { bucket } = await replica();
    await bucket.assume(RATES, 100);
    const before = await taken(bucket, { person: 1 });
    await server.kill();
    for (let tries = 0; tries < 5; tries += 1) await assert.rejects(bucket.take(wanting({ person: 1 })), BucketsUnreachable);
    before?.leases[0]?.end('charged');
    await server.start();
    const backMs = Date.now() + 30_000;
    let turn = await bucket.take(wanting({ person: 1 })).catch(() => null);
    while (turn === null && Date.now() < backMs) {
      await wait(20);
      turn = await bucket.take(wanting({ person: 1 })).catch(() => null);
    }
    assert.deepEqual(turn, { kind: 'unknown' });
  });

  it('is waited for no longer than a call may take, and gets back what it granted unheard', async (t) => {
    const { replica, server } = await setUp(t);
    const [patient, hasty] = [await replica(), await replica({ callMs: 200 })];
    await patient.bucket.assume(RATES, 100);
    await taken(hasty.bucket, { person: 1 });
    server.pause();
    const beganMs = Date.now();
    await assert.rejects(
      hasty.bucket.take(wanting({ person: 10 })),
      /Redis at 127\.0\.0\.1:\d+ cannot be used: no answer within 200 ms/,
    );
    assert.ok(Date.now() - beganMs < 20_000);
    server.resume();
    const backMs = Date.now() + 30_000;
    let left = await available(patient.bucket);
    while (left !== 99 && Date.now() < backMs) {
      await hasty.store.close();
      await wait(20);
      left = await available(patient.bucket);
    }
    assert.equal(left, 99, 'ten were taken by a question without an answer');
  });
});
