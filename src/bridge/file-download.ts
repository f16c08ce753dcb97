/**
 * A CID set file as it arrives. It lies on another host than the API, named by DICT in an answer: only hosts that are expected are
 * asked, also where one of them sends us on. A transfer that breaks off goes on where it was (file-position.ts says how), a bounded
 * number of times. Whether the content is what DICT promised is for the reader to judge.
 */

import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import type { Dispatcher } from 'undici';
import type { CallOptions } from '../dict/api.ts';
import { DictError } from '../dict/errors.ts';
import type { Clock } from '../platform/clock.ts';
import type { CallObserver } from './call-observer.ts';
import type { Circuit } from './circuit.ts';
import { flattened, type Transport, transportError } from './dict-transport.ts';
import { type FilePosition, placeOf, requestHeaders } from './file-position.ts';
import { type RetryPolicy, waitBefore } from './retry.ts';

const OPERATION = 'downloadCidSetFile';
const REDIRECTS_MAX = 3;
/** Each has brought some bytes; without any, the policy of tries ends it sooner. */
const RESUMES_MAX = 100;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export interface FileDownloadDeps {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: () => number;
  /** Its tries are those in a row that brought nothing. */
  readonly retry: RetryPolicy;
  readonly observer: CallObserver;
  /** The circuit of a host; ports of one host share it. */
  readonly circuitOf: (hostname: string) => Circuit;
  /** Hosts that files may be read from: `files.example` on any port, `files.example:8443` on that one. */
  readonly filesHosts: readonly string[];
  /** Whether plain http is accepted: only where the API itself is spoken to so. */
  readonly plainAllowed: boolean;
}

/**
 * The file's bytes from `from` on, uncompressed; an error after `bytesMax` of the whole. Leaving the loop early closes the connection.
 * Rejects with `FileChanged` where it cannot go on because the file is another one by now.
 */
export async function* downloadFile(
  deps: FileDownloadDeps,
  request: { readonly url: string; readonly bytesMax: number; readonly from?: number },
  options: CallOptions = {},
): AsyncIterable<Uint8Array> {
  const position: FilePosition = { bytes: request.from ?? 0, validator: null };
  let fruitless = 0;
  // Ends with the file, or at one of the two bounds.
  for (let resumes = 0; ; resumes += 1) {
    const before = position.bytes;
    try {
      yield* transfer(deps, request, position, options.signal);
      return;
    } catch (error) {
      options.signal?.throwIfAborted();
      const failure = fileError(error);
      fruitless = position.bytes > before ? 1 : fruitless + 1;
      const waitMs = resumes < RESUMES_MAX ? waitBefore(deps.retry, deps.random, failure, fruitless) : null;
      if (waitMs === null) throw failure;
      await deps.clock.sleep(waitMs, options.signal);
      deps.observer.downloadResumed(failure.kind);
    }
  }
}

/** One transfer, from the position on, which it moves along. */
async function* transfer(
  deps: FileDownloadDeps,
  request: { readonly url: string; readonly bytesMax: number },
  position: FilePosition,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const answer = await follow(deps, request.url, position, signal);
  let content: Readable = answer.body;
  try {
    const headers = flattened(answer.headers);
    let skip = placeOf(OPERATION, position, answer.statusCode, headers);
    content = contentOf(answer, headers);
    for await (const chunk of content) {
      const piece: unknown = chunk;
      if (!(piece instanceof Uint8Array)) throw new TypeError(`${OPERATION}: the body is not made of bytes`);
      const fresh = piece.subarray(skip);
      skip = Math.max(0, skip - piece.byteLength);
      if (fresh.byteLength === 0) continue;
      position.bytes += fresh.byteLength;
      deps.observer.downloaded(fresh.byteLength);
      if (position.bytes > request.bytesMax) {
        throw new DictError('InvalidAnswer', 200, `${OPERATION}: the file is longer than ${request.bytesMax} bytes`);
      }
      yield fresh;
    }
    if (skip > 0)
      throw new DictError('FileChanged', 200, `${OPERATION}: the file is ${skip} bytes shorter than what was read of it`);
  } finally {
    answer.body.on('error', () => undefined).destroy();
    content.destroy();
  }
}

