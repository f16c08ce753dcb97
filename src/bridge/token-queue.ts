/**
 * Who gets the next token of one bucket: people before verifications before routine, first come first served among equals. The
 * last tokens are kept back for those who may not wait (rule R12). Nobody waits for ever: at its deadline a call is given up.
 * Between replicas the bucket itself decides, since it alone knows of all of them (redis-bucket-scripts.ts).
 */

import { DictError } from '../dict/errors.ts';
import type { Clock } from '../platform/clock.ts';
import type { BucketObserver, Refusal } from './bucket-observer.ts';
import { type Bucket, BucketsUnreachable, type Counts, PRIORITIES, type Priority, type TokenLease } from './bucket-store.ts';

/** Callers that one turn asks for at most: it bounds what a turn costs, however many wait. */
const TURN_MAX = 256;
/** While the bucket cannot be asked, or nobody has said what there is, it is tried this often. */
const RETRY_MS = 250;

interface Waiter {
  readonly priority: Priority;
  readonly sinceMs: number;
  readonly deadlineMs: number;
  /** The turn that was under way, or had been the last, when it came: it has its chance in the next one. */
  readonly cameIn: number;
  readonly grant: (lease: TokenLease) => void;
  readonly refuse: (reason: unknown) => void;
}

export interface TokenQueueDeps {
  readonly clock: Clock;
  /** For error messages. */
  readonly policy: string;
  /** Called each time nobody can be served: the chance to ask DICT how many tokens there really are. */
  readonly onStarved: () => void;
  /** Nobody knows how many tokens there are. Resolves to whether it is worth trying again at once. */
  readonly onUnknown: () => Promise<boolean>;
  readonly observer: BucketObserver;
}

/** The callers that wait for one bucket of one participant. */
export class TokenQueue {
  readonly bucket: Bucket;
  readonly #deps: TokenQueueDeps;
  #waiters: Waiter[] = [];
  #running = false;
  #turns = 0;
  /** Something has happened that the turn under way does not know of. */
  #woken = false;
  #wake = new AbortController();
  /** Why the bucket could not be asked the last time; null: it was. */
  #unreachable: BucketsUnreachable | null = null;

  constructor(deps: TokenQueueDeps, bucket: Bucket) {
    this.#deps = deps;
    this.bucket = bucket;
  }

