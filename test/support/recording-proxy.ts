/** Stands between a client and a server, passes every byte on unchanged, and remembers what went by. */

import { createServer, type IncomingHttpHeaders, type IncomingMessage, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { gunzipSync } from 'node:zlib';

export interface Exchange {
  readonly method: string;
  /** Below the host, with query. */
  readonly path: string;
  readonly requestHeaders: IncomingHttpHeaders;
  readonly requestBody: Buffer;
  readonly status: number;
  readonly responseHeaders: IncomingHttpHeaders;
  /** Uncompressed. */
  readonly responseBody: Buffer;
}

/** Proxies `targetUrl` for the length of a test; `url` has the same path. */
export async function recordingProxy(
  t: TestContext,
  targetUrl: string,
): Promise<{ url: string; exchanges: readonly Exchange[] }> {
  const target = new URL(targetUrl);
  const exchanges: Exchange[] = [];
  const server = createServer(async (incoming, outgoing) => {
    const requestBody = await collected(incoming);
    const path = incoming.url ?? '';
    const forwarded = send({
      host: target.hostname,
      port: target.port,
      method: incoming.method,
      path,
      headers: incoming.headers,
    });
    forwarded.on('error', () => outgoing.destroy());
    forwarded.on('response', async (response) => {
      const raw = await collected(response);
      const responseBody = response.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
      exchanges.push({
        method: incoming.method ?? '',
        path,
        requestHeaders: incoming.headers,
        requestBody,
        status: response.statusCode ?? 0,
        responseHeaders: response.headers,
        responseBody,
      });
      outgoing.writeHead(response.statusCode ?? 0, response.headers).end(raw);
    });
    forwarded.end(requestBody);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  // A listening TCP server has an address of this form.
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}${target.pathname}`, exchanges };
}

async function collected(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}
