/**
 * The token buckets of DICT, per participant and policy, on our side of the wire, so that ordinary work never meets a 429 (rule
 * R12). They start from what `/policies/` says on first use, else from the published numbers, and are asked about again while
 * anybody waits. Where they are kept, and so who shares them, is the store's matter (bucket-store.ts).
 */

import type { Policy } from '../dict/api.ts';
import type { Participant } from '../dict/participant.ts';
import type { Clock } from '../platform/clock.ts';
import type { BucketObserver, BucketObservers } from './bucket-observer.ts';
import {
  type BucketStore,
  BucketsUnreachable,
  type Cost,
  type GrantedPriming,
  type Priming,
  type Priority,
  type StatedBucket,
} from './bucket-store.ts';
import type { BucketRates } from './token-bucket.ts';
import { TokenQueue } from './token-queue.ts';

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
  /** Where the buckets are kept; default: in this process. */
  readonly store?: BucketStore;
  readonly observers?: BucketObservers;
}

export interface RateBudgetDeps {
  readonly clock: Clock;
  readonly store: BucketStore;
  /** GET /policies/, without a token of ours. */
  readonly listPolicies: (participant: Participant) => Promise<readonly Policy[]>;
}

/** While anybody waits, DICT is asked this often how many tokens there are: it may fill faster than the slowest reading. */
const REFRESH_MS = 30_000;
const WAIT_MAX_MS = 2 * MINUTE_MS;
const UNOBSERVED: BucketObserver = {};

interface Held {
  readonly queue: TokenQueue;
  readonly observer: BucketObserver;
}

interface Account {
  readonly participant: Participant;
  readonly held: Map<PolicyName, Held>;
  /** The first question, which everybody waits for. */
  primed: Promise<void> | null;
  /** A question that is under way. */
  asking: Promise<void> | null;
  /** When this process last tried to ask; null: never. */
  askedMs: number | null;
  /** The policies of DICT's last answer to this process; null: there was none. */
  stated: ReadonlySet<string> | null;
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

  /**
   * Waits for a token in fair order. Rejects with `NoTokens`, with `BucketsUnreachable` where the store could not be asked, or with
   * the signal's reason.
   */
  async acquire(participant: Participant, policy: PolicyName, priority: Priority, signal?: AbortSignal): Promise<Lease> {
    const account = this.#account(participant);
    if (this.#reads) {
      account.primed ??= this.#prime(account);
      await unlessAborted(account.primed, signal);
    }
    const { queue, observer } = this.#held(account, policy);
    const lease = await queue.acquire(priority, this.#options.waitMaxMs ?? WAIT_MAX_MS, signal);
    return {
      end: (status) => {
        if (status === 429) observer.onExhausted?.();
        lease.end(costOf(status));
      },
    };
  }

  close(): void {
    for (const { held } of this.#accounts.values()) for (const { queue } of held.values()) queue.close();
  }

  get #reads(): boolean {
    return this.#options.policies !== 'configured';
  }

  #account(participant: Participant): Account {
    const known = this.#accounts.get(participant);
    if (known !== undefined) return known;
    const account: Account = { participant, held: new Map(), primed: null, asking: null, askedMs: null, stated: null };
    this.#accounts.set(participant, account);
    return account;
  }

  #held(account: Account, policy: PolicyName): Held {
    const known = account.held.get(policy);
    if (known !== undefined) return known;
    const { participant } = account;
    const observer = this.#options.observers?.({ participant, policy }) ?? UNOBSERVED;
    const deps = {
      clock: this.#deps.clock,
      policy,
      observer,
      onStarved: () => this.#refresh(account),
      onUnknown: () => this.#settle(account, policy),
    };
    const held = { queue: new TokenQueue(deps, this.#deps.store.bucket(participant, policy)), observer };
    account.held.set(policy, held);
    return held;
  }

  /** Where DICT has been asked and said nothing of this bucket, a guess takes its place; else it is asked (again, after a loss). */
  async #settle(account: Account, policy: PolicyName): Promise<boolean> {
    const passedOver = account.stated !== null && !account.stated.has(policy);
    if (this.#reads && !passedOver && (await this.#begin(account)) !== 'recent') return false;
    await this.#assume(account, policy);
    return true;
  }

  async #assume({ participant }: Account, policy: PolicyName): Promise<void> {
    const rates = this.#options.rates?.[policy] ?? PUBLISHED_RATES[policy];
    // Where DICT did not say what there is, another process may just have used some: half is assumed.
    const available = this.#reads ? Math.ceil(rates.capacity / 2) : rates.capacity;
    await this.#deps.store.bucket(participant, policy).assume(rates, available);
  }

