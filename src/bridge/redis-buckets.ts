/**
 * Token buckets that all replicas share, in Redis. Each decision is one script there (redis-bucket-scripts.ts); here is what one
 * replica has to remember: the tokens it has in use, and what it still has to tell. While Redis cannot be asked there are no tokens:
 * calls wait, they never go out unthrottled. Redis may forget everything at any time: the buckets are then stated anew from what DICT
 * says, calls under way are told to the new ones. A replica that is killed leaves tokens in use behind; they are counted as used once
 * its calls must have ended.
 */

import type { Participant } from '../dict/participant.ts';
import { assert } from '../platform/assert.ts';
import { type RedisConnection, type RedisScript, RedisUnavailable } from '../platform/redis/connection.ts';
import {
  type Bucket,
  type BucketStore,
  BucketsUnreachable,
  type Cost,
  type Counts,
  PRIORITIES,
  type Priming,
  type StatedBucket,
  type TokenLease,
  type Turn,
} from './bucket-store.ts';
import { BUCKET_SCRIPTS } from './redis-bucket-scripts.ts';
import { type BucketRates, checkRates } from './token-bucket.ts';

export interface RedisBucketsOptions {
  readonly redis: RedisConnection;
  /** Before the names of all keys, such as `dict-vsync:`. */
  readonly keyPrefix: string;
  /** A name that no other process has, nor one before. */
  readonly replica: string;
  /** How many times as fast as the server's clock the product's runs, the same for all replicas. */
  readonly timeScale: number;
  /** By then the call that a token was taken for has ended, in real milliseconds. */
  readonly leaseMs: number;
  /** In place of the server's clock, for histories that a test plays. */
  readonly nowMs?: () => number;
}

/** Real milliseconds between two questions of a replica that waits: others may give tokens back at any time. */
const POLL_MIN_MS = 5;
const POLL_MAX_MS = 1_000;
/** A replica that waits and is not heard of for so long has lost its place in line. */
const PLACE_MS = 3 * POLL_MAX_MS;
/** While one replica asks DICT what there is, the others leave it to it for so long. */
const ASKING_MS = 5_000;
/** Calls that ended are told in batches of at most so many. */
const BATCH = 500;
/** Tokens that a lost question may have taken are given back, but remembered only up to this many: they lapse by themselves. */
const DOUBTFUL_MAX = 4_096;
const TELL_AGAIN_MS = 500;

/** Opens nothing and closes nothing of the connection. */
export function redisBuckets(options: RedisBucketsOptions): BucketStore {
  const buckets = new Map<string, RedisBucket>();
  const scripts = scriptsOn(options);
  const bucket = (participant: Participant, policy: string): RedisBucket => {
    const name = accountKey(options, participant, policy);
    const found = buckets.get(name) ?? new RedisBucket(options, scripts, participant, policy);
    buckets.set(name, found);
    return found;
  };
  return {
    bucket,
    beginPriming: (participant, policies, recentMs) => beginPriming(options, scripts, participant, policies, recentMs),
    close: async () => {
      await Promise.all(Array.from(buckets.values(), (each) => each.close()));
    },
  };
}

/** Runs a script with the two parameters that all begin with; an outage gets the store's own name. */
type Scripts = (script: RedisScript, keys: readonly string[], parameters: readonly (string | number)[]) => Promise<unknown>;

function scriptsOn({ redis, timeScale, nowMs }: RedisBucketsOptions): Scripts {
  return async (script, keys, parameters) => {
    const all = [timeScale, nowMs === undefined ? '' : nowMs(), ...parameters].map(String);
    try {
      return await redis.run(script, keys, all);
    } catch (cause) {
      if (!(cause instanceof RedisUnavailable)) throw cause;
      throw new BucketsUnreachable(cause.message, { cause });
    }
  };
}

/** Keys of one participant stand in one hash slot, which is what the braces say. */
function accountKey({ keyPrefix }: RedisBucketsOptions, participant: Participant, ...parts: readonly string[]): string {
  return `${keyPrefix}{${participant}}:${parts.join(':')}`;
}

async function beginPriming(
  options: RedisBucketsOptions,
  scripts: Scripts,
  participant: Participant,
  policies: readonly string[],
  recentMs: number,
): Promise<Priming> {
  const own = accountKey(options, participant, 'policies');
  const bucketKeys = policies.map((policy) => accountKey(options, participant, 'bucket', policy));
  const noted = await scripts(BUCKET_SCRIPTS.beginPriming, [own, ...bucketKeys], [options.replica, recentMs, ASKING_MS]);
  if (noted === 'recent' || noted === 'under-way') return { kind: noted };
  assert(Array.isArray(noted), 'two values noted for each bucket');
  const before = new Map(policies.map((policy, at) => [policy, [String(noted[2 * at]), Number(noted[2 * at + 1])] as const]));
  const finish = async (stated: readonly StatedBucket[]): Promise<void> => {
    const keys = [own];
    const parameters: (string | number)[] = [options.replica];
    for (const { policy, rates, available } of stated) {
      const [born, ended] = before.get(policy) ?? ['', 0];
      keys.push(accountKey(options, participant, 'bucket', policy), accountKey(options, participant, 'leases', policy));
      parameters.push(rates.capacity, rates.refillTokens, rates.refillPeriodMs, available, born, ended);
    }
    await scripts(BUCKET_SCRIPTS.finishPriming, keys, parameters);
  };
  return { kind: 'granted', finish };
}

interface EndedCall {
  readonly lease: string;
  /** When the bucket was made that the token was taken from; '' where that is not known. */
  readonly born: string;
  readonly cost: Cost;
}

