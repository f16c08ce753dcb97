/** Replicas that share token buckets in a Redis of a test's own, on a clock that the test moves. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { TestContext } from 'node:test';
import type { Bucket, BucketStore, Cost, Counts, TokenLease } from '../../src/bridge/bucket-store.ts';
import { redisBuckets } from '../../src/bridge/redis-buckets.ts';
import { participant } from '../../src/dict/participant.ts';
import type { RedisConnection } from '../../src/platform/redis/connection.ts';
import { type TestRedis, testConnection, testRedis } from './redis-server.ts';

export const psp = participant('00038166');
export const POLICY = 'CIDS_EVENTS_LIST';
export const MINUTE_MS = 60_000;
export const RATES = { capacity: 100, refillTokens: 20, refillPeriodMs: MINUTE_MS };
export const wanting = (more: Partial<Counts>): Counts => ({ person: 0, verification: 0, routine: 0, ...more });

/** Time that moves only when a test moves it. */
export interface Hand {
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

export async function setUp(t: TestContext): Promise<Setting> {
  const server = await testRedis(t);
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
export async function taken(
  bucket: Bucket,
  wanted: Partial<Counts>,
): Promise<{ leases: readonly TokenLease[]; available: number } | null> {
  const turn = await bucket.take(wanting(wanted));
  return turn.kind === 'known' ? turn : null;
}

export async function available(bucket: Bucket): Promise<number | null> {
  return (await taken(bucket, {}))?.available ?? null;
}

/** Ends calls, and waits until the store has told all of it. */
export async function end(
  { store }: { store: BucketStore },
  leases: readonly TokenLease[],
  cost: Cost = 'charged',
): Promise<void> {
  for (const lease of leases) lease.end(cost);
  await store.close();
}

export async function prime({ store }: { store: BucketStore }, tokens: number): Promise<void> {
  const priming = await store.beginPriming(psp, [POLICY], 0);
  assert.ok(priming.kind === 'granted');
  await priming.finish([{ policy: POLICY, rates: RATES, available: tokens }]);
}
