/** What the second port serves: the content of CID set files, by the names that the API's Url holds. */

import type { Answer } from './answer.ts';
import { type Behaviour, marked, misbehave, type OperationCall } from './behaviour.ts';
import type { Parts } from './call.ts';
import type { HttpHandler } from './http-server.ts';

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
    const answer = { status: 200, headers: { 'Content-Type': 'text/plain; charset=us-ascii' } };
    // A fault after the effect strikes within the first chunk.
    const midway = async (): Promise<void> => {
      const after = await misbehave(deps, (behaviour) => behaviour.after?.(call, { ...answer, body: '' }));
      if (after.struck) throw new Error('simulator: the download breaks off');
    };
    return marked({ ...answer, body: streamed(content, midway) }, before.marks);
  };
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
