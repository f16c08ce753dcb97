/**
 * HTTP to DICT: connections that are kept, a limit on every wait and every size, and failures named as `DictError`. One request
 * in, one answer's bytes out; what they say is read elsewhere. Connections are secured by tls-connector.ts. API and files go over the same
 * connections' pool, as far as they share a host.
 *
 * Time limits, and the validity of certificates, go by the system's clock even where the rest of the program runs on a faster one: the
 * network does not speed up.
 */

import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { Agent, type Dispatcher, errors } from 'undici';
import { DictError } from '../dict/errors.ts';
import { systemClock } from '../platform/clock.ts';
import type { TlsIdentity } from '../platform/tls-files.ts';
import { tlsConnector } from './tls-connector.ts';
import { aboutOurs, type TlsAttempt, tlsFailure } from './tls-failure.ts';

export interface TransportLimits {
  /** Connections kept to one host. */
  readonly connections: number;
  /** Until the connection stands, TLS included. */
  readonly connectMs: number;
  /** From the request to the answer's last byte. */
  readonly callMs: number;
  /** Largest answer, compressed and not; a file has a limit of its own. */
  readonly answerBytesMax: number;
  /** Longest pause between two bytes of a file. */
  readonly idleMs: number;
}

export const DEFAULT_TRANSPORT_LIMITS: TransportLimits = {
  connections: 32,
  connectMs: 5_000,
  callMs: 15_000,
  answerBytesMax: 1024 * 1024,
  idleMs: 60_000,
};

export interface HttpRequest {
  /** The operation's name, for error messages. */
  readonly operation: string;
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

export interface HttpAnswer {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Uncompressed. */
  readonly body: Uint8Array;
}

export interface Transport {
  readonly limits: TransportLimits;
  send(request: HttpRequest, signal?: AbortSignal): Promise<HttpAnswer>;
  /** Opens a GET whose body is read as it comes; the caller reads it to the end or destroys it. */
  open(
    operation: string,
    url: URL,
    headers: Readonly<Record<string, string>>,
    signal?: AbortSignal,
  ): Promise<Dispatcher.ResponseData>;
  close(): Promise<void>;
}

const inflate = promisify(gunzip);

/** What secures connections, asked for before each call: a new object leads to new connections. */
export type TlsSource = () => TlsIdentity;

/**
 * The connections of one identity. Where the identity changes, calls under way end on the old ones, and new calls make new ones.
 */
interface Pool {
  readonly agent: Agent;
  /** Null: what Node trusts, and no certificate of ours. */
  readonly identity: TlsIdentity | null;
  /** Errors of connections that did not come to stand: nothing was sent. */
  readonly unsent: WeakSet<object>;
  /** Aborted when everything is closed: an agent that is being closed already knows its calls no more, so that `destroy` ends none. */
  readonly closing: AbortController;
  /** Whether anything was ever answered over TLS: then our certificate is accepted. */
  accepted: boolean;
}

interface Wire {
  readonly limits: TransportLimits;
  /** The pool for a call that begins now. */
  readonly pool: () => Pool;
}

/** Opens no connection yet; `close` breaks off what is under way. */
export function createTransport(limits: TransportLimits, tls: TlsSource | null = null): Transport {
  // Those whose calls have not ended.
  const pools = new Set<Pool>();
  let current: Pool | null = null;
  const pool = (): Pool => {
    const identity = tls === null ? null : tls();
    if (current !== null && current.identity === identity) return current;
    const old = current;
    current = openPool(limits, identity);
    pools.add(current);
    // Ends when its calls have, or when everything is closed.
    if (old !== null) void Promise.allSettled([old.agent.close()]).then(() => pools.delete(old));
    return current;
  };
  const wire: Wire = { limits, pool };
  return {
    limits,
    send: (request, signal) => send(wire, request, signal),
    open: (operation, url, headers, signal) => open(wire, { operation, url, headers }, signal),
    close: async () => {
      for (const { closing } of pools) closing.abort(new errors.ClientDestroyedError());
      await Promise.all([...pools].map(({ agent }) => agent.destroy()));
    },
  };
}

function openPool(limits: TransportLimits, identity: TlsIdentity | null): Pool {
  const unsent = new WeakSet<object>();
  const connect =
    identity === null
      ? ({ timeout: limits.connectMs, rejectUnauthorized: true, minVersion: 'TLSv1.2', maxCachedSessions: 0 } as const)
      : tlsConnector(identity, limits.connectMs, (error) => unsent.add(error));
  const agent = new Agent({
    connections: limits.connections,
    pipelining: 1,
    connect,
    // DICT says in `Keep-Alive: timeout=` how long it waits, and undici leaves a connection 2 s before; where a server says nothing, most
    // wait 5 s or more.
    keepAliveTimeout: 4_000,
    keepAliveMaxTimeout: 300_000,
    headersTimeout: limits.callMs,
    bodyTimeout: limits.callMs,
    maxHeaderSize: 32 * 1024,
    allowH2: false,
  });
  return { agent, identity, unsent, closing: new AbortController(), accepted: false };
}

async function send({ limits, pool }: Wire, request: HttpRequest, signal?: AbortSignal): Promise<HttpAnswer> {
  signal?.throwIfAborted();
  const { operation, url, method } = request;
  const used = pool();
  const limit = callLimit(limits.callMs, used.closing.signal, signal);
  try {
    const answer = await used.agent.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method,
      headers: { ...request.headers, 'accept-encoding': 'gzip' },
      body: request.body,
      signal: limit.signal,
    });
    if (url.protocol === 'https:') used.accepted = true;
    const headers = flattened(answer.headers);
    const bytes = await collected(operation, answer, limits.answerBytesMax);
    return { status: answer.statusCode, headers, body: await uncompressed(operation, answer.statusCode, headers, bytes, limits) };
  } catch (error) {
    signal?.throwIfAborted();
    if (limit.isOver()) throw new DictError('Timeout', 0, `${operation}: no answer within ${limits.callMs} ms`, { cause: error });
    throw callError(operation, url, used, error);
  } finally {
    limit.end();
  }
}

