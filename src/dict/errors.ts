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

const remedies: Readonly<Record<string, Remedy>> = {
  RateLimited: 'retry',
  ServiceUnavailable: 'retry',
  InternalServerError: 'retry',
  Timeout: 'retry',
  Unreachable: 'retry',
  BadRequest: 'final',
  NotFound: 'final',
  EntryInvalid: 'final',
  EntryLimitExceeded: 'final',
  EntryAlreadyExists: 'final',
  EntryCannotBeQueriedForBookTransfer: 'final',
  EntryKeyOwnedByDifferentPerson: 'final',
  EntryKeyInCustodyOfDifferentParticipant: 'final',
  EntryWithDifferentRequestId: 'final',
  EntryBlocked: 'person',
  Forbidden: 'person',
  SignatureInvalid: 'person',
  RequestSignatureInvalid: 'person',
  InvalidAnswer: 'person',
};

/** What to do about an error of this name and HTTP status (0 where no answer came). */
export function remedyOf(name: string, status: number): Remedy {
  const known = remedies[name];
  if (known !== undefined) return known;
  if (status === 429 || status >= 500) return 'retry';
  if (status === 401 || status === 403) return 'person';
  return 'final';
}

/** DICT refused, failed or could not be reached. */
export class DictError extends Error {
  override readonly name = 'DictError';
  /** The last part of the problem's `type` (such as `RateLimited`), or `Timeout`, `Unreachable`, `InvalidAnswer`. */
  readonly kind: string;
  /** HTTP status; 0 where no answer came. */
  readonly status: number;
  readonly remedy: Remedy;
  readonly correlationId: string | null;
  readonly violations: readonly Violation[];
  /** Seconds that DICT asked to wait (`Retry-After`), or null. */
  readonly retryAfterSec: number | null;

  constructor(
    kind: string,
    status: number,
    message: string,
    more: {
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
    this.correlationId = more.correlationId ?? null;
    this.violations = more.violations ?? [];
    this.retryAfterSec = more.retryAfterSec ?? null;
  }
}
