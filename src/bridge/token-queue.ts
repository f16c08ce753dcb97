/**
 * Who gets the next token of one bucket: people before verifications before routine, first come first served among equals. The
 * last tokens are kept back for those who may not wait (rule R12). Nobody waits for ever: at its deadline a call is given up.
 */

import type { CallOptions } from '../dict/api.ts';
import { DictError } from '../dict/errors.ts';
import type { Clock } from '../platform/clock.ts';
import type { TokenBucket } from './token-bucket.ts';

export type Priority = NonNullable<CallOptions['priority']>;

/** Share of a bucket's capacity that calls of a priority leave untouched for those before them. */
const RESERVED_SHARE: Readonly<Record<Priority, number>> = { person: 0, verification: 0.1, routine: 0.2 };

const order: readonly Priority[] = ['person', 'verification', 'routine'];

interface Waiter {
  readonly priority: Priority;
  readonly deadlineMs: number;
  readonly grant: () => void;
  readonly refuse: (reason: unknown) => void;
}

export interface TokenQueueDeps {
  readonly clock: Clock;
  /** For error messages. */
  readonly policy: string;
  /** Called each time nobody can be served: the chance to ask DICT how many tokens there really are. */
  readonly onStarved: () => void;
}

/** The callers that wait for one bucket of one participant. */
export class TokenQueue {
  readonly bucket: TokenBucket;
  readonly #deps: TokenQueueDeps;
  #waiters: Waiter[] = [];
  #running = false;
  #wake = new AbortController();

  constructor(deps: TokenQueueDeps, bucket: TokenBucket) {
    this.#deps = deps;
    this.bucket = bucket;
  }

  /** Resolves when a token is used for this caller, who owes `bucket.end`. Rejects with `NoTokens` after `waitMaxMs`. */
  async acquire(priority: Priority, waitMaxMs: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const now = this.#deps.clock.now();
    const before = this.#waiters.some((waiter) => order.indexOf(waiter.priority) <= order.indexOf(priority));
    if (!before && this.#serves(priority, now)) {
      this.bucket.begin(now);
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { priority, deadlineMs: now.getTime() + waitMaxMs, grant: resolve, refuse: reject };
    const onAbort = (): void => {
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
      reject(signal?.reason);
      this.wake();
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#waiters.push(waiter);
    if (this.#running) this.wake();
    else void this.#run();
    try {
      await promise;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Looks again at once: tokens or their rates may have changed. */
  wake(): void {
    this.#wake.abort();
  }

  /** Everyone who waits is refused. */
  close(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.refuse(new DictError('Unreachable', 0, 'the DICT client is closed'));
    this.wake();
  }

  #serves(priority: Priority, now: Date): boolean {
    const reserved = Math.floor(this.bucket.rates.capacity * RESERVED_SHARE[priority]);
    return this.bucket.available(now) >= reserved + 1;
  }

  #next(): Waiter | undefined {
    for (const priority of order) {
      const first = this.#waiters.find((waiter) => waiter.priority === priority);
      if (first !== undefined) return first;
    }
    return undefined;
  }

  /** Runs while anybody waits; its bound are their deadlines. */
  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiters.length > 0) {
      const now = this.#deps.clock.now();
      this.#refuseLate(now);
      const next = this.#next();
      if (next === undefined) break;
      if (this.#serves(next.priority, now)) {
        this.bucket.begin(now);
        this.#waiters = this.#waiters.filter((other) => other !== next);
        next.grant();
        continue;
      }
      this.#deps.onStarved();
      await this.#rest(now);
    }
    this.#running = false;
  }

  async #rest(now: Date): Promise<void> {
    this.#wake = new AbortController();
    const deadlines = this.#waiters.map((waiter) => waiter.deadlineMs - now.getTime());
    const restMs = Math.max(1, Math.min(this.bucket.msToNextChange(now), ...deadlines));
    // Being woken is the only way this sleep can fail.
    await this.#deps.clock.sleep(restMs, this.#wake.signal).catch(() => undefined);
  }

  #refuseLate(now: Date): void {
    for (const waiter of this.#waiters.filter((candidate) => candidate.deadlineMs <= now.getTime())) {
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
      waiter.refuse(new DictError('NoTokens', 0, `${this.#deps.policy}: no token of DICT's rate limit came free in time`));
    }
  }
}
