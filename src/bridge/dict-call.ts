/**
 * One call of DICT from end to end: a token of its rate limit, the request, the answer, and a few more tries where repeating is
 * safe. Longer patience is the flow's: it survives a restart, this does not.
 */

import type { CallOptions, Policy } from '../dict/api.ts';
import { DictError } from '../dict/errors.ts';
import type { Participant } from '../dict/participant.ts';
import type { Clock } from '../platform/clock.ts';
import { parseXml, writeXml, type XmlElement, XmlInvalid, type XmlSource } from '../platform/xml.ts';
import type { Fields } from './answer-fields.ts';
import { NO_SIGNATURES, type Signatures, signedRoot } from './answer-signature.ts';
import {
  createTransport,
  DEFAULT_TRANSPORT_LIMITS,
  type HttpAnswer,
  NOTHING_SENT,
  type TlsSource,
  type Transport,
  type TransportLimits,
} from './dict-transport.ts';
import { readPolicies } from './policy-xml.ts';
import { isXml, problemOf } from './problem.ts';
import { type PolicyName, RateBudget, type RateBudgetOptions } from './rate-budget.ts';

export interface RetryPolicy {
  /** Tries in all, the first included. */
  readonly triesMax: number;
  readonly firstWaitMs: number;
  readonly factor: number;
  readonly waitMaxMs: number;
  /** A longer `Retry-After` is not sat out here: the error says it to whoever asked. */
  readonly retryAfterMaxMs: number;
}

const DEFAULT_RETRY_POLICY: RetryPolicy = {
  triesMax: 3,
  firstWaitMs: 250,
  factor: 2,
  waitMaxMs: 5_000,
  retryAfterMaxMs: 10_000,
};

export interface DictClientOptions {
  /** Base of API v2, such as `https://dict.pi.rsfn.net.br:16422/api/v2/`. */
  readonly apiUrl: string;
  /** Waits between tries and token buckets run on it. Limits on the network do not: see dict-transport.ts. */
  readonly clock: Clock;
  /** 0 up to but not 1, for the jitter of waits. */
  readonly random: () => number;
  readonly limits?: Partial<TransportLimits>;
  readonly retry?: Partial<RetryPolicy>;
  readonly budget?: RateBudgetOptions;
  /** Default: nothing is signed and nothing verified. */
  readonly signatures?: Signatures;
  /** Default: no certificate of ours, and the authorities that Node knows. */
  readonly tls?: TlsSource;
}

/** What an operation is, apart from one call's values. */
export interface Operation {
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'PUT';
  /** The bucket it uses; null where DICT's limit cannot be known by us. */
  readonly policy: PolicyName | null;
  /** Whether carrying it out twice does no harm and costs nothing scarce. */
  readonly repeatable: boolean;
  /** Root element of its answer. */
  readonly answer: string;
}

export interface Call {
  readonly participant: Participant;
  /** Below the base, its parts already encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: XmlSource;
}

export interface Caller {
  readonly transport: Transport;
  readonly clock: Clock;
  call<T>(operation: Operation, call: Call, read: (answer: Fields) => T, options?: CallOptions): Promise<T>;
  close(): Promise<void>;
}

interface Core extends Wire {
  readonly budget: RateBudget;
  readonly clock: Clock;
  readonly random: () => number;
  readonly retry: RetryPolicy;
}

/** What an exchange needs: where to, how, and signed by whom. */
interface Wire {
  readonly transport: Transport;
  readonly base: URL;
  readonly signatures: Signatures;
}

export const LIST_POLICIES: Operation = {
  name: 'listPolicies',
  method: 'GET',
  policy: 'POLICIES_LIST',
  repeatable: true,
  answer: 'ListPoliciesResponse',
};

/**
 * What all clients of one DICT share: connections, token buckets, tries.
 *
 * @throws TypeError when `apiUrl` is no http or https URL.
 */
export function createCaller(options: DictClientOptions): Caller {
  const { clock, random } = options;
  const transport = createTransport({ ...DEFAULT_TRANSPORT_LIMITS, ...options.limits }, options.tls);
  const wire: Wire = { transport, base: baseOf(options.apiUrl), signatures: options.signatures ?? NO_SIGNATURES };
  const listPolicies = async (participant: Participant): Promise<readonly Policy[]> => {
    const answer = await exchange(wire, LIST_POLICIES, policiesCall(participant));
    return readPolicies(openAnswer(wire, LIST_POLICIES, answer, clock.now()));
  };
  const budget = new RateBudget({ clock, listPolicies }, options.budget ?? {});
  const core: Core = { ...wire, budget, clock, random, retry: { ...DEFAULT_RETRY_POLICY, ...options.retry } };
  return {
    transport,
    clock,
    call: (operation, call, read, callOptions) => callWithRetry(core, operation, call, read, callOptions ?? {}),
    close: async () => {
      budget.close();
      await transport.close();
    },
  };
}

/** GET /policies/, for the client and for the buckets that start from it. */
export function policiesCall(participant: Participant): Call {
  return { participant, path: 'policies/', headers: requestingParticipant(participant) };
}

/** The header that reads without a participant in path or query carry. */
export function requestingParticipant(participant: Participant): Readonly<Record<string, string>> {
  return { 'pi-requestingparticipant': participant };
}

function baseOf(apiUrl: string): URL {
  const url = URL.parse(apiUrl.endsWith('/') ? apiUrl : `${apiUrl}/`);
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new TypeError(`apiUrl: "${apiUrl}" is not an http or https URL (such as https://dict.pi.rsfn.net.br:16422/api/v2/)`);
  }
  return url;
}

