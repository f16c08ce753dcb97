/**
 * How many tokens DICT's bucket holds at least, as far as this process can know. DICT does not say whether "10 a minute" comes
 * back evenly or all at once when a period ends, nor when its periods begin: a token is counted as back only when it is back
 * under every reading. With T consumed between s and t, both readings leave at least
 *
 *     capacity + floor((t - s) / period) * refill - T(s, t)        for the worst s since the bucket was last known,
 *
 * which is the minimum kept here. A simple counter that adds the refill at fixed times of its own is wrong under the second
 * reading: a refill that finds DICT's bucket full is lost there, yet would be added here.
 *
 * A token counts as used until its call has ended, since DICT takes it somewhere between. Time is cut into slots, and rounded
 * so that a token never comes back too early. Left out: waiting (token-queue.ts), other processes that use the same bucket
 * (what `prime` says includes them).
 */

import { assert } from '../platform/assert.ts';

export interface BucketRates {
  readonly capacity: number;
  readonly refillTokens: number;
  readonly refillPeriodMs: number;
}

const SLOTS_PER_PERIOD = 60;
/** Above this the oldest use is folded into what is known; each fold may cost one refill in at least a hundred. */
const SLOTS_MAX = 100 * SLOTS_PER_PERIOD;

interface Use {
  readonly slot: number;
  count: number;
}

/** One bucket of one participant, seen from our side. */
export class TokenBucket {
  #rates: BucketRates;
  /** Tokens that were there for sure at the end of `#knownSlot`, before everything in `#uses` and `#open`. */
  #known: number;
  #knownSlot: number;
  /** Calls that ended since, by the slot they ended in; ascending. */
  #uses: Use[] = [];
  #open = 0;
  #ended = 0;

  constructor(rates: BucketRates, available: number, now: Date) {
    checkRates(rates);
    this.#rates = rates;
    this.#known = Math.min(available, rates.capacity);
    this.#knownSlot = this.#slotAfter(now);
  }

  get rates(): BucketRates {
    return this.#rates;
  }

  /** Tokens that are there for sure. */
  available(now: Date): number {
    const slot = Math.floor(now.getTime() / this.#slotMs);
    const { capacity, refillTokens } = this.#rates;
    const periods = (since: number): number => Math.max(0, Math.floor((slot - since) / SLOTS_PER_PERIOD));
    let used = this.#open;
    let least = capacity - used;
    for (let at = this.#uses.length - 1; at >= 0; at -= 1) {
      const use = this.#uses[at];
      assert(use !== undefined, 'a use within bounds');
      used += use.count;
      // The worst start of a window lies just before this use.
      least = Math.min(least, capacity + periods(use.slot) * refillTokens - used);
    }
    return Math.min(least, this.#known + periods(this.#knownSlot) * refillTokens - used);
  }

  /** Uses one token, whether it is there or not; `end` must follow. */
  begin(now: Date): void {
    const last = this.#uses.at(-1);
    const idle = last !== undefined && this.#slotAfter(now) - last.slot > SLOTS_PER_PERIOD;
    if (this.#uses.length >= SLOTS_MAX || (idle && this.available(now) + this.#open === this.#rates.capacity)) this.#fold(now);
    this.#open += 1;
  }

  /** The call has ended; `charged` unless DICT took no token for it (an error 500, nothing sent). */
  end(charged: boolean, now: Date): void {
    assert(this.#open > 0, 'a token is given back that was not taken');
    this.#open -= 1;
    if (!charged) return;
    this.#ended += 1;
    const slot = this.#slotAfter(now);
    const last = this.#uses.at(-1);
    if (last !== undefined && last.slot >= slot) last.count += 1;
    else this.#uses.push({ slot, count: 1 });
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
    this.#known = Math.min(available, rates.capacity) - (this.#ended - endedBefore);
    this.#knownSlot = this.#slotAfter(now);
    this.#uses = [];
  }

  /** DICT refused for want of tokens: there is none now. */
  exhausted(now: Date): void {
    this.#known = 0;
    this.#knownSlot = this.#slotAfter(now);
    this.#uses = [];
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

  #fold(now: Date): void {
    this.#known = this.available(now) + this.#open;
    this.#knownSlot = this.#slotAfter(now);
    this.#uses = [];
  }
}

function checkRates(rates: BucketRates): void {
  assert(
    rates.capacity > 0 && rates.refillTokens > 0 && rates.refillPeriodMs > 0,
    `a token bucket that never fills: ${JSON.stringify(rates)}`,
  );
}
