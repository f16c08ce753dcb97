/** Sends the bytes of an answer as a bad network, a broken proxy or a failing server would. What the bytes say is another matter. */

import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { TransferFault } from './answer-mark.ts';

/** A stall ends by then even where the caller never hangs up. */
const STALL_MS_MAX = 600_000;
const FILE_BYTES_FIRST = 1_024;
/** What is kept in memory to know the length of a file that shall come with a wrong one. */
const LENGTH_BYTES_MAX = 64 * 1024 * 1024;

interface Head {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** Sends head and body; resolves when there is nothing more to send or nobody to send it to. `bytes` where the length is known. */
export async function sendBadly(
  response: ServerResponse,
  head: Head,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  fault: TransferFault,
  bytes: number | null,
): Promise<void> {
  if (fault.kind === 'wrong-length') return sendWithLength(response, head, await collected(chunks), fault.byBytes ?? 64);
  response.writeHead(head.status, { ...head.headers, ...(bytes === null ? {} : { 'Content-Length': String(bytes) }) });
  response.flushHeaders();
  let left = fault.afterBytes ?? (bytes === null ? FILE_BYTES_FIRST : bytes >>> 1);
  for await (const chunk of chunks) {
    const first = chunk.subarray(0, left);
    left -= first.length;
    if (first.length > 0 && !(await written(response, first))) return;
    if (first.length === chunk.length) continue;
    if (fault.kind === 'dribble') {
      if (!(await dribbled(response, chunk.subarray(first.length), fault.pauseMs ?? 200))) return;
      continue;
    }
    if (fault.kind === 'stall') await silence(response);
    else reset(response);
    response.destroy();
    return;
  }
  // The body was over before the fault's turn: a reset or a stall then comes where the end should.
  if (fault.kind === 'stall') await silence(response);
  if (fault.kind === 'reset') reset(response);
  response.end();
}

async function sendWithLength(response: ServerResponse, head: Head, body: Buffer, byBytes: number): Promise<void> {
  response.writeHead(head.status, { ...head.headers, 'Content-Length': String(Math.max(0, body.length + byBytes)) });
  await written(response, body);
  // Without this the caller of a body that is too short would wait for the rest until its own patience ends: that is a stall.
  response.socket?.end();
}

async function collected(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > LENGTH_BYTES_MAX)
      throw new RangeError(`simulator: a wrong length is for bodies of at most ${LENGTH_BYTES_MAX} bytes`);
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}

/** Connections below those of TLS, which cannot send a reset themselves: by the port of their client. */
const below = new Map<string, Socket>();

function placeOf({ localPort, remotePort }: Socket): string {
  return `${localPort} ${remotePort}`;
}

/** Lets faults reach below the TLS of this server. */
export function reachBelow(server: Server): void {
  server.on('connection', (socket: Socket) => {
    const place = placeOf(socket);
    below.set(place, socket);
    socket.once('close', () => below.delete(place));
  });
}

function reset({ socket }: ServerResponse): void {
  if (socket !== null) (below.get(placeOf(socket)) ?? socket).resetAndDestroy();
}

/** Whether anybody is still there. */
async function written(response: ServerResponse, chunk: Uint8Array): Promise<boolean> {
  if (response.destroyed) return false;
  if (!response.write(chunk)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
  return !response.destroyed;
}

async function dribbled(response: ServerResponse, bytes: Uint8Array, pauseMs: number): Promise<boolean> {
  for (let at = 0; at < bytes.length; at += 1) {
    if (!(await written(response, bytes.subarray(at, at + 1)))) return false;
    await wait(pauseMs, undefined, { ref: false });
  }
  return true;
}

async function silence(response: ServerResponse): Promise<void> {
  if (response.destroyed) return;
  const over = new AbortController();
  try {
    await Promise.race([once(response, 'close'), wait(STALL_MS_MAX, undefined, { ref: false, signal: over.signal })]);
  } finally {
    over.abort();
  }
}
