/**
 * What the second port serves: the content of CID set files, by the names that the API's Url holds. Whoever asks for it uncompressed is
 * told an ETag and may ask for the rest of it by Range and If-Range; of a compressed answer there are no parts.
 */

import type { Answer } from './answer.ts';
import { type Behaviour, marked, misbehave, type OperationCall } from './behaviour.ts';
import type { Parts } from './call.ts';
import type { HttpHandler, HttpRequest } from './http-server.ts';

const FILE_PATH = /^\/cids\/([0-9]{8})\/([A-Za-z0-9_.]+)$/;

/** Answers downloads. */
export function fileHandler(parts: Parts, behaviours: readonly Behaviour[]): HttpHandler {
  const { clock } = parts.settings;
  const deps = { behaviours, clock, correlationId: () => parts.random.hex(16) };
  return async (request) => {
    const path = URL.parse(request.url, 'http://files.invalid')?.pathname ?? '';
    const match = FILE_PATH.exec(path);
    const call: OperationCall = { operation: 'downloadCidSetFile', participant: match?.[1] ?? null, path, cid: null, key: null };
    const before = await misbehave(deps, (behaviour) => behaviour.before?.(call));
    if (before.struck) return marked(before.outcome, before.marks);
    const name = match?.[2];
    const content = name === undefined ? undefined : parts.files.content(name, clock.now().getTime());
    if (request.method !== 'GET' || content === undefined) return notFound();
    const part = partOf(request, parts.files.version(name ?? '', clock.now().getTime()));
    if (part.status === 416) return { status: 416, headers: part.headers, body: '' };
    const answer = { status: part.status, headers: { 'Content-Type': 'text/plain; charset=us-ascii', ...part.headers } };
    // A fault after the effect strikes within the first chunk.
    const midway = async (): Promise<void> => {
      const after = await misbehave(deps, (behaviour) => behaviour.after?.(call, { ...answer, body: '' }));
      if (after.struck) throw new Error('simulator: the download breaks off');
    };
    return marked({ ...answer, body: streamed(from(content, part.from), midway) }, before.marks);
  };
}

interface Part {
  readonly status: 200 | 206 | 416;
  /** The first byte of the answer. */
  readonly from: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** What of the file is asked for: all of it, or the rest from a byte on (the only form of Range that is served). */
function partOf({ headers }: HttpRequest, version: { readonly bytes: number; readonly tag: string } | undefined): Part {
  const whole = { status: 200, from: 0, headers: {} } as const;
  if (version === undefined || /gzip/i.test(headers['accept-encoding'] ?? '')) return whole;
  const { bytes, tag } = version;
  const told = { ETag: tag, 'Accept-Ranges': 'bytes' };
  const asked = /^bytes=([0-9]{1,15})-$/.exec(headers['range'] ?? '')?.[1];
  const isOther = headers['if-range'] !== undefined && headers['if-range'] !== tag;
  if (asked === undefined || isOther) return { ...whole, headers: told };
  const first = Number(asked);
  if (first >= bytes) return { status: 416, from: 0, headers: { 'Content-Range': `bytes */${bytes}` } };
  return { status: 206, from: first, headers: { ...told, 'Content-Range': `bytes ${first}-${bytes - 1}/${bytes}` } };
}

function* from(chunks: Iterable<Uint8Array>, first: number): Generator<Uint8Array> {
  let passed = 0;
  for (const chunk of chunks) {
    const rest = chunk.subarray(Math.max(0, first - passed));
    if (rest.length > 0) yield rest;
    passed += chunk.length;
  }
}

async function* streamed(chunks: Iterable<Uint8Array>, midway: () => Promise<void>): AsyncGenerator<Uint8Array> {
  let met = false;
  for (const chunk of chunks) {
    if (met) {
      yield chunk;
      continue;
    }
    const middle = chunk.length >>> 1;
    yield chunk.subarray(0, middle);
    await midway();
    met = true;
    yield chunk.subarray(middle);
  }
}

function notFound(): Answer {
  return { status: 404, headers: { 'Content-Type': 'text/plain; charset=us-ascii' }, body: 'Not found\n' };
}
