/**
 * Sockets: the one place where the simulator's servers are created. Reads bounded requests, compresses answers for clients
 * that take gzip, streams files, breaks connections when told to. With a certificate they speak TLS alone, and only with clients that
 * have one of its authority: Node breaks off connections of others without an alert, which a client has to understand too.
 */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip, gzipSync } from 'node:zlib';
import type { Answer } from './answer.ts';
import { reachBelow, sendBadly } from './transfer.ts';

export interface HttpRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Uint8Array;
}

/** Answers a request; null breaks the connection. */
export type HttpHandler = (request: HttpRequest) => Promise<Answer | null>;

/** Mutual TLS of a server, each part in PEM. */
export interface ServerTls {
  readonly certificate: string;
  readonly key: string;
  /** Whose certificates clients have to show. */
  readonly authority: string;
}

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  readonly gzip: boolean;
  /** Null: plain http. */
  readonly tls: ServerTls | null;
}

export interface HttpListener {
  /** `http://host:port` or `https://host:port`, without a slash at the end. */
  readonly url: string;
  close(): Promise<void>;
}

const BODY_BYTES_MAX = 1024 * 1024;
const KEEP_ALIVE_MS = 60_000;
const HANDSHAKE_MS = 10_000;
const GZIP_BYTES_MIN = 512;

/**
 * Listens and hands each request to the handler.
 *
 * @throws Error with the system's code (`EADDRINUSE`, `EACCES`) when the port cannot be had.
 */
export async function listen(options: ListenOptions, handler: HttpHandler): Promise<HttpListener> {
  const server = serverOf(options.tls, (request, response) => {
    serve(request, response, handler, options.gzip).catch(() => {
      // The client went away or a stream failed half way: there is nobody left to tell.
      response.destroy();
    });
  });
  server.listen(options.port, options.host);
  await once(server, 'listening');
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  const scheme = options.tls === null ? 'http' : 'https';
  return { url: `${scheme}://${host}:${portOf(server)}`, close: () => closed(server) };
}

type Serving = (request: IncomingMessage, response: ServerResponse) => void;

/** Node tells clients how long it keeps connections, in `Keep-Alive: timeout=`. */
function serverOf(tls: ServerTls | null, serving: Serving): Server {
  if (tls === null) return createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, serving);
  const { certificate, key, authority } = tls;
  const clients = { requestCert: true, rejectUnauthorized: true, ca: authority };
  const server = createTlsServer(
    {
      keepAliveTimeout: KEEP_ALIVE_MS,
      cert: certificate,
      key,
      minVersion: 'TLSv1.2',
      handshakeTimeout: HANDSHAKE_MS,
      ...clients,
    },
    serving,
  );
  reachBelow(server);
  return server;
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('simulator: the server has no port');
  return address.port;
}

async function closed(server: Server): Promise<void> {
  server.close();
  server.closeAllConnections();
  if (server.listening) await once(server, 'close');
}

async function serve(request: IncomingMessage, response: ServerResponse, handler: HttpHandler, gzip: boolean): Promise<void> {
  const body = await bodyOf(request);
  if (body === null) {
    response.writeHead(413).end();
    return;
  }
  const headers = Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
  );
  const answer = await handler({ method: request.method ?? '', url: request.url ?? '/', headers, body });
  if (answer === null) {
    request.socket.destroy();
    return;
  }
  const compressed = gzip && acceptsGzip(headers['accept-encoding']);
  await send(response, answer, compressed);
}

async function bodyOf(request: IncomingMessage): Promise<Uint8Array | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    // Without an encoding set, an HTTP request yields buffers.
    const part = chunk as Buffer;
    bytes += part.length;
    if (bytes <= BODY_BYTES_MAX) chunks.push(part);
  }
  return bytes > BODY_BYTES_MAX ? null : Buffer.concat(chunks);
}

function acceptsGzip(header: string | undefined): boolean {
  return header !== undefined && /(^|,)\s*gzip\s*(;\s*q=(?!0(\.0+)?\s*(,|$))[0-9.]+\s*)?(,|$)/i.test(header);
}

async function send(response: ServerResponse, answer: Answer, gzip: boolean): Promise<void> {
  const { status, headers, body, marks } = answer;
  if (typeof body === 'string') {
    const plain = Buffer.from(body, 'utf8');
    const packed = gzip && plain.length >= GZIP_BYTES_MIN;
    const bytes = packed ? gzipSync(plain) : plain;
    const head = { status, headers: { ...headers, ...encoding(packed) } };
    if (marks?.transfer !== undefined) return sendBadly(response, head, [bytes], marks.transfer, bytes.length);
    response.writeHead(status, { ...head.headers, 'Content-Length': bytes.length });
    response.end(bytes);
    return;
  }
  const head = { status, headers: { ...headers, ...encoding(gzip) } };
  const source = Readable.from(body, { objectMode: false });
  if (marks?.transfer !== undefined) {
    const chunks: Readable = gzip ? source.pipe(createGzip()) : source;
    return sendBadly(response, head, chunks, marks.transfer, null);
  }
  response.writeHead(status, head.headers);
  await (gzip ? pipeline(source, createGzip(), response) : pipeline(source, response));
}

function encoding(gzip: boolean): Record<string, string> {
  return gzip ? { 'Content-Encoding': 'gzip', Vary: 'Accept-Encoding' } : {};
}
