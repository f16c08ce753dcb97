/**
 * HTTP to DICT: connections that are kept, a limit on every wait and every size, and failures named as `DictError`. One request
 * in, one answer's bytes out; what they say is read elsewhere. Mutual TLS comes in where the agent is made.
 *
 * Time limits run on the system's clock even where the rest of the program runs on a faster one: the network does not speed up.
 */

import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { Agent, type Dispatcher, errors } from 'undici';
import { DictError } from '../dict/errors.ts';

export interface TransportLimits {
  /** Connections kept to one host. */
  readonly connections: number;
  /** Until the connection stands. */
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

/** Opens no connection yet; `close` breaks off what is under way. */
export function createTransport(limits: TransportLimits): Transport {
  const agent = new Agent({
    connections: limits.connections,
    pipelining: 1,
    connect: { timeout: limits.connectMs },
    keepAliveTimeout: 10_000,
    // DICT says in `Keep-Alive: timeout=` how long it waits; undici honours it up to this.
    keepAliveMaxTimeout: 300_000,
    headersTimeout: limits.callMs,
    bodyTimeout: limits.callMs,
    maxHeaderSize: 32 * 1024,
    allowH2: false,
  });
  return {
    limits,
    send: (request, signal) => send(agent, limits, request, signal),
    open: (operation, url, headers, signal) => open(agent, limits, { operation, url, headers }, signal),
    close: () => agent.destroy(),
  };
}

async function send(agent: Agent, limits: TransportLimits, request: HttpRequest, signal?: AbortSignal): Promise<HttpAnswer> {
  signal?.throwIfAborted();
  const limit = AbortSignal.timeout(limits.callMs);
  const { operation, url, method } = request;
  try {
    const answer = await agent.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method,
      headers: { ...request.headers, 'accept-encoding': 'gzip' },
      body: request.body,
      signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
    });
    const headers = flattened(answer.headers);
    const bytes = await collected(operation, answer, limits.answerBytesMax);
    return { status: answer.statusCode, headers, body: await uncompressed(operation, answer.statusCode, headers, bytes, limits) };
  } catch (error) {
    signal?.throwIfAborted();
    if (limit.aborted) throw new DictError('Timeout', 0, `${operation}: no answer within ${limits.callMs} ms`, { cause: error });
    throw transportError(operation, error);
  }
}

async function open(
  agent: Agent,
  limits: TransportLimits,
  request: { readonly operation: string; readonly url: URL; readonly headers: Readonly<Record<string, string>> },
  signal?: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  signal?.throwIfAborted();
  const { operation, url, headers } = request;
  try {
    return await agent.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method: 'GET',
      headers: { ...headers, 'user-agent': 'dict-vsync' },
      headersTimeout: limits.idleMs,
      bodyTimeout: limits.idleMs,
      signal: signal ?? null,
    });
  } catch (error) {
    signal?.throwIfAborted();
    throw transportError(operation, error);
  }
}

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
