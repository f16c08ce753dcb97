/** What somebody who counts (metrics, a test) may learn of the token buckets, without having a part in them. */

import type { Participant } from '../dict/participant.ts';
import type { Counts, Priority } from './bucket-store.ts';

/**
 * Why a call got no token: none came free in time, the store of the buckets could not be asked in time, its caller gave up, the
 * client was closed, or a defect.
 */
export type Refusal = 'no-tokens' | 'unreachable' | 'aborted' | 'closed' | 'failed';

/** Functions that are called as things happen; they must not throw. Times are of the product's clock. */
export interface BucketObserver {
  /** A call got its token, after that long. */
  readonly onWait?: (event: { readonly priority: Priority; readonly waitedMs: number }) => void;
  /** A call was given up without one. Nothing was sent. */
  readonly onRefused?: (event: { readonly priority: Priority; readonly waitedMs: number; readonly why: Refusal }) => void;
  /** Calls that wait in this process. */
  readonly onWaiting?: (waiting: Counts) => void;
  /** Tokens that are there for sure, those kept back included. */
  readonly onTokens?: (event: { readonly available: number; readonly capacity: number }) => void;
  /** DICT refused a call for want of tokens, which ordinary work never meets (rule R12). */
  readonly onExhausted?: () => void;
}

/** An observer for each bucket: called once for each, when it is first used. */
export type BucketObservers = (bucket: { readonly participant: Participant; readonly policy: string }) => BucketObserver;