interface CallLimit {
  readonly signal: AbortSignal;
  /** Whether the call's time is over. */
  isOver(): boolean;
  /** The call has ended: nothing of this is kept. */
  end(): void;
}

/**
 * Aborted when the call's time is over, when everything is closed, or by the caller. By hand, since `AbortSignal.timeout` and `any` are
 * kept for the whole time however soon the call has ended.
 */
function callLimit(callMs: number, closing: AbortSignal, given: AbortSignal | undefined): CallLimit {
  const controller = new AbortController();
  let isOver = false;
  const onClosing = (): void => controller.abort(closing.reason);
  const onGiven = (): void => controller.abort(given?.reason);
  const timer = setTimeout(() => {
    isOver = true;
    controller.abort(new DOMException('the call took too long', 'TimeoutError'));
  }, callMs);
  if (closing.aborted) onClosing();
  closing.addEventListener('abort', onClosing);
  given?.addEventListener('abort', onGiven);
  return {
    signal: controller.signal,
    isOver: () => isOver,
    end: () => {
      clearTimeout(timer);
      closing.removeEventListener('abort', onClosing);
      given?.removeEventListener('abort', onGiven);
    },
  };
}

async function open(
  { limits, pool }: Wire,
  request: { readonly operation: string; readonly url: URL; readonly headers: Readonly<Record<string, string>> },
  signal?: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  signal?.throwIfAborted();
  const { operation, url, headers } = request;
  const used = pool();
  try {
    const answer = await used.agent.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method: 'GET',
      headers: { ...headers, 'user-agent': 'dict-vsync' },
      headersTimeout: limits.idleMs,
      bodyTimeout: limits.idleMs,
      signal: signal === undefined ? used.closing.signal : AbortSignal.any([signal, used.closing.signal]),
    });
    if (url.protocol === 'https:') used.accepted = true;
    return answer;
  } catch (error) {
    signal?.throwIfAborted();
    throw callError(operation, url, used, error);
  }
}

