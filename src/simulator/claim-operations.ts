/**
 * Claims, reduced to what they do to CIDs: confirming removes the donor's entry, completing adds the claimer's. They are
 * registered through the control interface; periods and notifications are left out.
 */

import { element, type XmlSource } from '../platform/xml.ts';
import { type Call, documentOf, isoOf, matching, type Parts, participantOf, type Reply, textAt } from './call.ts';
import type { Claim } from './claim.ts';
import { entryRecord } from './directory.ts';
import { repeatedEntry, UUID } from './entry-operations.ts';
import { accountXml, ownerXml } from './entry-xml.ts';
import { Problem } from './problem.ts';

const CONFIRM_REASONS = ['USER_REQUESTED', 'ACCOUNT_CLOSURE', 'DEFAULT_OPERATION'];

function claimOf(parts: Parts, call: Call): Claim {
  const id = matching(textAt(call.document, 'ClaimId'), UUID, 'claimId').toLowerCase();
  if (id !== call.argument.toLowerCase()) throw new Problem('BadRequest', 'ClaimId of the body differs from the one of the path');
  const claim = parts.claims.get(id);
  if (claim === undefined) throw new Problem('NotFound', 'Claim with given id does not exist');
  return claim;
}

function requireParticipant(parts: Parts, call: Call, expected: string): void {
  if (participantOf(parts, textAt(call.document, 'Participant'), 'participant') !== expected) {
    throw new Problem('Forbidden', 'Participant is not allowed to access this resource');
  }
}

/** POST /claims/{ClaimId}/confirm */
export function confirmClaim(parts: Parts, call: Call): Reply {
  documentOf(call, 'ConfirmClaimRequest');
  const claim = claimOf(parts, call);
  requireParticipant(parts, call, claim.donor);
  const reason = textAt(call.document, 'Reason');
  if (reason === null || !CONFIRM_REASONS.includes(reason)) {
    throw new Problem('InvalidReason', `Reason is none of ${CONFIRM_REASONS.join(', ')}`);
  }
  const repeated = claim.status === 'CONFIRMED' && claim.confirmReason === reason;
  if (!repeated) confirm(parts, claim, reason, call.nowMs);
  return { status: 200, name: 'ConfirmClaimResponse', children: [claimXml(claim)] };
}

function confirm(parts: Parts, claim: Claim, reason: string, nowMs: number): void {
  if (claim.status !== 'WAITING_RESOLUTION') {
    throw new Problem('ClaimOperationInvalid', `Claim is ${claim.status}, not WAITING_RESOLUTION`);
  }
  const entry = parts.directory.byKey(claim.wanted.key);
  if (entry !== undefined) {
    claim.ownedSinceMs = claim.type === 'PORTABILITY' ? entry.ownedSinceMs : null;
    parts.directory.apply({ remove: entry, log: true, atMs: nowMs });
  }
  claim.status = 'CONFIRMED';
  claim.confirmReason = reason;
  claim.modifiedMs = nowMs;
}

/** POST /claims/{ClaimId}/complete */
export function completeClaim(parts: Parts, call: Call): Reply {
  documentOf(call, 'CompleteClaimRequest');
  const claim = claimOf(parts, call);
  requireParticipant(parts, call, claim.wanted.participant);
  const requestId = matching(textAt(call.document, 'RequestId'), UUID, 'requestId').toLowerCase();
  const repeated = repeatedEntry(parts, claim.wanted, requestId);
  if (repeated === null) complete(parts, claim, requestId, call.nowMs);
  return {
    status: 200,
    name: 'CompleteClaimResponse',
    children: [
      claimXml(claim),
      element('EntryCreationDate', isoOf(claim.createdMs ?? call.nowMs)),
      element('KeyOwnershipDate', isoOf(claim.ownedSinceMs ?? claim.createdMs ?? call.nowMs)),
    ],
  };
}

function complete(parts: Parts, claim: Claim, requestId: string, nowMs: number): void {
  if (claim.status !== 'CONFIRMED') throw new Problem('ClaimOperationInvalid', `Claim is ${claim.status}, not CONFIRMED`);
  const entry = entryRecord(claim.wanted, { requestId, createdMs: nowMs, ownedSinceMs: claim.ownedSinceMs ?? nowMs });
  parts.directory.apply({ add: entry, log: true, atMs: nowMs });
  claim.status = 'COMPLETED';
  claim.createdMs = nowMs;
  claim.ownedSinceMs = entry.ownedSinceMs;
  claim.modifiedMs = nowMs;
}

const WEEK_MS = 7 * 86_400_000;

function claimXml(claim: Claim): XmlSource {
  return element('Claim', [
    element('Type', claim.type),
    element('Key', claim.wanted.key),
    element('KeyType', claim.wanted.keyType),
    accountXml('ClaimerAccount', claim.wanted),
    ownerXml('Claimer', claim.wanted),
    element('DonorParticipant', claim.donor),
    element('Id', claim.id),
    element('Status', claim.status),
    element('ResolutionPeriodEnd', isoOf(claim.openedMs + WEEK_MS)),
    claim.type === 'OWNERSHIP' ? element('CompletionPeriodEnd', isoOf(claim.openedMs + WEEK_MS)) : null,
    element('LastModified', isoOf(claim.modifiedMs)),
    claim.confirmReason === null ? null : element('ConfirmReason', claim.confirmReason),
  ]);
}
