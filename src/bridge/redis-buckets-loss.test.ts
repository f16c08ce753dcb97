/** Token buckets in a real Redis when something is lost: a replica, Redis's memory, Redis itself. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { redisMissing } from '../../test/support/foreign-programs.ts';
import {
  available,
  end,
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
import { type RedisConnection, RedisUnavailable, redisScript } from '../platform/redis/connection.ts';
import { BucketsUnreachable } from './bucket-store.ts';
import { redisBuckets } from './redis-buckets.ts';

const skip = redisMissing() ?? false;

/** Runs one line of Lua. */
function lua(redis: RedisConnection, text: string): Promise<unknown> {
  return redis.run(redisScript(text), [], []);
}

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

  it('gets back what it granted unheard, and not what it granted after that to another question', async (t) => {
    const { replica, server, hand } = await setUp(t);
    const real = await testConnection(t, server.url);
    const heard = Promise.withResolvers<void>();
    let losing = false;
    const redis: RedisConnection = {
      server: real.server,
      close: () => real.close(),
      run: async (script, keys, parameters) => {
        const isLost = losing;
        losing = false;
        const answer = await real.run(script, keys, parameters);
        if (!isLost) return answer;
        await heard.promise;
        throw new RedisUnavailable(real.server, 'no answer', true);
      },
    };
    const nowMs = (): number => hand.ms;
    const store = redisBuckets({ redis, keyPrefix: 'test:', replica: 'losing', timeScale: 1, leaseMs: 60_000, nowMs });
    const bucket = store.bucket(psp, POLICY);
    await bucket.assume(RATES, 100);
    losing = true;
    const lost = bucket.take(wanting({ person: 10 }));
    const kept = await taken(bucket, { person: 3 });
    heard.resolve();
    await assert.rejects(lost, BucketsUnreachable);
    await store.close();
    assert.equal(await available((await replica()).bucket), 97, 'three are in use');
    await end({ store }, kept?.leases ?? []);
    assert.equal(await available((await replica()).bucket), 97, 'and were charged');
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