async function callWithRetry<T>(
  core: Core,
  operation: Operation,
  call: Call,
  read: (answer: Fields) => T,
  options: CallOptions,
): Promise<T> {
  const triesMax = operation.repeatable ? core.retry.triesMax : 1;
  // Ends with `triesMax`, where no further wait is granted.
  for (let tries = 1; ; tries += 1) {
    try {
      return read(await once(core, operation, call, options));
    } catch (error) {
      const waitMs = error instanceof DictError && tries < triesMax ? waitBefore(core, error, tries) : null;
      if (waitMs === null) throw error;
      await core.clock.sleep(waitMs, options.signal);
    }
  }
}

/** Milliseconds until the next try, or null when there shall be none. */
function waitBefore(core: Core, error: DictError, tries: number): number | null {
  // Its own wait for a token was as long as it may be.
  if (error.remedy !== 'retry' || error.kind === 'NoTokens') return null;
  const { firstWaitMs, factor, waitMaxMs, retryAfterMaxMs } = core.retry;
  const asked = (error.retryAfterSec ?? 0) * 1000;
  if (asked > retryAfterMaxMs) return null;
  const wait = Math.min(firstWaitMs * factor ** (tries - 1), waitMaxMs);
  // Half of it at random, so that callers who failed together do not come back together; never before DICT asked.
  return Math.max(asked, wait / 2) + (wait / 2) * core.random();
}

async function once(core: Core, operation: Operation, call: Call, options: CallOptions): Promise<Fields> {
  const { policy } = operation;
  const lease =
    policy === null ? null : await core.budget.acquire(call.participant, policy, options.priority ?? 'routine', options.signal);
  // Until more is known, DICT may have charged the call.
  let charged: number | null = 0;
  try {
    const answer = await exchange(core, operation, call, options.signal);
    charged = answer.status;
    return openAnswer(core, operation, answer, core.clock.now());
  } catch (error) {
    if (error instanceof DictError && NOTHING_SENT.has(error.kind)) charged = null;
    throw error;
  } finally {
    lease?.end(charged);
  }
}

/** The one place where a body is sent: it is signed here. Requests are never compressed. */
function exchange(wire: Wire, operation: Operation, call: Call, signal?: AbortSignal): Promise<HttpAnswer> {
  const url = new URL(call.path, wire.base);
  for (const [name, value] of Object.entries(call.query ?? {})) url.searchParams.set(name, value);
  const { sign } = wire.signatures;
  const document = call.body === undefined ? null : writeXml(call.body);
  const body = document === null || sign === null ? document : sign(document);
  const headers = {
    accept: 'application/xml, application/problem+xml',
    'user-agent': 'dict-vsync',
    ...(body === null ? {} : { 'content-type': 'application/xml; charset=UTF-8' }),
    ...call.headers,
  };
  return wire.transport.send({ operation: operation.name, method: operation.method, url, headers, body }, signal);
}

/** The one place where an answer is read: its signature is verified here. */
function openAnswer({ signatures }: Wire, operation: Operation, answer: HttpAnswer, now: Date): Fields {
  const { name } = operation;
  const signed = (root: XmlElement): XmlElement => signedRoot(signatures, root, { operation: name, status: answer.status, now });
  if (answer.status !== 200 && answer.status !== 201) throw problemOf(name, answer, now, signed);
  if (!isXml(answer.headers['content-type'])) {
    throw new DictError('InvalidAnswer', answer.status, `${name}: the answer's content type is not XML in UTF-8`);
  }
  const root = signed(rootOf(name, answer));
  if (root.name !== operation.answer) {
    throw new DictError('InvalidAnswer', answer.status, `${name}: the answer's root element is not ${operation.answer}`);
  }
  return { element: root, operation: name, status: answer.status, path: root.name };
}

function rootOf(operation: string, answer: HttpAnswer): XmlElement {
  try {
    return parseXml(answer.body);
  } catch (cause) {
    if (!(cause instanceof XmlInvalid)) throw cause;
    throw new DictError('InvalidAnswer', answer.status, `${operation}: ${cause.message}`, { cause });
  }
}
