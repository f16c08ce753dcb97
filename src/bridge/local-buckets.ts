/** Token buckets in this process alone: for one replica. Several need redis-buckets.ts, or each would use what another has used. */

import type { Participant } from '../dict/participant.ts';
import { assert } from '../platform/assert.ts';
import type { Clock } from '../platform/clock.ts';
import {
  type Bucket,
  type BucketStore,
  type Cost,
  type Counts,
  PRIORITIES,
  type Priming,
  type Priority,
  RESERVED_SHARE,
  type StatedBucket,
  type TokenLease,
  type Turn,
} from './bucket-store.ts';
import { type BucketRates, TokenBucket } from './token-bucket.ts';

/** No bucket is known at first. */
export function localBuckets(clock: Clock): BucketStore {
  const accounts = new Map<Participant, Account>();
  const accountOf = (participant: Participant): Account => {
    const account = accounts.get(participant) ?? { buckets: new Map(), askedMs: null };
    accounts.set(participant, account);
    return account;
  };
  return {
    bucket: (participant, policy) => bucketOf(clock, accountOf(participant), policy),
    beginPriming: async (participant, _policies, recentMs) => beginPriming(clock, accountOf(participant), recentMs),
    close: async () => {},
  };
}

interface Account {
  readonly buckets: Map<string, LocalBucket>;
  askedMs: number | null;
}

function bucketOf(clock: Clock, { buckets }: Account, policy: string): LocalBucket {
  const bucket = buckets.get(policy) ?? new LocalBucket(clock);
  buckets.set(policy, bucket);
  return bucket;
}

function beginPriming(clock: Clock, account: Account, recentMs: number): Priming {
  const nowMs = clock.now().getTime();
  if (account.askedMs !== null && nowMs - account.askedMs < recentMs) return { kind: 'recent' };
  account.askedMs = nowMs;
  const endedBefore = new Map([...account.buckets].map(([policy, bucket]) => [policy, bucket.ended]));
  const finish = async (stated: readonly StatedBucket[]): Promise<void> => {
    for (const { policy, rates, available } of stated) {
      bucketOf(clock, account, policy).prime(rates, available, endedBefore.get(policy) ?? 0);
    }
  };
  return { kind: 'granted', finish };
}

class LocalBucket implements Bucket {
  readonly #clock: Clock;
  #tokens: TokenBucket | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async take(wanted: Counts): Promise<Turn> {
    const tokens = this.#tokens;
    if (tokens === null) return { kind: 'unknown' };
    const now = this.#clock.now();
    const { capacity } = tokens.rates;
    let available = tokens.available(now);
    const leases: TokenLease[] = [];
    for (const priority of PRIORITIES) {
      const most = available - Math.floor(capacity * RESERVED_SHARE[priority]);
      const count = Math.min(wanted[priority], Math.max(0, most));
      for (let taken = 0; taken < count; taken += 1) leases.push(this.#lease(tokens, priority));
      available -= count;
      if (count < wanted[priority]) break;
    }
    return { kind: 'known', leases, available, capacity, retryInMs: tokens.msToNextChange(now) };
  }

  async assume(rates: BucketRates, available: number): Promise<void> {
    this.#tokens ??= new TokenBucket(rates, available, this.#clock.now());
  }

  get ended(): number {
    return this.#tokens?.ended ?? 0;
  }

  prime(rates: BucketRates, available: number, endedBefore: number): void {
    const now = this.#clock.now();
    if (this.#tokens === null) this.#tokens = new TokenBucket(rates, available, now);
    else this.#tokens.prime(rates, available, endedBefore, now);
  }

  #lease(tokens: TokenBucket, priority: Priority): TokenLease {
    tokens.begin();
    let over = false;
    const end = (cost: Cost): void => {
      assert(!over, 'a token is given back once');
      over = true;
      const now = this.#clock.now();
      tokens.end(cost !== 'free', now);
      if (cost === 'exhausted') tokens.exhausted(now);
    };
    return { priority, end };
  }
}
