/**
 * One call of DICT from end to end: a circuit that is closed, a token of its rate limit, a place among the calls under way, the request,
 * the answer, and a few more tries (retry.ts) where repeating is safe.
 */

import type { CallOptions, Policy } from '../dict/api.ts';
import { DictError } from '../dict/errors.ts';
import type { Participant } from '../dict/participant.ts';
import type { Clock } from '../platform/clock.ts';
import { parseXml, writeXml, type XmlElement, XmlInvalid, type XmlSource } from '../platform/xml.ts';
import type { Fields } from './answer-fields.ts';
import { NO_SIGNATURES, type Signatures, signedRoot } from './answer-signature.ts';
import { type BulkheadSettings, type Bulkheads, createBulkheads, DEFAULT_BULKHEAD_SETTINGS } from './bulkhead.ts';
import { type CallObserver, SILENT_OBSERVER } from './call-observer.ts';
import { type Circuit, type CircuitSettings, createCircuit, DEFAULT_CIRCUIT_SETTINGS } from './circuit.ts';
import {
  createTransport,
  DEFAULT_TRANSPORT_LIMITS,
  type HttpAnswer,
  NOTHING_SENT,
  type TlsSource,
  type Transport,
  type TransportLimits,
} from './dict-transport.ts';
import { localBuckets } from './local-buckets.ts';
import { readPolicies } from './policy-xml.ts';
import { isXml, problemOf } from './problem.ts';
import { type Lease, type PolicyName, RateBudget, type RateBudgetOptions } from './rate-budget.ts';
import { DEFAULT_RETRY_POLICY, type RetryPolicy, waitBefore } from './retry.ts';

export interface DictClientOptions {
  /** Base of API v2, such as `https://dict.pi.rsfn.net.br:16422/api/v2/`. */
  readonly apiUrl: string;
  /** Waits between tries and token buckets run on it. Limits on the network do not: see dict-transport.ts. */
  readonly clock: Clock;
  /** 0 up to but not 1, for the jitter of waits. */
  readonly random: () => number;
  readonly limits?: Partial<TransportLimits>;
  readonly retry?: Partial<RetryPolicy>;
  readonly circuit?: Partial<CircuitSettings>;
  readonly bulkhead?: Partial<BulkheadSettings>;
  /** Default: nobody is told. */
  readonly observer?: CallObserver;
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
  readonly random: () => number;
  readonly retry: RetryPolicy;
  readonly observer: CallObserver;
  /** A circuit of its own for another host than the API's. */
  circuitOf(host: string): Circuit;
  call<T>(operation: Operation, call: Call, read: (answer: Fields) => T, options?: CallOptions): Promise<T>;
  close(): Promise<void>;
}

interface Core extends Wire {
  readonly budget: RateBudget;
  readonly circuit: Circuit;
  readonly bulkheads: Bulkheads;
  readonly random: () => number;
  readonly retry: RetryPolicy;
}