  #refresh(account: Account): void {
    if (!this.#reads || (account.askedMs !== null && this.#nowMs() - account.askedMs < REFRESH_MS)) return;
    // Whether it could be begun shows where tokens are taken.
    this.#begin(account).catch(() => undefined);
  }

  #nowMs(): number {
    return this.#deps.clock.now().getTime();
  }

  /** The first question. A store that cannot be asked shows in the calls themselves, which go on trying until their deadline. */
  async #prime(account: Account): Promise<void> {
    await this.#begin(account).catch((cause: unknown) => {
      if (!(cause instanceof BucketsUnreachable)) throw cause;
    });
    await account.asking;
  }

  /** Asks DICT what there is, unless somebody does or just did. Does not wait for the answer, which wakes all queues. */
  async #begin(account: Account): Promise<Priming['kind']> {
    if (account.asking !== null) return 'under-way';
    const { promise, resolve } = Promise.withResolvers<void>();
    account.asking = promise;
    const done = (): void => {
      account.asking = null;
      resolve();
    };
    account.askedMs = this.#nowMs();
    try {
      const priming = await this.#deps.store.beginPriming(account.participant, Object.keys(PUBLISHED_RATES), REFRESH_MS);
      if (priming.kind === 'granted') void this.#askDict(account, priming).finally(done);
      else done();
      return priming.kind;
    } catch (cause) {
      done();
      throw cause;
    }
  }

  async #askDict(account: Account, priming: GrantedPriming): Promise<void> {
    try {
      await priming.finish(await this.#statedByDict(account));
      for (const { queue } of account.held.values()) queue.wake();
    } catch {
      // The store cannot be asked, which shows where tokens are taken. Others may ask DICT after a while.
    }
  }

  /** Nothing where DICT does not say: why will show in the calls themselves, and until then the rates as configured hold. */
  async #statedByDict(account: Account): Promise<readonly StatedBucket[]> {
    const own = await this.#takeForPolicies(account);
    if (own === null) return [];
    try {
      const stated = statedBy(await this.#deps.listPolicies(account.participant));
      account.stated = new Set(stated.map(({ policy }) => policy));
      own.end('charged');
      return stated;
    } catch {
      own.end('free');
      return [];
    }
  }

  /** A token for the question itself, which does not wait for one. */
  async #takeForPolicies(account: Account) {
    const bucket = this.#deps.store.bucket(account.participant, 'POLICIES_LIST');
    const wanted = { person: 1, verification: 0, routine: 0 };
    let turn = await bucket.take(wanted);
    if (turn.kind === 'unknown') {
      await this.#assume(account, 'POLICIES_LIST');
      turn = await bucket.take(wanted);
    }
    return turn.kind === 'known' ? (turn.leases[0] ?? null) : null;
  }
}

function statedBy(policies: readonly Policy[]): readonly StatedBucket[] {
  return (
    policies
      .filter(({ name }) => isPolicyName(name))
      // The published example is all zeros; a bucket that never fills cannot be meant.
      .filter(({ capacity, refillTokens, refillPeriodSec }) => capacity > 0 && refillTokens > 0 && refillPeriodSec > 0)
      .map(({ name, capacity, refillTokens, refillPeriodSec, availableTokens }) => ({
        policy: name,
        rates: { capacity, refillTokens, refillPeriodMs: refillPeriodSec * 1000 },
        available: availableTokens,
      }))
  );
}

/** Every answer but a 500 costs a token. */
function costOf(status: number | null): Cost {
  if (status === null || status === 500) return 'free';
  return status === 429 ? 'exhausted' : 'charged';
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