class RedisBucket implements Bucket {
  readonly #options: RedisBucketsOptions;
  readonly #scripts: Scripts;
  readonly #bucketKey: string;
  readonly #leasesKey: string;
  readonly #waitingKey: string;
  /** Tokens in use here. */
  readonly #open = new Set<string>();
  #born: string | null = null;
  #leasesGiven = 0;
  #untold: EndedCall[] = [];
  #telling: Promise<void> | null = null;
  #again: NodeJS.Timeout | null = null;

  constructor(options: RedisBucketsOptions, scripts: Scripts, participant: Participant, policy: string) {
    this.#options = options;
    this.#scripts = scripts;
    this.#bucketKey = accountKey(options, participant, 'bucket', policy);
    this.#leasesKey = accountKey(options, participant, 'leases', policy);
    this.#waitingKey = accountKey(options, participant, 'waiting', policy);
  }

  async take(wanted: Counts): Promise<Turn> {
    const { replica, leaseMs, timeScale } = this.#options;
    const callers = PRIORITIES.map((priority) => wanted[priority]);
    const first = this.#leasesGiven;
    this.#leasesGiven += callers.reduce((sum, count) => sum + count, 0);
    // Questions may overlap: what comes after this one belongs to another.
    const beyond = this.#leasesGiven;
    let answer: unknown;
    try {
      const keys = [this.#bucketKey, this.#leasesKey, this.#waitingKey];
      answer = await this.#scripts(BUCKET_SCRIPTS.take, keys, [replica, first, leaseMs, PLACE_MS, ...callers]);
    } catch (cause) {
      this.#doubt({ first, beyond }, cause);
      throw cause;
    }
    assert(Array.isArray(answer), 'what there is of a bucket, or nothing');
    if (answer.length === 0) return { kind: 'unknown' };
    const born = String(answer[0]);
    const [available, capacity, changeInMs, ...taken] = answer.slice(1).map(Number);
    assert(available !== undefined && capacity !== undefined && changeInMs !== undefined, 'numbers of a bucket');
    await this.#meet(born);
    const leases = PRIORITIES.flatMap((priority, at) => Array.from({ length: taken[at] ?? 0 }, () => priority)).map(
      (priority, at): TokenLease => this.#lease(priority, `${replica}:${first + at}`, born),
    );
    const retryInMs = Math.min(Math.max(changeInMs, POLL_MIN_MS * timeScale), POLL_MAX_MS * timeScale);
    return { kind: 'known', leases, available, capacity, retryInMs };
  }

  async assume(rates: BucketRates, available: number): Promise<void> {
    checkRates(rates);
    const { capacity, refillTokens, refillPeriodMs } = rates;
    await this.#scripts(BUCKET_SCRIPTS.assume, [this.#bucketKey], [capacity, refillTokens, refillPeriodMs, available]);
  }

  /** Tells what is left to tell and leaves the line. Where Redis cannot be asked, both lapse by themselves. */
  async close(): Promise<void> {
    await this.#tell();
    const leaving = this.#options.redis.run(BUCKET_SCRIPTS.leave, [this.#waitingKey], [this.#options.replica]);
    await leaving.catch(() => undefined);
    if (this.#again !== null) clearTimeout(this.#again);
  }

  /** Calls that began before this bucket was made anew are under way still: it is told, before more are granted by us. */
  async #meet(born: string): Promise<void> {
    const anew = this.#born !== null && this.#born !== born && this.#open.size > 0;
    this.#born = born;
    if (!anew) return;
    const told = this.#scripts(BUCKET_SCRIPTS.hold, [this.#leasesKey], [this.#options.leaseMs, ...this.#open]);
    // Untold, they count when they end.
    await told.catch(() => undefined);
  }

  #lease(priority: TokenLease['priority'], lease: string, born: string): TokenLease {
    this.#open.add(lease);
    const end = (cost: Cost): void => {
      assert(this.#open.delete(lease), 'a token is given back once');
      this.#untold.push({ lease, born, cost });
      void this.#tell();
    };
    return { priority, end };
  }

  /** A question that went out and got no answer may have taken tokens. */
  #doubt({ first, beyond }: { readonly first: number; readonly beyond: number }, cause: unknown): void {
    const sent = cause instanceof BucketsUnreachable && cause.cause instanceof RedisUnavailable && cause.cause.sent;
    if (!sent || this.#untold.length >= DOUBTFUL_MAX) return;
    for (let number = first; number < beyond; number += 1) {
      this.#untold.push({ lease: `${this.#options.replica}:${number}`, born: '', cost: 'free' });
    }
  }

  #tell(): Promise<void> {
    this.#telling ??= this.#tellAll().finally(() => {
      this.#telling = null;
      // What has ended since the last look: whoever ended it was given the telling that was over already.
      if (this.#untold.length > 0 && this.#again === null) void this.#tell();
    });
    return this.#telling;
  }

  async #tellAll(): Promise<void> {
    while (this.#untold.length > 0) {
      const batch = this.#untold.slice(0, BATCH);
      const parameters = batch.flatMap(({ lease, born, cost }) => [lease, born, cost]);
      try {
        await this.#scripts(BUCKET_SCRIPTS.end, [this.#bucketKey, this.#leasesKey], parameters);
      } catch {
        // What is wrong shows where tokens are taken. Told twice, a lease counts once. The timer keeps no process alive.
        this.#again ??= setTimeout(() => {
          this.#again = null;
          void this.#tell();
        }, TELL_AGAIN_MS).unref();
        return;
      }
      this.#untold = this.#untold.slice(batch.length);
    }
  }
}
