/** Who is served first, who is kept waiting, and that nobody waits for ever. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as realWait } from 'node:timers/promises';
import type { DictError } from '../dict/errors.ts';
import { participant } from '../dict/participant.ts';
import { scaledClock } from '../platform/clock.ts';
import type { BucketObserver } from './bucket-observer.ts';
import type { Priority } from './bucket-store.ts';
import { localBuckets } from './local-buckets.ts';
import { TokenQueue } from './token-queue.ts';

// A minute takes 60 ms.
const FACTOR = 1000;

interface TestQueue {
  readonly queue: TokenQueue;
  readonly starved: () => number;
}

async function queueOf(capacity: number, available: number, observer: BucketObserver = {}): Promise<TestQueue> {
  const clock = scaledClock(FACTOR);
  let starved = 0;
  const onStarved = (): void => {
    starved += 1;
  };
  const bucket = localBuckets(clock).bucket(participant('00038166'), 'TEST');
  await bucket.assume({ capacity, refillTokens: 2, refillPeriodMs: 60_000 }, available);
  const onUnknown = (): Promise<boolean> => assert.fail('the bucket is known');
  const deps = { clock, policy: 'TEST', onStarved, onUnknown, observer };
  return { queue: new TokenQueue(deps, bucket), starved: () => starved };
}

const refusedAs =
  (kind: string) =>
  (error: DictError): boolean =>
    error.kind === kind;

describe('TokenQueue', () => {
  it('serves people before verifications before routine, and equals in the order they came', async () => {
    const { queue, starved } = await queueOf(4, 0);
    const served: string[] = [];
    const ask = async (name: string, priority: Priority): Promise<void> => {
      const lease = await queue.acquire(priority, 1_000_000);
      served.push(name);
      lease.end('charged');
    };
    await Promise.all([
      ask('routine 1', 'routine'),
      ask('verification 1', 'verification'),
      ask('routine 2', 'routine'),
      ask('person', 'person'),
      ask('verification 2', 'verification'),
    ]);
    assert.deepEqual(served, ['person', 'verification 1', 'verification 2', 'routine 1', 'routine 2']);
    assert.ok(starved() > 0);
  });

  it('keeps the last tokens for those who may not wait (R12)', async () => {
    const { queue } = await queueOf(10, 3);
    await queue.acquire('routine', 0);
    await assert.rejects(queue.acquire('routine', 5_000), refusedAs('NoTokens'));
    await queue.acquire('verification', 0);
    await assert.rejects(queue.acquire('verification', 5_000), refusedAs('NoTokens'));
    await queue.acquire('person', 0);
    await assert.rejects(queue.acquire('person', 5_000), refusedAs('NoTokens'));
  });

  it('lets a later person pass while routine waits', async () => {
    const { queue } = await queueOf(10, 1);
    const routine = queue.acquire('routine', 5_000);
    await queue.acquire('person', 0);
    await assert.rejects(routine, refusedAs('NoTokens'));
  });

  it('gives up with the signal, also before it waits', async () => {
    const { queue } = await queueOf(1, 0);
    const reason = new Error('enough');
    const controller = new AbortController();
    const waiting = queue.acquire('person', 1_000_000, controller.signal);
    const other = queue.acquire('person', 1_000_000);
    controller.abort(reason);
    await assert.rejects(waiting, reason);
    await assert.rejects(queue.acquire('person', 1, controller.signal), reason);
    await other;
  });

  it('refuses everyone who waits when it is closed', async () => {
    const { queue } = await queueOf(1, 0);
    const waiting = [queue.acquire('person', 1_000_000), queue.acquire('routine', 1_000_000)];
    await realWait(1);
    queue.close();
    for (const each of waiting) await assert.rejects(each, refusedAs('Unreachable'));
  });

  it('tells an observer who waits, how long it took, how many tokens there are and who was refused why', async () => {
    const told: string[] = [];
    const waitsMs: number[] = [];
    const waitings: string[] = [];
    const { queue } = await queueOf(10, 1, {
      onWait: ({ priority, waitedMs }) => {
        told.push(`${priority} served`);
        waitsMs.push(waitedMs);
      },
      onRefused: ({ priority, why }) => told.push(`${priority} refused: ${why}`),
      onWaiting: ({ person, verification, routine }) => waitings.push(`${person} ${verification} ${routine}`),
      onTokens: ({ available, capacity }) => told.push(`${available} of ${capacity}`),
    });
    await queue.acquire('person', 0);
    assert.deepEqual(told, ['person served', '0 of 10']);
    const controller = new AbortController();
    const aborted = queue.acquire('routine', 1_000_000, controller.signal);
    const late = queue.acquire('verification', 5_000);
    const served = queue.acquire('person', 1_000_000);
    await assert.rejects(late, refusedAs('NoTokens'));
    assert.equal(waitings.includes('1 1 1'), true, waitings.join(', '));
    await served;
    controller.abort(new Error('enough'));
    await assert.rejects(aborted, /enough/);
    const still = queue.acquire('routine', 1_000_000);
    queue.close();
    await assert.rejects(still, refusedAs('Unreachable'));
    const outcomes = told.filter((text) => /served|refused/.test(text));
    assert.deepEqual(outcomes, [
      'person served',
      'verification refused: no-tokens',
      'person served',
      'routine refused: aborted',
      'routine refused: closed',
    ]);
    assert.ok((waitsMs[1] ?? 0) > 5_000, `the last person waited ${waitsMs[1]} ms for a refill`);
  });
});
