/**
 * A CID set file as it arrives. It lies on another host than the API, named by DICT in an answer: only hosts that are expected are
 * asked, also where one of them sends us on. Whether the content is what DICT promised is for the reader to judge.
 */

import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import type { Dispatcher } from 'undici';
import type { CallOptions } from '../dict/api.ts';
import { DictError } from '../dict/errors.ts';
import { flattened, type Transport, transportError } from './dict-transport.ts';

const OPERATION = 'downloadCidSetFile';
const REDIRECTS_MAX = 3;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export interface FileDownloadDeps {
  readonly transport: Transport;
  /** Hosts that files may be read from: `files.example` on any port, `files.example:8443` on that one. */
  readonly filesHosts: readonly string[];
  /** Whether plain http is accepted: only where the API itself is spoken to so. */
  readonly plainAllowed: boolean;
}

/** The file's bytes, uncompressed; an error after `bytesMax`. Leaving the loop early closes the connection. */
export async function* downloadFile(
  deps: FileDownloadDeps,
  request: { readonly url: string; readonly bytesMax: number },
  options: CallOptions = {},
): AsyncIterable<Uint8Array> {
  const answer = await follow(deps, request.url, options.signal);
  const encoding = (flattened(answer.headers)['content-encoding'] ?? 'identity').trim().toLowerCase();
  if (encoding !== 'identity' && encoding !== 'gzip' && encoding !== 'x-gzip') {
    answer.body.destroy();
    throw new DictError('InvalidAnswer', 200, `${OPERATION}: the Content-Encoding "${encoding}" is not gzip`);
  }
  const content = encoding === 'identity' ? answer.body : inflated(answer.body);
  let bytes = 0;
  try {
    for await (const chunk of content) {
      const piece: unknown = chunk;
      if (!(piece instanceof Uint8Array)) throw new TypeError(`${OPERATION}: the body is not made of bytes`);
      bytes += piece.byteLength;
      if (bytes > request.bytesMax) {
        throw new DictError('InvalidAnswer', 200, `${OPERATION}: the file is longer than ${request.bytesMax} bytes`);
      }
      yield piece;
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    throw fileError(error);
  } finally {
    answer.body.destroy();
    content.destroy();
  }
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

async function follow(deps: FileDownloadDeps, firstUrl: string, signal?: AbortSignal): Promise<Dispatcher.ResponseData> {
  let url = permitted(deps, firstUrl, undefined);
  for (let hops = 0; hops <= REDIRECTS_MAX; hops += 1) {
    const answer = await deps.transport.open(OPERATION, url, signal);
    if (answer.statusCode === 200) return answer;
    answer.body.on('error', () => undefined).destroy();
    if (!redirects.has(answer.statusCode)) throw refusal(answer.statusCode);
    const location = flattened(answer.headers)['location'];
    if (location === undefined)
      throw new DictError('InvalidAnswer', answer.statusCode, `${OPERATION}: a redirect without Location`);
    url = permitted(deps, location, url);
  }
  throw new DictError('InvalidAnswer', 302, `${OPERATION}: more than ${REDIRECTS_MAX} redirects`);
}

/** The file server is no part of the API and sends no problem documents. */
function refusal(status: number): DictError {
  const message = `${OPERATION}: HTTP ${status}`;
  if (status === 404) return new DictError('NotFound', status, message);
  if (status === 403) return new DictError('Forbidden', status, message);
  if (status === 429) return new DictError('RateLimited', status, message);
  if (status >= 500) return new DictError('ServiceUnavailable', status, message);
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