/** What an exchange needs: where to, how, and signed by whom. */
interface Wire {
  readonly transport: Transport;
  readonly base: URL;
  readonly signatures: Signatures;
  readonly observer: CallObserver;
  readonly clock: Clock;
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
  const limits = { ...DEFAULT_TRANSPORT_LIMITS, ...options.limits };
  const transport = createTransport(limits, options.tls);
  const observer = options.observer ?? SILENT_OBSERVER;
  const base = baseOf(options.apiUrl);
  const wire: Wire = { transport, base, signatures: options.signatures ?? NO_SIGNATURES, observer, clock };
  const circuitSettings = { ...DEFAULT_CIRCUIT_SETTINGS, ...options.circuit };
  const circuitOf = (host: string): Circuit => createCircuit({ clock, observer }, host, circuitSettings);
  const circuit = circuitOf(base.host);
  const listPolicies = (participant: Participant): Promise<readonly Policy[]> =>
    circuit.run(LIST_POLICIES.name, async () => {
      const answer = await exchange(wire, LIST_POLICIES, policiesCall(participant));
      return readPolicies(openAnswer(wire, LIST_POLICIES, answer, clock.now()));
    });
  const store = options.budget?.store ?? localBuckets(clock);
  const budget = new RateBudget({ clock, store, listPolicies }, options.budget ?? {});
  const bulkheads = createBulkheads(wire, { ...DEFAULT_BULKHEAD_SETTINGS, ...options.bulkhead }, limits.connections);
  const retry = { ...DEFAULT_RETRY_POLICY, ...options.retry };
  const core: Core = { ...wire, budget, circuit, bulkheads, random, retry };
  return {
    ...{ transport, clock, random, retry, observer, circuitOf },
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
  const { clock, observer } = core;
  const policy = operation.repeatable ? core.retry : { ...core.retry, triesMax: 1 };
  const startMs = clock.now().getTime();
  const ended = (outcome: string): void => observer.called(operation.name, outcome, clock.now().getTime() - startMs);
  // Ends with the policy's `triesMax`, where no further wait is granted.
  for (let tries = 1; ; tries += 1) {
    try {
      const answer = read(await once(core, operation, call, options));
      ended('ok');
      return answer;
    } catch (error) {
      const waitMs = error instanceof DictError ? waitBefore(policy, core.random, error, tries) : null;
      if (waitMs === null || !(error instanceof DictError)) {
        ended(error instanceof DictError ? error.kind : 'given-up');
        throw error;
      }
      observer.retried(operation.name, error.kind);
      await sleep(core, waitMs, options.signal, ended);
    }
  }
}

async function sleep(
  { clock }: Core,
  waitMs: number,
  signal: AbortSignal | undefined,
  ended: (outcome: string) => void,
): Promise<void> {
  try {
    await clock.sleep(waitMs, signal);
  } catch (reason) {
    ended('given-up');
    throw reason;
  }
}

/** Before these nothing was sent: no token is spent. */
const unsent: ReadonlySet<string> = new Set([...NOTHING_SENT, 'CircuitOpen', 'BulkheadFull']);

async function once(core: Core, operation: Operation, call: Call, options: CallOptions): Promise<Fields> {
  const { circuit, bulkheads, clock } = core;
  const { name } = operation;
  circuit.check(name);
  const priority = options.priority ?? 'routine';
  const lease = operation.policy === null ? null : await tokenOf(core, operation.policy, call, { ...options, priority });
  // Until a request goes out, nothing is owed; from then on, until more is known, DICT may have charged the call.
  let charged: number | null = null;
  const asked = async (): Promise<Fields> => {
    charged = 0;
    const answer = await exchange(core, operation, call, options.signal);
    charged = answer.status;
    return openAnswer(core, operation, answer, clock.now());
  };
  try {
    const kind = { participant: call.participant, policy: operation.policy ?? name, priority };
    return await bulkheads.run(name, kind, () => circuit.run(name, asked), options.signal);
  } catch (error) {
    if (error instanceof DictError && unsent.has(error.kind)) charged = null;
    throw error;
  } finally {
    lease?.end(charged);
  }
}

async function tokenOf(
  { budget, clock, observer }: Core,
  policy: PolicyName,
  { participant }: Call,
  { priority, signal }: CallOptions & { readonly priority: NonNullable<CallOptions['priority']> },
): Promise<Lease> {
  const startMs = clock.now().getTime();
  try {
    return await budget.acquire(participant, policy, priority, signal);
  } finally {
    observer.tokenWaited(policy, priority, clock.now().getTime() - startMs);
  }
}

/** The one place where a body is sent: it is signed here. Requests are never compressed. */
async function exchange(wire: Wire, operation: Operation, call: Call, signal?: AbortSignal): Promise<HttpAnswer> {
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
  const { clock, observer } = wire;
  const startMs = clock.now().getTime();
  let status = 0;
  try {
    const answer = await wire.transport.send({ operation: operation.name, method: operation.method, url, headers, body }, signal);
    status = answer.status;
    return answer;
  } finally {
    observer.exchanged(operation.name, status, clock.now().getTime() - startMs);
  }
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
