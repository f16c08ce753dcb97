/**
 * Whether a failed try is followed by another, and after how long: the one place where the bridge decides it, for calls and for
 * downloads. Longer patience is the flow's: it survives a restart, this does not.
 */

import type { DictError } from '../dict/errors.ts';

export interface RetryPolicy {
  /** Tries in all, the first included. */
  readonly triesMax: number;
  readonly firstWaitMs: number;
  readonly factor: number;
  readonly waitMaxMs: number;
  /** A longer `Retry-After` is not sat out here: the error says it to whoever asked. */
  readonly retryAfterMaxMs: number;
}

export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  triesMax: 3,
  firstWaitMs: 250,
  factor: 2,
  waitMaxMs: 5_000,
  retryAfterMaxMs: 10_000,
};

/** The first three have waited as long as they may; a file that has changed has to be begun anew by whoever keeps its beginning. */
const nothingToWaitFor: ReadonlySet<string> = new Set(['NoTokens', 'BucketsUnreachable', 'BulkheadFull', 'FileChanged']);

/**
 * Milliseconds until the next try after `tries` of them, or null when there shall be none. Jittered exponential backoff; `random` gives
 * 0 up to but not 1.
 */
export function waitBefore(policy: RetryPolicy, random: () => number, error: DictError, tries: number): number | null {
  if (tries >= policy.triesMax || error.remedy !== 'retry' || nothingToWaitFor.has(error.kind)) return null;
  const asked = (error.retryAfterSec ?? 0) * 1000;
  if (asked > policy.retryAfterMaxMs) return null;
  const wait = Math.min(policy.firstWaitMs * policy.factor ** (tries - 1), policy.waitMaxMs);
  // Half of it at random, so that callers who failed together do not come back together; never before DICT asked.
  return Math.max(asked, wait / 2) + (wait / 2) * random();
}
