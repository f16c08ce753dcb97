/** DICT's errors: their names, statuses and titles, and the problem document (RFC 7807 in XML) that carries them. */

import { element, writeXml } from '../platform/xml.ts';
import type { Answer } from './answer.ts';

/** Names of the contract's section "Tratamento de erros" that the simulator uses, with status and title. */
const ERRORS = {
  Forbidden: [403, 'Forbidden'],
  BadRequest: [400, 'Bad Request'],
  NotFound: [404, 'Not found'],
  RateLimited: [429, 'Rate limited'],
  InternalServerError: [500, 'Internal Server Error'],
  ServiceUnavailable: [503, 'Service Unavailable'],
  RequestSignatureInvalid: [400, 'Request signature is invalid'],
  RequestIdAlreadyUsed: [400, 'Request id already used'],
  InvalidReason: [400, 'Invalid reason'],
  EntryInvalid: [400, 'Entry is invalid'],
  EntryAlreadyExists: [400, 'Entry already exists'],
  EntryKeyOwnedByDifferentPerson: [400, 'Entry key owned by different person'],
  EntryKeyInCustodyOfDifferentParticipant: [400, 'Entry key in custody of different participant'],
  EntryLockedByClaim: [400, 'Entry locked by claim'],
  EntryTaxIdNumberByDifferentOwner: [400, 'Entry tax id number by different owner'],
  EntryBlocked: [400, 'Entry is blocked'],
  ClaimOperationInvalid: [400, 'Claim operation is invalid'],
} as const satisfies Record<string, readonly [number, string]>;
export type ErrorName = keyof typeof ERRORS;

export interface ProblemViolation {
  readonly reason: string;
  readonly value?: string;
  readonly property: string;
}

/** An operation refuses; the server turns it into a problem document. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly kind: ErrorName;
  readonly violations: readonly ProblemViolation[];

  constructor(kind: ErrorName, detail: string, violations: readonly ProblemViolation[] = []) {
    super(detail);
    this.kind = kind;
    this.violations = violations;
  }
}

/** Whether it is one of the errors above. */
export function isErrorName(text: string): text is ErrorName {
  return Object.hasOwn(ERRORS, text);
}

const TYPE_BASE = 'https://dict.pi.rsfn.net.br/api/v2/error/';

/** The problem document. A 503 tells how long to wait, a 429 does not: so DICT does. */
export function problemAnswer(problem: Problem, correlationId: string, retryAfterSec = 30): Answer {
  const [status, title] = ERRORS[problem.kind];
  const violations = problem.violations.map((violation) =>
    element('violation', [
      element('reason', violation.reason),
      violation.value === undefined ? null : element('value', violation.value),
      element('property', violation.property),
    ]),
  );
  const document = element(
    'problem',
    [
      element('type', `${TYPE_BASE}${problem.kind}`),
      element('title', title),
      element('status', String(status)),
      problem.message === '' ? null : element('detail', problem.message),
      element('correlationId', correlationId),
      violations.length === 0 ? null : element('violations', violations),
    ],
    { xmlns: 'urn:ietf:rfc:7807' },
  );
  return {
    status,
    headers: {
      'Content-Type': 'application/problem+xml; charset=UTF-8',
      ...(status === 503 ? { 'Retry-After': String(retryAfterSec) } : {}),
    },
    body: writeXml(document),
  };
}