function contentOf(answer: Dispatcher.ResponseData, headers: Readonly<Record<string, string>>): Readable {
  const encoding = (headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  if (encoding === 'identity') return answer.body;
  if (encoding === 'gzip' || encoding === 'x-gzip') return inflated(answer.body);
  throw new DictError('InvalidAnswer', 200, `${OPERATION}: the Content-Encoding "${encoding}" is not gzip`);
}

function inflated(body: Readable): Readable {
  const gunzip = createGunzip();
  // The error reaches the reader through `gunzip`, which the pipeline destroys with it.
  pipeline(body, gunzip).catch(() => undefined);
  return gunzip;
}

function fileError(error: unknown): DictError {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (code.startsWith('Z_'))
    return new DictError('InvalidAnswer', 200, `${OPERATION}: the content is not whole gzip`, { cause: error });
  return transportError(OPERATION, error);
}

async function follow(
  deps: FileDownloadDeps,
  firstUrl: string,
  position: FilePosition,
  signal: AbortSignal | undefined,
): Promise<Dispatcher.ResponseData> {
  let url = permitted(deps, firstUrl, undefined);
  for (let hops = 0; hops <= REDIRECTS_MAX; hops += 1) {
    const here = url;
    const answer = await deps.circuitOf(here.hostname).run(OPERATION, () => open(deps, here, position, signal));
    if (!redirects.has(answer.statusCode)) return answer;
    answer.body.on('error', () => undefined).destroy();
    const location = flattened(answer.headers)['location'];
    if (location === undefined)
      throw new DictError('InvalidAnswer', answer.statusCode, `${OPERATION}: a redirect without Location`);
    url = permitted(deps, location, url);
  }
  throw new DictError('InvalidAnswer', 302, `${OPERATION}: more than ${REDIRECTS_MAX} redirects`);
}

/** The answer of one host, to be read or followed; any other is an error. */
async function open(
  deps: FileDownloadDeps,
  url: URL,
  position: FilePosition,
  signal: AbortSignal | undefined,
): Promise<Dispatcher.ResponseData> {
  const answer = await deps.transport.open(OPERATION, url, requestHeaders(position), signal);
  const { statusCode } = answer;
  if (statusCode === 200 || (statusCode === 206 && position.bytes > 0) || redirects.has(statusCode)) return answer;
  answer.body.on('error', () => undefined).destroy();
  throw refusal(statusCode, position, flattened(answer.headers)['retry-after']);
}

/** The file server is no part of the API and sends no problem documents. */
function refusal(status: number, position: FilePosition, retryAfter: string | undefined): DictError {
  const message = `${OPERATION}: HTTP ${status}`;
  const retryAfterSec = /^[0-9]{1,9}$/.test(retryAfter ?? '') ? Number(retryAfter) : null;
  if (status === 404) return new DictError('NotFound', status, message);
  if (status === 403) return new DictError('Forbidden', status, message);
  if (status === 416 && position.bytes > 0) {
    return new DictError('FileChanged', status, `${message}: the file is not longer than the ${position.bytes} bytes read of it`);
  }
  if (status === 429) return new DictError('RateLimited', status, message, { retryAfterSec });
  if (status >= 500) return new DictError('ServiceUnavailable', status, message, { retryAfterSec });
  return new DictError('InvalidAnswer', status, message);
}

const URL_LENGTH_MAX = 500;

function permitted(deps: FileDownloadDeps, text: string, base: URL | undefined): URL {
  const url = text.length > URL_LENGTH_MAX ? null : URL.parse(text, base?.href);
  const refuse = (why: string): DictError => new DictError('InvalidAnswer', 200, `${OPERATION}: the file's URL ${why}`);
  if (url === null) throw refuse(`is no URL of at most ${URL_LENGTH_MAX} characters`);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && deps.plainAllowed))
    throw refuse(`uses ${url.protocol} instead of https`);
  if (base?.protocol === 'https:' && url.protocol !== 'https:') throw refuse('leaves https');
  if (url.username !== '' || url.password !== '') throw refuse('carries a user name');
  const places: readonly string[] = [url.host, url.hostname];
  if (!deps.filesHosts.some((host) => places.includes(host.toLowerCase()))) {
    throw refuse(
      `names the host ${url.host}, which is not among the hosts that files may come from: ${deps.filesHosts.join(', ')}`,
    );
  }
  return url;
}
