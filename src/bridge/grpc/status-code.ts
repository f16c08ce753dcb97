/**
 * Which gRPC status code an error of DICT becomes, for clients that look no further. What helps is not read from the code: it
 * stands in the details (status-details.ts).
 */

import { status } from '@grpc/grpc-js';
import type { DictError } from '../../dict/errors.ts';

const codes: ReadonlyMap<string, status> = new Map([
  ['RateLimited', status.RESOURCE_EXHAUSTED],
  ['NoTokens', status.RESOURCE_EXHAUSTED],
  ['BulkheadFull', status.RESOURCE_EXHAUSTED],
  ['ServiceUnavailable', status.UNAVAILABLE],
  ['Unreachable', status.UNAVAILABLE],
  ['ConnectionLost', status.UNAVAILABLE],
  // A transfer that was begun has to be begun anew.
  ['FileChanged', status.ABORTED],
  ['Timeout', status.DEADLINE_EXCEEDED],
  ['InternalServerError', status.INTERNAL],
  ['InvalidAnswer', status.INTERNAL],
  ['AnswerSignatureInvalid', status.INTERNAL],
  ['BadRequest', status.INVALID_ARGUMENT],
  ['EntryInvalid', status.INVALID_ARGUMENT],
  ['InvalidReason', status.INVALID_ARGUMENT],
  ['NotFound', status.NOT_FOUND],
  ['Gone', status.NOT_FOUND],
  ['EntryAlreadyExists', status.ALREADY_EXISTS],
  ['RequestIdAlreadyUsed', status.ALREADY_EXISTS],
  ['Forbidden', status.PERMISSION_DENIED],
  ['ParticipantInvalid', status.PERMISSION_DENIED],
  // The bridge's own signature is at fault, nothing that the caller could authenticate itself with: not UNAUTHENTICATED.
  ['RequestSignatureInvalid', status.FAILED_PRECONDITION],
  ['EntryLimitExceeded', status.FAILED_PRECONDITION],
  ['EntryCannotBeQueriedForBookTransfer', status.FAILED_PRECONDITION],
  ['EntryKeyOwnedByDifferentPerson', status.FAILED_PRECONDITION],
  ['EntryKeyInCustodyOfDifferentParticipant', status.FAILED_PRECONDITION],
  ['EntryLockedByClaim', status.FAILED_PRECONDITION],
  ['EntryTaxIdNumberByDifferentOwner', status.FAILED_PRECONDITION],
  ['TaxIdNumberBlocked', status.FAILED_PRECONDITION],
  ['EntryBlocked', status.FAILED_PRECONDITION],
  ['EntryWithFraudRelatedRestriction', status.FAILED_PRECONDITION],
]);

/** The status code; a name that is not in the table is judged by its HTTP status, or without one by what helps. */
export function statusCodeOf({ kind, status: http, remedy }: Pick<DictError, 'kind' | 'status' | 'remedy'>): status {
  const known = codes.get(kind);
  if (known !== undefined) return known;
  if (http === 0) return remedy === 'retry' ? status.UNAVAILABLE : status.FAILED_PRECONDITION;
  if (http === 400) return status.INVALID_ARGUMENT;
  if (http === 401 || http === 403) return status.PERMISSION_DENIED;
  if (http === 404 || http === 410) return status.NOT_FOUND;
  if (http === 429) return status.RESOURCE_EXHAUSTED;
  return http >= 500 ? status.UNAVAILABLE : status.FAILED_PRECONDITION;
}
