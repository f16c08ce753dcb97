/**
 * How many tokens DICT's bucket holds at least, as far as can be known from our side. DICT does not say whether "10 a minute"
 * comes back evenly or all at once when a period ends, nor when its periods begin: a token is counted as back only when it is
 * back under every reading. With T consumed between s and t, both readings leave at least
 *
 *     capacity + floor((t - s) / period) * refill - T(s, t)        for the worst s since the bucket was last known.
 *
 * That minimum is kept as one plain bucket for each moment at which DICT's periods may begin: the period is cut into 60 slots,
 * bucket p refills all at once at each slot that is p modulo 60, and what is there for sure is the least of the 60. (A list of all
 * uses says the same, but grows with them and has to be read from end to end for each decision.) A simple counter that adds the
 * refill at fixed times of its own is wrong: a refill that finds DICT's bucket full is lost there, yet would be added here.
 *
 * A token counts as used until its call has ended, since DICT takes it somewhere between. Times are rounded so that a token
 * never comes back too early. redis-bucket-scripts.ts says the same in Lua, and a test holds both together. Left out: waiting
 * (token-queue.ts).
 */

import { assert } from '../platform/assert.ts';

export interface BucketRates {
  readonly capacity: number;
  readonly refillTokens: number;
  readonly refillPeriodMs: number;
}

/** Moments of a period at which DICT may refill. */
export const SLOTS_PER_PERIOD = 60;

/** One bucket of one participant, seen from our side. */
export class TokenBucket {
  #rates: BucketRates;
  /** By the slot of the period that each is refilled at; as of `#slot`, calls under way not counted. */
  readonly #tokens: number[] = Array.from({ length: SLOTS_PER_PERIOD }, () => 0);
  #slot = 0;
  /** Tokens of calls that ended within the slot that is not over: they belong to the next one. */
  #late = 0;
  #open = 0;
  #ended = 0;

  constructor(rates: BucketRates, available: number, now: Date) {
    checkRates(rates);
    this.#rates = rates;
    this.#know(Math.min(available, rates.capacity), now);
  }

  get rates(): BucketRates {
    return this.#rates;
  }

  /** Tokens that are there for sure. */
  available(now: Date): number {
    this.#advance(now);
    return Math.min(...this.#tokens) - this.#late - this.#open;
  }

  /** Uses one token, whether it is there or not; `end` must follow. */
  begin(): void {
    this.#open += 1;
  }

  /** The call has ended; `charged` unless DICT took no token for it (an error 500, nothing sent). */
  end(charged: boolean, now: Date): void {
    assert(this.#open > 0, 'a token is given back that was not taken');
    this.#open -= 1;
    if (!charged) return;
    this.#ended += 1;
    this.#advance(now);
    if (this.#slotAfter(now) > this.#slot) this.#late += 1;
    else this.#takeFromAll(1);
  }

  /** Calls that ended so far and were charged: to be noted before DICT is asked how many tokens there are, for `prime`. */
  get ended(): number {
    return this.#ended;
  }

  /**
   * DICT said how many tokens there are. What ended since `endedBefore` was noted may or may not be in its answer, so it is
   * counted once more.
   */
  prime(rates: BucketRates, available: number, endedBefore: number, now: Date): void {
    checkRates(rates);
    this.#rates = rates;
    this.#know(Math.min(available, rates.capacity) - (this.#ended - endedBefore), now);
  }

  /** DICT refused for want of tokens: there is none now. */
  exhausted(now: Date): void {
    this.#know(0, now);
  }

  /** Milliseconds until `available` can change by time alone. */
  msToNextChange(now: Date): number {
    return this.#slotMs - (now.getTime() % this.#slotMs);
  }

  get #slotMs(): number {
    return this.#rates.refillPeriodMs / SLOTS_PER_PERIOD;
  }

  /** The slot at whose beginning the present is over. */
  #slotAfter(now: Date): number {
    return Math.ceil(now.getTime() / this.#slotMs);
  }

  #know(tokens: number, now: Date): void {
    this.#tokens.fill(tokens);
    this.#slot = this.#slotAfter(now);
    this.#late = 0;
  }

  #advance(now: Date): void {
    const slot = Math.floor(now.getTime() / this.#slotMs);
    if (slot <= this.#slot) return;
    // A refill that is due at the same moment as a use comes first: some of it is lost if the bucket is full.
    this.#refill(this.#slot + 1);
    this.#takeFromAll(this.#late);
    this.#late = 0;
    this.#refill(slot);
  }

  /** All refills up to and with that slot, which is not before the present one. */
  #refill(slot: number): void {
    const { capacity, refillTokens } = this.#rates;
    for (const [phase, tokens] of this.#tokens.entries()) {
      const times = Math.floor((slot - phase) / SLOTS_PER_PERIOD) - Math.floor((this.#slot - phase) / SLOTS_PER_PERIOD);
      this.#tokens[phase] = Math.min(capacity, tokens + times * refillTokens);
    }
    this.#slot = slot;
  }

  #takeFromAll(count: number): void {
    for (const [phase, tokens] of this.#tokens.entries()) this.#tokens[phase] = tokens - count;
  }
}

/** Throws where a bucket of these rates would never fill. */
export function checkRates(rates: BucketRates): void {
  assert(
    rates.capacity > 0 && rates.refillTokens > 0 && rates.refillPeriodMs > 0,
    `a token bucket that never fills: ${JSON.stringify(rates)}`,
  );
}
