/**
 * Where the token buckets of DICT are kept: in this process (local-buckets.ts), or in Redis for all replicas (redis-buckets.ts).
 * Types only. Who gets a token when there are too few for all is decided in token-queue.ts, what DICT says about its buckets is
 * fetched by rate-budget.ts.
 */

import type { CallOptions } from '../dict/api.ts';
import type { Participant } from '../dict/participant.ts';
import type { BucketRates } from './token-bucket.ts';

export type Priority = NonNullable<CallOptions['priority']>;

/** Who goes first. */
export const PRIORITIES: readonly Priority[] = ['person', 'verification', 'routine'];

/** Share of a bucket's capacity that calls of a priority leave untouched for those before them. */
export const RESERVED_SHARE: Readonly<Record<Priority, number>> = { person: 0, verification: 0.1, routine: 0.2 };

/** Calls by their priority. */
export type Counts = Readonly<Record<Priority, number>>;

/** What a call cost: `exhausted` when DICT refused it for want of tokens, `free` when nothing was sent or DICT failed by itself. */
export type Cost = 'charged' | 'free' | 'exhausted';

/** A token in use, until `end`. */
export interface TokenLease {
  readonly priority: Priority;
  end(cost: Cost): void;
}

export type Turn =
  | {
      readonly kind: 'known';
      /** Tokens for the first callers of each priority: all that were asked for, or those that there were. */
      readonly leases: readonly TokenLease[];
      /** Tokens that are there for sure after that, those kept back for others included. */
      readonly available: number;
      readonly capacity: number;
      /** When it is worth asking again, in milliseconds of the product's clock. */
      readonly retryInMs: number;
    }
  /** Nobody has said yet how many tokens there are, or what was said is lost. */
  | { readonly kind: 'unknown' };

/** One bucket of one participant. */
export interface Bucket {
  /**
   * Takes a token for each of so many callers, as far as there are any. A caller left without is expected to ask again.
   *
   * @throws BucketsUnreachable
   */
  take(wanted: Counts): Promise<Turn>;
  /** States what there is, where nobody has. @throws BucketsUnreachable */
  assume(rates: BucketRates, available: number): Promise<void>;
}

/** What DICT said about one bucket. */
export interface StatedBucket {
  readonly policy: string;
  readonly rates: BucketRates;
  readonly available: number;
}

/** The right to ask DICT what there is. */
export interface GrantedPriming {
  readonly kind: 'granted';
  /** To be called in any case: with what DICT said, nothing when it did not. @throws BucketsUnreachable */
  finish(stated: readonly StatedBucket[]): Promise<void>;
}

/** `recent`: DICT was asked within the time given. `under-way`: another replica asks. */
export type Priming = GrantedPriming | { readonly kind: 'recent' } | { readonly kind: 'under-way' };

/** All buckets. */
export interface BucketStore {
  bucket(participant: Participant, policy: string): Bucket;
  /**
   * The right to ask DICT about all buckets of a participant. What has been used by then is noted, because DICT's answer need not
   * include what is used meanwhile.
   *
   * @throws BucketsUnreachable
   */
  beginPriming(participant: Participant, policies: readonly string[], recentMs: number): Promise<Priming>;
  /** Gives back what is not in use. */
  close(): Promise<void>;
}

/** The store cannot be asked: nobody knows whether there are tokens, so there are none. */
export class BucketsUnreachable extends Error {
  override readonly name = 'BucketsUnreachable';
}
