/** What the second port serves: the content of CID set files, by the names that the API's Url holds. */

import type { Answer, Behaviour, OperationCall } from './behaviour.ts';
import type { Parts } from './call.ts';
import type { HttpHandler } from './http-server.ts';

const FILE_PATH = /^\/cids\/([0-9]{8})\/([A-Za-z0-9_.]+)$/;

export function fileHandler(parts: Parts, behaviours: readonly Behaviour[]): HttpHandler {
  return async (request) => {
    const path = new URL(request.url, 'http://files.invalid').pathname;
    const match = FILE_PATH.exec(path);
    const call: OperationCall = { operation: 'downloadCidSetFile', participant: match?.[1] ?? null, path };
    for (const behaviour of behaviours) {
      const fault = await behaviour.before?.(call);
      if (fault?.delayMs !== undefined) await parts.settings.clock.sleep(fault.delayMs);
      if (fault?.breakConnection === true) return null;
      if (fault?.answer !== undefined) return fault.answer;
    }
    const name = match?.[2];
    if (request.method !== 'GET' || name === undefined) return notFound();
    const content = parts.files.content(name, parts.settings.clock.now().getTime());
    if (content === undefined) return notFound();
    return { status: 200, headers: { 'Content-Type': 'text/plain; charset=us-ascii' }, body: streamed(content) };
  };
}

async function* streamed(chunks: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

function notFound(): Answer {
  return { status: 404, headers: { 'Content-Type': 'text/plain; charset=us-ascii' }, body: 'Not found\n' };
}
