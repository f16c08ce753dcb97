/**
 * What a rehearsal is judged by: DICT's own answers, what the simulator counted, and both sides compared entry by entry. Nothing here
 * believes what the product says of itself.
 */

import type { Comparison } from '../final-comparison.ts';
import type { Reconciled } from '../reconciliation-round.ts';
import type { Repairs } from '../repairs.ts';
import type { Verified } from '../verification-round.ts';
import type { ClaimCounts } from './claims.ts';
import type { RecordedCall } from './recorded-dict.ts';
import type { LogLine } from './rehearsal-log.ts';
import { type RehearsalOptions, TEST } from './settings.ts';

interface Counted {
  /** By the simulator: how often each operation was answered with which status. */
  readonly dict: Readonly<Record<string, number>>;
  /** By the claims: what they did themselves. */
  readonly claims: ClaimCounts;
}

export interface Observed {
  readonly options: RehearsalOptions;
  /** The verification before anything was changed. */
  readonly registered: Verified;
  readonly reconciled: Reconciled;
  readonly asked: readonly Verified[];
  readonly okAt: Date | null;
  readonly times: { readonly beganAt: Date; readonly testBeganAt: Date; readonly endedAt: Date };
  readonly repairs: Repairs;
  readonly countsBefore: Counted;
  readonly countsAfter: Counted;
  readonly comparison: Comparison;
  readonly calls: readonly RecordedCall[];
  readonly log: readonly LogLine[];
}

export interface Check {
  readonly name: string;
  readonly passed: boolean;
  /** What was seen. */
  readonly seen: string;
}

export interface Rehearsed extends Observed {
  readonly passed: boolean;
  readonly checks: readonly Check[];
}

/** Judges what was seen. */
export function verdictOf(observed: Observed): Rehearsed {
  const checks = [
    registeredCheck(observed),
    divergencesCheck(observed),
    okCheck(observed),
    writesCheck(observed),
    limitsCheck(observed),
    timeCheck(observed),
    equalCheck(observed),
  ];
  return { ...observed, checks, passed: checks.every(({ passed }) => passed) };
}

function registeredCheck({ options, registered }: Observed): Check {
  return {
    name: 'equal before',
    passed: registered.answer === 'OK' && registered.keys === options.keys,
    seen: `DICT said ${registered.answer} to ${registered.keys} keys, VSync ${registered.vsync}`,
  };
}

function divergencesCheck({ repairs }: Observed): Check {
  const { planted, needless } = repairs;
  const right = planted.filter(({ found, kind, repaired }) => found?.kind === kind && repaired).length;
  return {
    name: 'divergences',
    passed: right === planted.length && needless === 0,
    seen: `${right} of ${planted.length} that were planted found as what they are and repaired; ${needless} other keys touched`,
  };
}

function okCheck({ okAt, asked, times, calls }: Observed): Check {
  const last = calls.findLast(({ operation }) => operation === 'createSyncVerification');
  const after = ((okAt ?? times.endedAt).getTime() - times.testBeganAt.getTime()) / 1_000;
  const noks = calls.filter((call) => call.at >= times.testBeganAt && / NOK /.test(call.says)).length;
  return {
    name: 'OK',
    passed: okAt !== null && noks > 0,
    seen:
      okAt === null
        ? `DICT did not say OK to any of ${asked.length} verifications`
        : `DICT said OK ${after.toFixed(0)} s after its changes, after ${noks} NOK; correlation ${last?.correlationId ?? ''}`,
  };
}

const entryWrites = ['createEntry', 'updateEntry', 'deleteEntry'];

/** Everything that was written to DICT since the Central Bank's changes came from the claims. */
function writesCheck({ countsBefore, countsAfter }: Observed): Check {
  const since = (operations: readonly string[]): number =>
    sumOf(countsAfter.dict, operations) - sumOf(countsBefore.dict, operations);
  const entries = since(entryWrites);
  const claimCalls = since(['confirmClaim', 'completeClaim']);
  const ofClaims =
    countsAfter.claims.confirmations +
    countsAfter.claims.completions -
    countsBefore.claims.confirmations -
    countsBefore.claims.completions;
  return {
    name: 'no writes',
    passed: entries === 0 && claimCalls === ofClaims,
    seen: `the simulator counted ${entries} writes to entries and ${claimCalls} to claims; people made ${ofClaims} of the latter`,
  };
}

function sumOf(counts: Readonly<Record<string, number>>, operations: readonly string[]): number {
  return Object.entries(counts).reduce(
    (sum, [name, count]) => (operations.includes(name.split(' ')[0] ?? '') ? sum + count : sum),
    0,
  );
}

function limitsCheck({ countsAfter }: Observed): Check {
  const refused = Object.entries(countsAfter.dict).filter(([name]) => name.endsWith(' 429'));
  const count = refused.reduce((sum, [, number]) => sum + number, 0);
  return { name: 'rate limits', passed: count === 0, seen: `${count} calls were refused for their number (429)` };
}

function timeCheck({ times }: Observed): Check {
  const wholeMs = times.endedAt.getTime() - times.beganAt.getTime();
  return {
    name: 'time',
    passed: wholeMs <= TEST.limitMs,
    seen: `${minutes(wholeMs)} in all, ${minutes(times.endedAt.getTime() - times.testBeganAt.getTime())} of the Central Bank’s ${minutes(TEST.hourMs)}`,
  };
}

function minutes(ms: number): string {
  return `${(ms / 60_000).toFixed(1)} min`;
}

function equalCheck({ comparison }: Observed): Check {
  const { equal, different, onlyHere, onlyAtDict, vsyncEqual } = comparison;
  return {
    name: 'equal after',
    passed: comparison.same,
    seen: `${equal} entries equal, ${different} different, ${onlyHere} only here, ${onlyAtDict} only at DICT; VSyncs ${vsyncEqual ? '' : 'un'}equal`,
  };
}
