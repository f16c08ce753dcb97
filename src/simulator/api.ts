/**
 * The API as a function from request to answer: find the operation, let misbehaviour in, keep the token buckets, run it, and
 * turn refusals into problem documents. Knows nothing of sockets.
 */

import { isParticipant } from '../dict/participant.ts';
import { element, parseXml, writeXml, type XmlElement, XmlInvalid } from '../platform/xml.ts';
import type { Answer } from './answer.ts';
import { type Behaviour, marked, misbehave, type OperationCall } from './behaviour.ts';
import { isoOf, type Parts, type Reply, textAt } from './call.ts';
import { distorted } from './distortion.ts';
import type { Operation } from './operation.ts';
import { type OperationRow, operationAt, requesterIn, soapOperationAt } from './operation-table.ts';
import { Problem, problemAnswer } from './problem.ts';
import { signedAnswer, signedDocument } from './signature.ts';
import { payloadOf, soapAnswer } from './soap.ts';

export interface ApiRequest {
  readonly method: string;
  /** As it came, with its query. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Uint8Array;
}

/** Null: the connection is to be broken. */
export type ApiOutcome = Answer | null;

export interface Api {
  handle(request: ApiRequest): Promise<ApiOutcome>;
  /** How often each operation was answered with which status, such as `getEntryByCid 404`. */
  counts(): Readonly<Record<string, number>>;
}

const BASE_PATH = '/api/v2';

interface Located {
  readonly row: OperationRow;
  readonly argument: string;
  /** Whether it came over SOAP; `document` is then the envelope's payload. */
  readonly soap: boolean;
  readonly query: URLSearchParams;
  readonly document: XmlElement | null;
  readonly call: OperationCall;
}

/** The API over the simulator's parts; each behaviour is asked in turn. */
export function createApi(parts: Parts, behaviours: readonly Behaviour[]): Api {
  const counts: Record<string, number> = {};
  const correlationId = (): string => parts.random.hex(16);
  const deps = { behaviours, clock: parts.settings.clock, correlationId };

  function count(operation: Operation | 'unknown', status: number): void {
    const name = `${operation} ${status}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }

  function refusal(error: unknown): Answer {
    if (error instanceof Problem) return problemAnswer(error, correlationId());
    return problemAnswer(new Problem('InternalServerError', 'Unexpected condition'), correlationId());
  }

  async function handle(request: ApiRequest): Promise<ApiOutcome> {
    const { outcome, soap } = await answered(request);
    if (outcome === null) return null;
    const signed = signedAnswer(parts.settings, distorted(outcome));
    return soap ? soapAnswer(signed) : signed;
  }

  async function answered(request: ApiRequest): Promise<{ readonly outcome: ApiOutcome; readonly soap: boolean }> {
    let located: Located;
    try {
      located = locate(parts, request);
    } catch (error) {
      const answer = refusal(error);
      count('unknown', answer.status);
      return { outcome: answer, soap: false };
    }
    const outcome = await perform(located, request);
    count(located.row.operation, outcome?.status ?? 0);
    return { outcome, soap: located.soap };
  }

  async function perform(located: Located, request: ApiRequest): Promise<ApiOutcome> {
    const { row, call } = located;
    const before = await misbehave(deps, (behaviour) => behaviour.before?.(call));
    if (before.struck) return marked(charged(located, before.outcome), before.marks);
    if (call.participant !== null && row.policy !== null && !parts.buckets.allows(call.participant, row.policy)) {
      return charged(located, refusal(new Problem('RateLimited', '')));
    }
    const answer = run(located, request);
    charged(located, answer);
    const after = await misbehave(deps, (behaviour) => behaviour.after?.(call, answer));
    return marked(after.struck ? after.outcome : answer, { ...before.marks, ...after.marks });
  }

  function charged(located: Located, outcome: ApiOutcome): ApiOutcome {
    const { participant } = located.call;
    const { policy } = located.row;
    if (outcome !== null && participant !== null && policy !== null) parts.buckets.charge(participant, policy, outcome.status);
    return outcome;
  }

  function run(located: Located, request: ApiRequest): Answer {
    const { row, argument, query } = located;
    const nowMs = parts.settings.clock.now().getTime();
    try {
      const document = row.method === 'GET' ? null : checkedBody(parts, request, located);
      return written(parts, row.run(parts, { argument, query, headers: request.headers, document, nowMs }));
    } catch (error) {
      return refusal(error);
    }
  }

  return { handle, counts: () => ({ ...counts }) };
}

function locate(parts: Parts, request: ApiRequest): Located {
  const url = URL.parse(request.url, 'http://dict.invalid');
  const path = url?.pathname ?? '';
  const soapRow = soapOperationAt(request.method, path);
  const restFound = path.startsWith(`${BASE_PATH}/`) ? operationAt(request.method, path.slice(BASE_PATH.length)) : null;
  const found = soapRow === null ? restFound : { row: soapRow, argument: '' };
  if (url === null || found === null) throw new Problem('NotFound', `There is no operation at ${request.method} ${path}`);
  const body = found.row.method === 'GET' ? null : readable(request.body);
  const document = soapRow === null ? body : payloadOf(body);
  const named =
    requesterIn(found.row, request.headers, url.searchParams, document) ??
    // An update of nothing but the owner names no participant: it is the one who has the entry.
    (found.row.operation === 'updateEntry' ? parts.directory.byKey(found.argument)?.participant : undefined) ??
    null;
  const participant = named !== null && isParticipant(named) ? named : null;
  return {
    ...found,
    soap: soapRow !== null,
    query: url.searchParams,
    document,
    call: { operation: found.row.operation, participant, path, ...subjectOf(found.row.operation, found.argument, document) },
  };
}

/** What the call is about, as far as sentinel values care. */
function subjectOf(operation: Operation, argument: string, document: XmlElement | null): Pick<OperationCall, 'cid' | 'key'> {
  if (operation === 'getEntryByCid') return { cid: argument.toLowerCase(), key: null };
  if (operation === 'createEntry') return { cid: null, key: document === null ? null : textAt(document, 'Entry', 'Key') };
  const ofEntry = operation === 'getEntry' || operation === 'updateEntry' || operation === 'deleteEntry';
  return { cid: null, key: ofEntry ? argument : null };
}

/** The body as XML, or null where it is none: the complaint comes later, after the bucket was asked. */
function readable(body: Uint8Array): XmlElement | null {
  try {
    return parseXml(body);
  } catch (error) {
    if (error instanceof XmlInvalid) return null;
    throw error;
  }
}

const CONTENT_TYPE = /^application\/xml\s*(;\s*charset="?utf-8"?\s*)?$/i;
const SOAP_CONTENT_TYPE = /^text\/xml\s*(;\s*charset="?utf-8"?\s*)?$/i;

/** The body, of which only what was signed is left where signatures are verified. */
function checkedBody(parts: Parts, request: ApiRequest, { soap, document }: Located): XmlElement {
  if (request.headers['content-encoding'] !== undefined) {
    throw new Problem('BadRequest', 'Could not parse request body: requests must not be compressed');
  }
  if (!(soap ? SOAP_CONTENT_TYPE : CONTENT_TYPE).test(request.headers['content-type'] ?? '')) {
    const wanted = soap ? 'text/xml; charset=utf-8' : 'application/xml; charset=UTF-8';
    throw new Problem('BadRequest', `Could not parse request body: Content-Type is not ${wanted}`);
  }
  if (soap && request.headers['soapaction']?.replaceAll('"', '') !== 'GetKeys') {
    throw new Problem('BadRequest', 'Could not parse request: SOAPAction is not GetKeys');
  }
  const wanted = soap ? 'one document in an envelope of SOAP 1.1' : 'XML in UTF-8';
  if (document === null) throw new Problem('BadRequest', `Could not parse request body: it is not ${wanted}`);
  return signedDocument(parts.settings, document);
}

function written(parts: Parts, reply: Reply): Answer {
  const time = element('ResponseTime', isoOf(parts.settings.clock.now().getTime()));
  const correlation = element('CorrelationId', parts.random.hex(16));
  const stamps = reply.correlationFirst === true ? [correlation, time] : [time, correlation];
  const children = reply.stampsLast === true ? [...reply.children, ...stamps] : [...stamps, ...reply.children];
  return {
    status: reply.status,
    headers: { 'Content-Type': 'application/xml; charset=UTF-8' },
    body: writeXml(element(reply.name, children)),
  };
}
