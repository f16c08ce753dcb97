/**
 * How long a step may take and how often it is tried: one table, so that the in-process runner and a workflow engine agree.
 * Which failures are worth another try is decided here too.
 */

import { DictError, RETRY_AFTER_MAX_SEC } from '../dict/errors.ts';
import { DatabaseUnavailable } from '../platform/postgres/errors.ts';

export interface StepPolicy {
  /** Start to close; null for steps that end by their own limits. */
  readonly timeLimitMs: number | null;
  readonly tries: number;
  readonly firstWaitMs: number;
  readonly factor: number;
  readonly longestWaitMs: number;
}

const secondMs = 1_000;
const minuteMs = 60_000;

export const stepPolicies = {
  /** Reads DICT once or a few times. */
  dict: { timeLimitMs: 30 * secondMs, tries: 10, firstWaitMs: secondMs, factor: 2, longestWaitMs: 30 * secondMs },
  /** Reads many pages or entries of DICT, waiting for its token buckets. */
  dictBatch: { timeLimitMs: 30 * minuteMs, tries: 10, firstWaitMs: secondMs, factor: 2, longestWaitMs: 30 * secondMs },
  /** One page of a listing of entries, as INT-003 has it: 3 tries, 5 s doubling, 120 s each. */
  listingPage: { timeLimitMs: 2 * minuteMs, tries: 3, firstWaitMs: 5 * secondMs, factor: 2, longestWaitMs: minuteMs },
  database: { timeLimitMs: 10 * secondMs, tries: 5, firstWaitMs: secondMs, factor: 2, longestWaitMs: 30 * secondMs },
  databaseBulk: { timeLimitMs: 5 * minuteMs, tries: 5, firstWaitMs: secondMs, factor: 2, longestWaitMs: 30 * secondMs },
  download: { timeLimitMs: null, tries: 5, firstWaitMs: 5 * secondMs, factor: 2, longestWaitMs: minuteMs },
  other: { timeLimitMs: 5 * minuteMs, tries: 5, firstWaitMs: secondMs, factor: 2, longestWaitMs: 30 * secondMs },
} as const satisfies Readonly<Record<string, StepPolicy>>;

export type StepKind = keyof typeof stepPolicies;

/** `lost-database` is tried again for as long as it takes, the others within the policy's tries. */
export type FailureClass = 'final' | 'retry' | 'lost-database';

/** serialization_failure, deadlock_detected */
const retriedSqlStates: ReadonlySet<string> = new Set(['40001', '40P01']);

/** What to do about a step's failure. What nobody has named is final: trying again would only hide a fault of ours. */
export function classifyFailure(failure: unknown): FailureClass {
  if (failure instanceof DatabaseUnavailable) return 'lost-database';
  if (failure instanceof DictError) {
    return failure.remedy === 'retry' && askedSec(failure) <= RETRY_AFTER_MAX_SEC ? 'retry' : 'final';
  }
  if (failure instanceof StepTimedOut) return 'retry';
  const code = failure instanceof Error && 'code' in failure ? failure.code : undefined;
  return typeof code === 'string' && retriedSqlStates.has(code) ? 'retry' : 'final';
}

/** A step took longer than its policy allows. */
export class StepTimedOut extends Error {
  override readonly name = 'StepTimedOut';

  constructor(step: string, timeLimitMs: number) {
    super(`step ${step} did not end within ${timeLimitMs / secondMs} s`);
  }
}

/** Seconds that DICT asked to be left alone for; 0 where it did not. */
function askedSec(failure: unknown): number {
  return failure instanceof DictError ? (failure.retryAfterSec ?? 0) : 0;
}

/** The wait before the try that follows the given one (counted from 1), never shorter than what DICT asked for. */
export function waitBeforeNextMs(policy: StepPolicy, failedTries: number, failure: unknown): number {
  const growing = Math.min(policy.longestWaitMs, policy.firstWaitMs * policy.factor ** (failedTries - 1));
  return Math.max(growing, askedSec(failure) * secondMs);
}
