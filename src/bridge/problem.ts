/**
 * What DICT says when it refuses: a problem document (RFC 7807 in XML) becomes a `DictError`. Anything else with an error status
 * came from something in between, and nothing about DICT follows from it: a proxy's 404 is not DICT's (rule R2 rests on that).
 */

import { BRIDGE_REMEDIES, DictError, type Violation } from '../dict/errors.ts';
import { childOf, childrenOf, parseXml, type XmlElement, XmlInvalid } from '../platform/xml.ts';
import type { HttpAnswer } from './dict-transport.ts';

const PROBLEM_NAMESPACE = 'urn:ietf:rfc:7807';
/** The last part of a `type`. `about:blank` (RFC 7807: nothing but the status) and other URNs have none. */
const KIND = /(?:^|\/)([A-Za-z][A-Za-z0-9]{0,63})\/?$/;

/**
 * The error that an answer outside 200 and 201 stands for. `signed` verifies the signature of a problem document and answers what was
 * signed; what is none came from something in between, and is taken for nothing else.
 */
export function problemOf(operation: string, answer: HttpAnswer, now: Date, signed: (root: XmlElement) => XmlElement): DictError {
  const retryAfterSec = retryAfter(answer.headers['retry-after'], now);
  const problem = problemElement(answer, signed);
  if (typeof problem === 'string') {
    const kind = kindWithoutProblem(answer.status);
    return new DictError(kind, answer.status, `${operation}: HTTP ${answer.status} without a problem document (${problem})`, {
      retryAfterSec,
    });
  }
  const text = (name: string): string | null => childOf(problem, name)?.text.trim() || null;
  const named = KIND.exec(text('type') ?? '')?.[1];
  // The bridge's own names say that DICT did not answer: a document that uses one must not pass for that.
  const kind = named === undefined || BRIDGE_REMEDIES.has(named) ? kindWithoutProblem(answer.status) : named;
  // `detail` and the violations' values can repeat what was sent: the message names the error only.
  return new DictError(kind, answer.status, `${operation}: DICT answered ${answer.status} ${kind}`, {
    detail: text('detail')?.slice(0, DETAIL_LENGTH_MAX) ?? null,
    correlationId: text('correlationId')?.slice(0, CORRELATION_LENGTH_MAX) ?? null,
    violations: violationsOf(problem),
    retryAfterSec,
  });
}

function problemElement(answer: HttpAnswer, signed: (root: XmlElement) => XmlElement): XmlElement | string {
  if (!isXml(answer.headers['content-type'])) return 'its content type is not XML';
  let root: XmlElement;
  try {
    root = parseXml(answer.body);
  } catch (error) {
    if (error instanceof XmlInvalid) return error.message;
    throw error;
  }
  if (root.name !== 'problem' || root.namespace !== PROBLEM_NAMESPACE) return 'its root is another element';
  const problem = signed(root);
  const status = childOf(problem, 'status')?.text.trim();
  if (status !== undefined && status !== String(answer.status)) return 'its status contradicts that of HTTP';
  return problem;
}

/** Whether a media type is XML in UTF-8, as far as it says. */
export function isXml(contentType: string | undefined): boolean {
  if (contentType === undefined) return false;
  const [media = '', ...parameters] = contentType.toLowerCase().split(';');
  if (!/^\s*(?:application|text)\/(?:[a-z0-9.+-]+\+)?xml\s*$/.test(media)) return false;
  const charset = parameters.map((parameter) => parameter.trim()).find((parameter) => parameter.startsWith('charset='));
  return charset === undefined || /^charset="?utf-8"?$/.test(charset);
}

/** Gateways answer for DICT when it is down or busy: asking again helps. Any other foreign answer has to be looked at. */
function kindWithoutProblem(status: number): string {
  if (status === 429) return 'RateLimited';
  if (status === 500) return 'InternalServerError';
  return status > 500 ? 'ServiceUnavailable' : 'InvalidAnswer';
}

const VIOLATIONS_MAX = 100;
const DETAIL_LENGTH_MAX = 2_000;
const CORRELATION_LENGTH_MAX = 100;
/** A wish beyond this is cut: ten years and one day mean the same to whoever reads it. */
const RETRY_AFTER_SEC_MAX = 86_400;

function violationsOf(problem: XmlElement): readonly Violation[] {
  const list = childOf(problem, 'violations');
  if (list === undefined) return [];
  return childrenOf(list, 'violation')
    .slice(0, VIOLATIONS_MAX)
    .map((violation) => ({
      reason: childOf(violation, 'reason')?.text ?? '',
      value: childOf(violation, 'value')?.text ?? null,
      property: childOf(violation, 'property')?.text ?? null,
    }));
}

/** The three forms of an HTTP date (RFC 9110, section 5.6.7): the present one, RFC 850's, and that of `asctime`, which names no zone. */
const HTTP_DATES = [
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/,
  /^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/,
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/,
];

/** `Retry-After` in either of its forms, as whole seconds from now, at most a day. What is neither is as if it were not there. */
function retryAfter(header: string | undefined, now: Date): number | null {
  const text = header?.trim() ?? '';
  if (/^[0-9]{1,32}$/.test(text)) return Math.min(Number(text), RETRY_AFTER_SEC_MAX);
  if (!HTTP_DATES.some((form) => form.test(text))) return null;
  const atMs = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`);
  if (Number.isNaN(atMs)) return null;
  return Math.min(Math.max(0, Math.ceil((atMs - now.getTime()) / 1000)), RETRY_AFTER_SEC_MAX);
}
