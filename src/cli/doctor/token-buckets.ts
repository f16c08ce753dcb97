/** DICT's token buckets as `/policies/` tells them: how full they are, and whether the configuration expects the same of them. */

import { type PolicyName, PUBLISHED_RATES } from '../../bridge/rate-budget.ts';
import type { TokenBucketLimits } from '../../config/option-kind.ts';
import type { Config } from '../../config.ts';
import type { Policy } from '../../dict/api.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

const check = 'token bucket';

/** Buckets that are used in ordinary work, with the option that says what is expected of each. */
function expectedOf(
  dict: Config['dict'],
): Readonly<Record<string, { readonly option: string; readonly limits: TokenBucketLimits }>> {
  const option = (name: string, limits: TokenBucketLimits) => ({ option: `DICT_VSYNC_DICT_${name}`, limits });
  return {
    SYNC_VERIFICATIONS_WRITE: option('SYNC_VERIFICATIONS_WRITE', dict.syncVerificationsWrite),
    CIDS_FILES_WRITE: option('CIDS_FILES_WRITE', dict.cidsFilesWrite),
    CIDS_FILES_READ: option('CIDS_FILES_READ', dict.cidsFilesRead),
    CIDS_EVENTS_LIST: option('CIDS_EVENTS_LIST', dict.cidsEventsList),
    CIDS_ENTRIES_READ: option('CIDS_ENTRIES_READ', dict.cidsEntriesRead),
    POLICIES_READ: option('POLICIES_READ', dict.policiesRead),
    POLICIES_LIST: option('POLICIES_LIST', dict.policiesList),
  } satisfies Partial<Record<PolicyName, unknown>>;
}

/** Below this share something uses up the bucket faster than it fills: another program, or too much work. */
const LOW_SHARE = 0.2;

/** One finding for each bucket that is used in ordinary work. */
export function checkBuckets(policies: readonly Policy[], dict: Config['dict']): readonly Finding[] {
  return Object.entries(expectedOf(dict)).map(([name, { option, limits }]) => {
    const policy = policies.find((one) => one.name === name);
    if (policy === undefined) {
      return warn(check, `${name}: DICT tells nothing of it`, `the configured ${rateText(limits)} is relied on (${option})`);
    }
    return judged(policy, option, limits);
  });
}

function judged(policy: Policy, option: string, configured: TokenBucketLimits): Finding {
  const { name, availableTokens, capacity, refillTokens, refillPeriodSec } = policy;
  const seen = `${name}: ${availableTokens} of ${capacity} tokens, ${refillTokens} every ${periodText(refillPeriodSec)}`;
  if (capacity <= 0 || refillTokens <= 0 || refillPeriodSec <= 0) {
    return warn(check, seen, `a bucket like this never fills; the configured ${rateText(configured)} is relied on (${option})`);
  }
  if (availableTokens < 1) {
    const advice = `calls wait for ${secondsPerToken(policy)} s for each token: see what else of this participant asks DICT, and let it rest`;
    return fail(check, seen, advice);
  }
  if (availableTokens < capacity * LOW_SHARE) {
    return warn(check, seen, 'it is used faster than it fills: see what else of this participant asks DICT');
  }
  const same =
    configured.capacity === capacity && configured.refillTokens * refillPeriodSec === refillTokens * configured.refillPeriodSec;
  if (same) return ok(check, seen);
  const advice = `DICT’s numbers are used while they are told; set ${option} to them, for when they are not`;
  return warn(check, `${seen}; configured is ${rateText(configured)}${publishedText(name)}`, advice);
}

function secondsPerToken({ refillTokens, refillPeriodSec }: Policy): number {
  return Math.ceil(refillPeriodSec / refillTokens);
}

function rateText({ capacity, refillTokens, refillPeriodSec }: TokenBucketLimits): string {
  return `${refillTokens} every ${periodText(refillPeriodSec)}, ${capacity} at most`;
}

function publishedText(name: string): string {
  const published = Object.entries(PUBLISHED_RATES).find(([known]) => known === name)?.[1];
  if (published === undefined) return '';
  const { capacity, refillTokens, refillPeriodMs } = published;
  return `, published ${rateText({ capacity, refillTokens, refillPeriodSec: refillPeriodMs / 1_000 })}`;
}

function periodText(seconds: number): string {
  if (seconds % 86_400 === 0) return seconds === 86_400 ? 'day' : `${seconds / 86_400} days`;
  if (seconds % 60 === 0) return seconds === 60 ? 'minute' : `${seconds / 60} minutes`;
  return `${seconds} s`;
}