/** What a failed call means, told by how far it came. */
function callError(operation: string, url: URL, pool: Pool, error: unknown): DictError {
  if (error instanceof DictError || url.protocol !== 'https:') return transportError(operation, error);
  const attempt: TlsAttempt = { host: url.host, certificate: pool.identity?.certificate ?? null, now: systemClock.now() };
  const named = tlsFailure(operation, error, attempt);
  if (named !== null) return named;
  const failure = transportError(operation, error);
  if (failure.kind !== 'ConnectionLost') return failure;
  const hint = pool.accepted ? '' : `; if it always does, ${url.host} may be refusing our certificate: ${aboutOurs(attempt)}`;
  if (!unsent(pool, error)) return new DictError('ConnectionLost', 0, failure.message + hint, { cause: error });
  const detail = codeOf(error) === '' ? String(error) : codeOf(error);
  return new DictError('Unreachable', 0, `${operation}: no TLS connection came to stand (${detail})${hint}`, { cause: error });
}

function unsent(pool: Pool, error: unknown): boolean {
  return error instanceof Error && pool.unsent.has(error);
}

/** Kinds of errors after which DICT cannot have charged the call. */
export const NOTHING_SENT: ReadonlySet<string> = new Set([
  'Unreachable',
  'ServerCertificateUntrusted',
  'ServerNameMismatch',
  'ServerCertificateExpired',
  'ClientCertificateRefused',
  'TlsFailed',
]);

/** Header names lower-case, repeated headers joined as HTTP allows. */
export function flattened(headers: Dispatcher.ResponseData['headers']): Readonly<Record<string, string>> {
  const flat: [string, string][] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat.push([name.toLowerCase(), Array.isArray(value) ? value.join(', ') : value]);
  }
  return Object.fromEntries(flat);
}

async function collected(operation: string, answer: Dispatcher.ResponseData, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer.body) {
    const piece: unknown = chunk;
    if (!(piece instanceof Uint8Array)) throw new TypeError(`${operation}: the body is not made of bytes`);
    bytes += piece.byteLength;
    // Leaving the loop destroys the body, and with it the connection.
    if (bytes > bytesMax)
      throw new DictError('InvalidAnswer', answer.statusCode, `${operation}: the answer exceeds ${bytesMax} bytes`);
    chunks.push(Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength));
  }
  return Buffer.concat(chunks);
}

async function uncompressed(
  operation: string,
  status: number,
  headers: Readonly<Record<string, string>>,
  bytes: Buffer,
  limits: TransportLimits,
): Promise<Uint8Array> {
  const encoding = (headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  if (encoding === 'identity' || encoding === '') return bytes;
  if (encoding !== 'gzip' && encoding !== 'x-gzip') {
    throw new DictError('InvalidAnswer', status, `${operation}: the answer's Content-Encoding "${encoding}" is not gzip`);
  }
  try {
    return await inflate(bytes, { maxOutputLength: limits.answerBytesMax });
  } catch (cause) {
    const why = codeOf(cause) === 'ERR_BUFFER_TOO_LARGE' ? `exceeds ${limits.answerBytesMax} bytes uncompressed` : 'is not gzip';
    throw new DictError('InvalidAnswer', status, `${operation}: the answer ${why}`, { cause });
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

const nothingSent: ReadonlySet<string> = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);
const tooLate: ReadonlySet<string> = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT']);

/** What a failure below HTTP means for the caller. A `DictError` stays what it is. */
export function transportError(operation: string, error: unknown): DictError {
  if (error instanceof DictError) return error;
  const code = codeOf(error);
  const detail = code === '' ? String(error instanceof Error ? error.message : error) : code;
  if (nothingSent.has(code))
    return new DictError('Unreachable', 0, `${operation}: DICT cannot be reached (${detail})`, { cause: error });
  if (tooLate.has(code)) return new DictError('Timeout', 0, `${operation}: DICT fell silent (${detail})`, { cause: error });
  // What does not parse as HTTP, or whose header section is too large.
  if (error instanceof errors.HTTPParserError || code === 'UND_ERR_HEADERS_OVERFLOW') {
    return new DictError('InvalidAnswer', 0, `${operation}: the answer is not HTTP (${detail})`, { cause: error });
  }
  return new DictError('ConnectionLost', 0, `${operation}: the connection broke (${detail})`, { cause: error });
}
