/** The state of DICT's token buckets as its answers write it. */

import type { Policy } from '../dict/api.ts';
import { count, type Fields, section, sections, token } from './answer-fields.ts';

/** `ListPoliciesResponse`. */
export function readPolicies(answer: Fields): readonly Policy[] {
  return sections(answer, 'Policies', 'Policy').map(readFields);
}

/** `GetPolicyResponse`. */
export function readPolicy(answer: Fields): Policy {
  return readFields(section(answer, 'Policy'));
}

function readFields(policy: Fields): Policy {
  return {
    name: token(policy, 'Name'),
    availableTokens: count(policy, 'AvailableTokens'),
    capacity: count(policy, 'Capacity'),
    refillTokens: count(policy, 'RefillTokens'),
    refillPeriodSec: count(policy, 'RefillPeriodSec'),
  };
}
