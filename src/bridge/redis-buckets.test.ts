/** Token buckets in a real Redis decide as those in process do, for all replicas at once, and no replica starves another. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import fc from 'fast-check';
import { redisMissing } from '../../test/support/foreign-programs.ts';
import {
  available,
  end,
  type Hand,
  MINUTE_MS,
  POLICY,
  prime,
  psp,
  RATES,
  setUp,
  taken,
  wanting,
} from '../../test/support/redis-replicas.ts';
import { testConnection } from '../../test/support/redis-server.ts';
import type { BucketStore, Cost, Counts, TokenLease } from './bucket-store.ts';
import { localBuckets } from './local-buckets.ts';
import { redisBuckets } from './redis-buckets.ts';

const skip = redisMissing() ?? false;

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

describe('a user of Redis', { skip, timeout: 120_000 }, () => {
  it('needs no more than the rights that docs/operations.md names', async (t) => {
    const { server } = await setUp(t);
    const [, named] = /`~PREFIX\* (\+eval [^`]+)`/.exec(readFileSync('docs/operations.md', 'utf8')) ?? [];
    assert.ok(named !== undefined);
    server.command('ACL', 'SETUSER', 'dict', 'on', '>geheim', '~test:*', ...named.split(' '));
    const redis = await testConnection(t, server.url, { user: 'dict', password: 'geheim' });
    const store = redisBuckets({ redis, keyPrefix: 'test:', replica: randomUUID(), timeScale: 1, leaseMs: 60_000 });
    const own = { store, bucket: store.bucket(psp, POLICY) };
    await prime(own, 30);
    const some = await taken(own.bucket, { person: 2, routine: 100 });
    assert.equal(some?.leases.length, 10);
    await end(own, some?.leases ?? []);
    assert.equal(await available(own.bucket), 20);
    await own.bucket.assume(RATES, 100);
    assert.equal(await available(own.bucket), 20);
    const foreign = redisBuckets({ redis, keyPrefix: 'other:', replica: randomUUID(), timeScale: 1, leaseMs: 60_000 });
    await assert.rejects(foreign.bucket(psp, POLICY).take(wanting({ person: 1 })), /NOPERM/);
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