  /** Resolves to a token in use, whose caller owes `end`. Rejects with `NoTokens` after `waitMaxMs`. */
  async acquire(priority: Priority, waitMaxMs: number, signal?: AbortSignal): Promise<TokenLease> {
    signal?.throwIfAborted();
    const sinceMs = this.#deps.clock.now().getTime();
    const { promise, resolve, reject } = Promise.withResolvers<TokenLease>();
    const waiter: Waiter = {
      priority,
      sinceMs,
      deadlineMs: sinceMs + waitMaxMs,
      cameIn: this.#turns,
      grant: resolve,
      refuse: reject,
    };
    const onAbort = (): void => {
      this.#refuse([waiter], 'aborted', () => signal?.reason);
      this.wake();
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#waiters.push(waiter);
    if (this.#running) this.wake();
    else void this.#run();
    try {
      return await promise;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Looks again at once: tokens or their rates may have changed. */
  wake(): void {
    this.#woken = true;
    this.#wake.abort();
  }

  /** Everyone who waits is refused. */
  close(): void {
    this.#refuse(this.#waiters, 'closed', () => new DictError('Unreachable', 0, 'the DICT client is closed'));
    this.wake();
  }

  /** Runs while anybody waits; its bound are their deadlines. */
  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiters.length > 0) {
      this.#woken = false;
      try {
        await this.#turn();
      } catch (cause) {
        // No outage but a defect: whoever waits shall hear of it rather than wait.
        this.#refuse(this.#waiters, 'failed', () => cause);
      }
    }
    this.#running = false;
  }

  async #turn(): Promise<void> {
    // Who has had a turn and is late by now is refused even if a token has come free meanwhile: a deadline is one.
    this.#refuseLate();
    if (this.#waiters.length === 0) return;
    this.#turns += 1;
    const retryInMs = await this.#ask();
    if (retryInMs > 0) this.#refuseLate();
    this.#deps.observer.onWaiting?.(this.#counts());
    if (this.#waiters.length === 0 || retryInMs === 0) return;
    if (this.#unreachable === null) this.#deps.onStarved();
    await this.#rest(retryInMs);
  }

  /** Asks the bucket once for all who wait. Answers when to ask again, zero where doing so at once may serve more of them. */
  async #ask(): Promise<number> {
    const wanted = this.#wanted();
    try {
      const turn = await this.bucket.take(wanted);
      this.#unreachable = null;
      if (turn.kind === 'unknown') {
        if (!(await this.#deps.onUnknown())) return RETRY_MS;
        // Nobody could be served before the bucket was known: that was no turn, also for who will not wait at all.
        this.#turns -= 1;
        return 0;
      }
      for (const lease of turn.leases) this.#grant(lease);
      this.#deps.observer.onTokens?.({ available: turn.available, capacity: turn.capacity });
      const served = turn.leases.length === wanted.person + wanted.verification + wanted.routine;
      return served ? 0 : turn.retryInMs;
    } catch (cause) {
      if (!(cause instanceof BucketsUnreachable)) throw cause;
      this.#unreachable = cause;
      return RETRY_MS;
    }
  }

  #grant(lease: TokenLease): void {
    const waiter = this.#waiters.find(({ priority }) => priority === lease.priority);
    if (waiter === undefined) {
      // It gave up while the bucket was asked.
      lease.end('free');
      return;
    }
    this.#waiters = this.#waiters.filter((other) => other !== waiter);
    this.#deps.observer.onWait?.({ priority: waiter.priority, waitedMs: this.#waitedMs(waiter) });
    waiter.grant(lease);
  }

  #counts(): Counts {
    const counts = { person: 0, verification: 0, routine: 0 };
    for (const { priority } of this.#waiters) counts[priority] += 1;
    return counts;
  }

  #wanted(): Counts {
    const counts = this.#counts();
    let left = TURN_MAX;
    const wanted = { ...counts };
    for (const priority of PRIORITIES) {
      wanted[priority] = Math.min(counts[priority], left);
      left -= wanted[priority];
    }
    return wanted;
  }

  async #rest(retryInMs: number): Promise<void> {
    if (this.#woken) return;
    this.#wake = new AbortController();
    const nowMs = this.#deps.clock.now().getTime();
    const deadlines = this.#waiters.map((waiter) => waiter.deadlineMs - nowMs);
    const restMs = Math.max(1, Math.min(retryInMs, ...deadlines));
    // Being woken is the only way this sleep can fail.
    await this.#deps.clock.sleep(restMs, this.#wake.signal).catch(() => undefined);
  }

  #refuseLate(): void {
    const nowMs = this.#deps.clock.now().getTime();
    const late = this.#waiters.filter(({ deadlineMs, cameIn }) => deadlineMs <= nowMs && cameIn < this.#turns);
    const { policy } = this.#deps;
    const unreachable = this.#unreachable;
    if (unreachable === null) {
      const message = `${policy}: no token of DICT's rate limit came free in time`;
      this.#refuse(late, 'no-tokens', () => new DictError('NoTokens', 0, message));
    } else {
      const message = `${policy}: nothing was sent, because the token buckets could not be asked in time: ${unreachable.message}`;
      this.#refuse(late, 'unreachable', () => new DictError('BucketsUnreachable', 0, message, { cause: unreachable }));
    }
  }

  #refuse(refused: readonly Waiter[], why: Refusal, reason: () => unknown): void {
    const still = new Set(refused.filter((waiter) => this.#waiters.includes(waiter)));
    this.#waiters = this.#waiters.filter((waiter) => !still.has(waiter));
    for (const waiter of still) {
      this.#deps.observer.onRefused?.({ priority: waiter.priority, waitedMs: this.#waitedMs(waiter), why });
      waiter.refuse(reason());
    }
  }

  #waitedMs(waiter: Waiter): number {
    return this.#deps.clock.now().getTime() - waiter.sinceMs;
  }
}
