/**
 * DICT's rate limits: one token bucket for each participant and policy. Numbers of the OpenAPI 2.6.1's table; the policies with
 * the end user as their scope (getEntry's USER_ANTISCAN) are left out, because nothing here reads entries for payers.
 */

import type { Clock } from '../platform/clock.ts';

export interface PolicyLimits {
  readonly capacity: number;
  readonly refillTokens: number;
  readonly refillPeriodSec: number;
}

const MINUTE_SEC = 60;
const DAY_SEC = 86_400;

function limits(refillTokens: number, refillPeriodSec: number, capacity: number): PolicyLimits {
  return { capacity, refillTokens, refillPeriodSec };
}

export const DEFAULT_POLICIES = {
  SYNC_VERIFICATIONS_WRITE: limits(10, MINUTE_SEC, 50),
  CIDS_FILES_WRITE: limits(40, DAY_SEC, 200),
  CIDS_FILES_READ: limits(10, MINUTE_SEC, 50),
  CIDS_EVENTS_LIST: limits(20, MINUTE_SEC, 100),
  CIDS_ENTRIES_READ: limits(1_200, MINUTE_SEC, 36_000),
  ENTRIES_WRITE: limits(1_200, MINUTE_SEC, 36_000),
  ENTRIES_UPDATE: limits(600, MINUTE_SEC, 600),
  // Category A of the participants' categories.
  ENTRIES_READ_PARTICIPANT_ANTISCAN: limits(25_000, MINUTE_SEC, 50_000),
  CLAIMS_WRITE: limits(1_200, MINUTE_SEC, 36_000),
  POLICIES_READ: limits(60, MINUTE_SEC, 200),
  POLICIES_LIST: limits(6, MINUTE_SEC, 20),
} satisfies Record<string, PolicyLimits>;

export type PolicyName = keyof typeof DEFAULT_POLICIES;

export interface BucketState extends PolicyLimits {
  readonly name: string;
  readonly availableTokens: number;
}

export interface TokenBuckets {
  /** Whether a token is there; takes nothing. */
  allows(participant: string, policy: PolicyName): boolean;
  /** Takes what an answer of that status costs; a bucket never goes below zero. */
  charge(participant: string, policy: PolicyName, status: number): void;
  state(participant: string, policy: string): BucketState | null;
  list(participant: string): BucketState[];
  /** Sets the tokens of a bucket, for tests that start with an empty one. */
  set(participant: string, policy: string, tokens: number): void;
}

interface Bucket {
  readonly limits: PolicyLimits;
  tokens: number;
  /** Up to when the refill has been counted. */
  filledMs: number;
}

export interface TokenBucketOptions {
  readonly clock: Clock;
  /** Null: no limits, every bucket is always full. */
  readonly policies: Readonly<Record<string, PolicyLimits>> | null;
  readonly refill: 'evenly' | 'at-period-end';
}

/** Counting rule of the contract: every answer but a 500 costs one; an entry that was not found costs three. */
function costOf(policy: PolicyName, status: number): number {
  if (status === 500) return 0;
  return policy === 'ENTRIES_READ_PARTICIPANT_ANTISCAN' && status === 404 ? 3 : 1;
}

/** Every bucket full; a bucket's first period starts with its first use. */
export function tokenBuckets(options: TokenBucketOptions): TokenBuckets {
  const buckets = new Map<string, Bucket>();
  const known: Readonly<Record<string, PolicyLimits>> = options.policies ?? DEFAULT_POLICIES;

  function bucketOf(participant: string, policy: string): Bucket | null {
    const policyLimits = known[policy];
    if (policyLimits === undefined) return null;
    const name = `${participant} ${policy}`;
    const nowMs = options.clock.now().getTime();
    const found = buckets.get(name) ?? { limits: policyLimits, tokens: policyLimits.capacity, filledMs: nowMs };
    buckets.set(name, found);
    refill(found, nowMs, options.refill);
    return found;
  }

  function stateOf(name: string, bucket: Bucket): BucketState {
    return { name, availableTokens: Math.floor(bucket.tokens), ...bucket.limits };
  }

  return {
    allows: (participant, policy) => options.policies === null || (bucketOf(participant, policy)?.tokens ?? 1) >= 1,
    charge: (participant, policy, status) => {
      if (options.policies === null) return;
      const bucket = bucketOf(participant, policy);
      if (bucket !== null) bucket.tokens = Math.max(0, bucket.tokens - costOf(policy, status));
    },
    state: (participant, policy) => {
      const bucket = bucketOf(participant, policy);
      return bucket === null ? null : stateOf(policy, bucket);
    },
    list: (participant) =>
      Object.keys(known).flatMap((name) => {
        const bucket = bucketOf(participant, name);
        return bucket === null ? [] : [stateOf(name, bucket)];
      }),
    set: (participant, policy, tokens) => {
      const bucket = bucketOf(participant, policy);
      if (bucket === null) throw new TypeError(`policy: "${policy}" is none of ${Object.keys(known).join(', ')}`);
      bucket.tokens = Math.min(bucket.limits.capacity, Math.max(0, tokens));
    },
  };
}

function refill(bucket: Bucket, nowMs: number, reading: TokenBucketOptions['refill']): void {
  const { capacity, refillTokens, refillPeriodSec } = bucket.limits;
  const periods = (nowMs - bucket.filledMs) / (refillPeriodSec * 1_000);
  if (periods <= 0) return;
  const counted = reading === 'evenly' ? periods : Math.floor(periods);
  bucket.tokens = Math.min(capacity, bucket.tokens + counted * refillTokens);
  bucket.filledMs += counted * refillPeriodSec * 1_000;
}
