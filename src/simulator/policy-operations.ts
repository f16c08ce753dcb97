/** The operations that show the token buckets. */

import { element, type XmlSource } from '../platform/xml.ts';
import { type Call, type Parts, type Reply, requesterOf } from './call.ts';
import { Problem } from './problem.ts';
import type { BucketState } from './token-bucket.ts';

/** GET /policies/ */
export function listPolicies(parts: Parts, call: Call): Reply {
  const requester = requesterOf(parts, call);
  const policies = element('Policies', parts.buckets.list(requester).map(policyXml));
  return policyReply(parts, 'ListPoliciesResponse', policies);
}

/** GET /policies/{policy} */
export function getPolicy(parts: Parts, call: Call): Reply {
  const state = parts.buckets.state(requesterOf(parts, call), call.argument);
  if (state === null) throw new Problem('NotFound', 'Policy with given name does not exist');
  return policyReply(parts, 'GetPolicyResponse', policyXml(state));
}

function policyReply(parts: Parts, name: string, content: XmlSource): Reply {
  return {
    status: 200,
    name,
    children: [element('Category', 'A'), content],
    correlationFirst: parts.settings.readings.elementOrder === 'example',
  };
}

function policyXml(state: BucketState): XmlSource {
  return element('Policy', [
    element('AvailableTokens', String(state.availableTokens)),
    element('Capacity', String(state.capacity)),
    element('RefillTokens', String(state.refillTokens)),
    element('RefillPeriodSec', String(state.refillPeriodSec)),
    element('Name', state.name),
  ]);
}
