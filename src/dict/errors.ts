/**
 * What can go wrong when DICT is asked, and whether asking again can help. One exhaustive map, so that nobody decides it twice.
 * Names that the map does not know are judged by their HTTP status: the API goes on evolving.
 */

/** `violation` of a problem document. */
export interface Violation {
  readonly reason: string;
  readonly value: string | null;
  readonly property: string | null;
}

/**
 * `retry`: the same call may succeed later. `final`: it never will. `person`: neither the program nor waiting can mend it
 * (certificates, permissions, blocked entries): somebody has to look.
 */
export type Remedy = 'retry' | 'final' | 'person';

/** Every error name of API 2.6.1 ("Tratamento de erros"), those of operations that this program never calls included. */
export const DICT_REMEDIES: ReadonlyMap<string, Remedy> = new Map<string, Remedy>([
  ['RateLimited', 'retry'],
  ['ServiceUnavailable', 'retry'],
  ['InternalServerError', 'retry'],
  ['BadRequest', 'final'],
  ['NotFound', 'final'],
  ['Gone', 'final'],
  ['RequestIdAlreadyUsed', 'final'],
  ['InvalidReason', 'final'],
  ['EntryInvalid', 'final'],
  ['EntryLimitExceeded', 'final'],
  ['EntryAlreadyExists', 'final'],
  ['EntryCannotBeQueriedForBookTransfer', 'final'],
  ['EntryKeyOwnedByDifferentPerson', 'final'],
  ['EntryKeyInCustodyOfDifferentParticipant', 'final'],
  ['EntryLockedByClaim', 'final'],
  ['EntryTaxIdNumberByDifferentOwner', 'final'],
  ['Forbidden', 'person'],
  ['RequestSignatureInvalid', 'person'],
  ['ParticipantInvalid', 'person'],
  ['TaxIdNumberBlocked', 'person'],
  ['EntryBlocked', 'person'],
  ['EntryWithFraudRelatedRestriction', 'person'],
  ['ClaimInvalid', 'final'],
  ['ClaimTypeInconsistent', 'final'],
  ['ClaimKeyNotFound', 'final'],
  ['ClaimAlreadyExistsForKey', 'final'],
  ['ClaimResultingEntryAlreadyExists', 'final'],
  ['ClaimOperationInvalid', 'final'],
  // Periods of days: the call is not repeated until then, so it is final for whoever made it.
  ['ClaimResolutionPeriodNotEnded', 'final'],
  ['ClaimCompletionPeriodNotEnded', 'final'],
  ['InfractionReportInvalid', 'final'],
  ['InfractionReportOperationInvalid', 'final'],
  ['InfractionReportTransactionNotFound', 'final'],
  ['InfractionReportTransactionNotSettled', 'final'],
  ['InfractionReportAlreadyBeingProcessedForTransaction', 'final'],
  ['InfractionReportAlreadyProcessedForTransaction', 'final'],
  ['InfractionReportPeriodExpired', 'final'],
  ['FraudMarkerInvalid', 'final'],
  ['RefundInvalid', 'final'],
  ['RefundOperationInvalid', 'final'],
  ['RefundTransactionNotFound', 'final'],
  ['RefundTransactionNotSettled', 'final'],
  ['RefundAlreadyProcessedForTransaction', 'final'],
  ['RefundAlreadyBeingProcessedForTransaction', 'final'],
  ['RefundPeriodExpired', 'final'],
  ['TransactionNotRefundable', 'final'],
  ['RefundInfractionReportNotFound', 'final'],
  ['TransactionRefundable', 'final'],
]);

/** The bridge's own names, for what DICT did not say. A problem document that uses one of them is judged by its HTTP status. */
export const BRIDGE_REMEDIES: ReadonlyMap<string, Remedy> = new Map<string, Remedy>([
  // No connection could be made: nothing was sent.
  ['Unreachable', 'retry'],
  // No TLS connection came to stand (nothing was sent): the server's certificate, ours, or what both sides can do.
  ['ServerCertificateUntrusted', 'person'],
  ['ServerNameMismatch', 'person'],
  ['ServerCertificateExpired', 'person'],
  ['ClientCertificateRefused', 'person'],
  ['TlsFailed', 'person'],
  // The connection broke after the request was, perhaps, sent.
  ['ConnectionLost', 'retry'],
  // No answer in time: the request was, perhaps, carried out.
  ['Timeout', 'retry'],
  // The call waited too long for a token of its rate limit: nothing was sent.
  ['NoTokens', 'retry'],
  // The token buckets that replicas share could not be asked for as long as the call would wait: nothing was sent.
  ['BucketsUnreachable', 'retry'],
  // The host failed too often in a row and is left alone for a while: nothing was sent.
  ['CircuitOpen', 'retry'],
  // Too many calls of its kind wait already: nothing was sent.
  ['BulkheadFull', 'retry'],
  // A download cannot go on where it was: the file is another one now.
  ['FileChanged', 'retry'],
  // An answer that the contract does not allow, so that nothing can be concluded from it.
  ['InvalidAnswer', 'person'],
  // An answer that is not signed, not by DICT, or was changed on its way: nothing can be concluded from it either.
  ['AnswerSignatureInvalid', 'person'],
]);

/**
 * The longest `Retry-After` that a flow sits out. Longer ones end it with what DICT asked for in its message: the next scheduled
 * run comes anyway, and a wish of years must not become a wait of years.
 */
export const RETRY_AFTER_MAX_SEC = 3_600;

/** What to do about an error of this name and HTTP status (0 where no answer came). */
function remedyOf(name: string, status: number): Remedy {
  const known = DICT_REMEDIES.get(name) ?? BRIDGE_REMEDIES.get(name);
  if (known !== undefined) return known;
  if (status === 429 || status >= 500) return 'retry';
  if (status === 401 || status === 403) return 'person';
  return 'final';
}

/** DICT refused, failed or could not be reached. */
export class DictError extends Error {
  override readonly name = 'DictError';
  /** The last part of the problem's `type` (such as `RateLimited`), or one of the bridge's own names in the map above. */
  readonly kind: string;
  /** HTTP status; 0 where no answer came. */
  readonly status: number;
  readonly remedy: Remedy;
  /** The problem's own words. They can repeat what was sent, a person's data included, so that no message holds them. */
  readonly detail: string | null;
  readonly correlationId: string | null;
  readonly violations: readonly Violation[];
  /** Seconds that DICT asked to wait (`Retry-After`), or null. */
  readonly retryAfterSec: number | null;

  constructor(
    kind: string,
    status: number,
    message: string,
    more: {
      readonly detail?: string | null;
      readonly correlationId?: string | null;
      readonly violations?: readonly Violation[];
      readonly retryAfterSec?: number | null;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.kind = kind;
    this.status = status;
    this.remedy = remedyOf(kind, status);
    this.detail = more.detail ?? null;
    this.correlationId = more.correlationId ?? null;
    this.violations = more.violations ?? [];
    this.retryAfterSec = more.retryAfterSec ?? null;
  }

  /** Everything that a person needs who has to ask the Central Bank about it, and no personal data. */
  override toString(): string {
    const correlation = this.correlationId === null ? '' : ` (correlation id ${this.correlationId})`;
    const asked =
      (this.retryAfterSec ?? 0) > RETRY_AFTER_MAX_SEC ? `; DICT asks to be left alone for ${this.retryAfterSec} s` : '';
    return `${this.kind}: ${this.message}${correlation}${asked}`;
  }
}
