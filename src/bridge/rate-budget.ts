/**
 * The token buckets of DICT, per participant and policy, on our side of the wire, so that ordinary work never meets a 429 (rule
 * R12). They start from what `/policies/` says on first use, else from the published numbers, and are asked about again while
 * anybody waits. In process only: replicas that share buckets come with the bridge's own process.
 */

import type { Policy } from '../dict/api.ts';
import type { Participant } from '../dict/participant.ts';
import type { Clock } from '../platform/clock.ts';
import { type BucketRates, TokenBucket } from './token-bucket.ts';
import { type Priority, TokenQueue } from './token-queue.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const perMinute = (refillTokens: number, capacity: number): BucketRates => ({
  capacity,
  refillTokens,
  refillPeriodMs: MINUTE_MS,
});

/** "Limitação de requisições" of API 2.6.1: one token for every answer but a 500. Policies that are not here are not limited by us. */
export const PUBLISHED_RATES = {
  SYNC_VERIFICATIONS_WRITE: perMinute(10, 50),
  CIDS_FILES_WRITE: { capacity: 200, refillTokens: 40, refillPeriodMs: DAY_MS },
  CIDS_FILES_READ: perMinute(10, 50),
  CIDS_EVENTS_LIST: perMinute(20, 100),
  CIDS_ENTRIES_READ: perMinute(1200, 36_000),
  ENTRIES_WRITE: perMinute(1200, 36_000),
  ENTRIES_UPDATE: perMinute(600, 600),
  CLAIMS_WRITE: perMinute(1200, 36_000),
  POLICIES_READ: perMinute(60, 200),
  POLICIES_LIST: perMinute(6, 20),
} as const satisfies Readonly<Record<string, BucketRates>>;

export type PolicyName = keyof typeof PUBLISHED_RATES;

export interface RateBudgetOptions {
  /** Rates that differ from the published ones, until `/policies/` says otherwise. */
  readonly rates?: Partial<Readonly<Record<PolicyName, BucketRates>>>;
  /** `read` (default): ask `/policies/`; `configured`: believe the rates, and that every bucket is full at first. */
  readonly policies?: 'read' | 'configured';
  /** A call that waited this long for a token is given up as `NoTokens`. Default 2 minutes. */
  readonly waitMaxMs?: number;
}

export interface RateBudgetDeps {
  readonly clock: Clock;
  /** GET /policies/, without a token of ours. */
  readonly listPolicies: (participant: Participant) => Promise<readonly Policy[]>;
}

/** While anybody waits, DICT is asked this often how many tokens there are: it may fill faster than the slowest reading. */
const REFRESH_MS = 30_000;
const WAIT_MAX_MS = 2 * MINUTE_MS;

interface Account {
  readonly queues: Map<PolicyName, TokenQueue>;
  primed: Promise<void> | null;
  primedAtMs: number;
}

/** A token in use. */
export interface Lease {
  /** The call has ended with this HTTP status; null when nothing was sent. */
  end(status: number | null): void;
}

/** All buckets of all participants that this process speaks for. */
export class RateBudget {
  readonly #deps: RateBudgetDeps;
  readonly #options: RateBudgetOptions;
  readonly #accounts = new Map<Participant, Account>();

  constructor(deps: RateBudgetDeps, options: RateBudgetOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Waits for a token in fair order. Rejects with `NoTokens`, or with the signal's reason. */
  async acquire(participant: Participant, policy: PolicyName, priority: Priority, signal?: AbortSignal): Promise<Lease> {
    const account = this.#account(participant);
    if (account.primed === null && this.#options.policies !== 'configured') account.primed = this.#prime(participant, account);
    if (account.primed !== null) await unlessAborted(account.primed, signal);
    const queue = this.#queue(participant, account, policy);
    await queue.acquire(priority, this.#options.waitMaxMs ?? WAIT_MAX_MS, signal);
    return {
      end: (status) => {
        const now = this.#deps.clock.now();
        queue.bucket.end(status !== null && status !== 500, now);
        if (status === 429) queue.bucket.exhausted(now);
      },
    };
  }

  close(): void {
    for (const { queues } of this.#accounts.values()) for (const queue of queues.values()) queue.close();
  }

  #account(participant: Participant): Account {
    const known = this.#accounts.get(participant);
    if (known !== undefined) return known;
    const account: Account = { queues: new Map(), primed: null, primedAtMs: 0 };
    this.#accounts.set(participant, account);
    return account;
  }

  #queue(participant: Participant, account: Account, policy: PolicyName): TokenQueue {
    const known = account.queues.get(policy);
    if (known !== undefined) return known;
    const { clock } = this.#deps;
    const rates = this.#options.rates?.[policy] ?? PUBLISHED_RATES[policy];
    // Where DICT did not say what there is, another process may just have used some: half is assumed.
    const available = this.#options.policies === 'configured' ? rates.capacity : Math.ceil(rates.capacity / 2);
    const onStarved = (): void => this.#refresh(participant, account);
    const queue = new TokenQueue({ clock, policy, onStarved }, new TokenBucket(rates, available, clock.now()));
    account.queues.set(policy, queue);
    return queue;
  }

  #refresh(participant: Participant, account: Account): void {
    if (this.#options.policies === 'configured') return;
    if (this.#deps.clock.now().getTime() - account.primedAtMs < REFRESH_MS) return;
    void this.#prime(participant, account);
  }

  async #prime(participant: Participant, account: Account): Promise<void> {
    account.primedAtMs = this.#deps.clock.now().getTime();
    const own = this.#queue(participant, account, 'POLICIES_LIST').bucket;
    if (own.available(this.#deps.clock.now()) < 1) return;
    own.begin(this.#deps.clock.now());
    let charged = true;
    const endedBefore = new Map([...account.queues].map(([policy, queue]) => [policy, queue.bucket.ended]));
    try {
      const policies = await this.#deps.listPolicies(participant);
      for (const policy of policies) this.#learn(participant, account, policy, endedBefore);
    } catch {
      // Whatever keeps DICT from saying it will show in the call itself; until then the rates as configured hold.
      charged = false;
    } finally {
      own.end(charged, this.#deps.clock.now());
    }
  }

  #learn(participant: Participant, account: Account, policy: Policy, endedBefore: ReadonlyMap<PolicyName, number>): void {
    if (!isPolicyName(policy.name)) return;
    // The published example is all zeros; a bucket that never fills cannot be meant.
    if (policy.capacity <= 0 || policy.refillTokens <= 0 || policy.refillPeriodSec <= 0) return;
    const queue = this.#queue(participant, account, policy.name);
    const rates = {
      capacity: policy.capacity,
      refillTokens: policy.refillTokens,
      refillPeriodMs: policy.refillPeriodSec * 1000,
    };
    queue.bucket.prime(rates, policy.availableTokens, endedBefore.get(policy.name) ?? 0, this.#deps.clock.now());
    queue.wake();
  }
}

function isPolicyName(name: string): name is PolicyName {
  return Object.hasOwn(PUBLISHED_RATES, name);
}

async function unlessAborted(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return promise;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
