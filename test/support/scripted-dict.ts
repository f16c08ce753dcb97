/**
 * A DICT that says whatever a test wants, true or not, over a real socket: one script per request, in order. What came in is kept
 * for the test to look at.
 */

import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

export interface ReceivedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** What to do with one request. */
export type Script = (response: ServerResponse, request: ReceivedRequest) => void;

export interface ScriptedDict {
  readonly host: string;
  readonly apiUrl: string;
  readonly received: readonly ReceivedRequest[];
  /** Scripts for the requests to come; the last one serves all further requests. */
  play(...scripts: Script[]): void;
  /** Gives the server over TLS another certificate, for connections to come. */
  renew(tls: ServerOptions): void;
}

/** A script that answers and ends. */
export function answer(status: number, body: string | Uint8Array, headers: Readonly<Record<string, string>> = {}): Script {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/xml; charset=UTF-8', ...headers }).end(body);
  };
}

/** A problem document as DICT writes it. */
export function problem(status: number, kind: string, more = '', headers: Readonly<Record<string, string>> = {}): Script {
  const document = `<?xml version="1.0" encoding="UTF-8"?>
<problem xmlns="urn:ietf:rfc:7807"><type>https://dict.pi.rsfn.net.br/api/v2/error/${kind}</type><title>x</title><status>${status}</status>${more}</problem>`;
  return answer(status, document, { 'content-type': 'application/problem+xml', ...headers });
}

/** Starts one for the length of a test, over TLS where it is given what that needs. */
export async function scriptedDict(t: TestContext, tls: ServerOptions | null = null): Promise<ScriptedDict> {
  const received: ReceivedRequest[] = [];
  let scripts: Script[] = [answer(500, '')];
  const serving = (request: IncomingMessage, response: ServerResponse): void => {
    void bodyOf(request).then((body) => {
      const entry = { method: request.method ?? '', path: request.url ?? '', headers: request.headers, body };
      received.push(entry);
      const script = scripts.length > 1 ? scripts.shift() : scripts[0];
      script?.(response, entry);
    });
  };
  const server = tls === null ? createServer(serving) : createTlsServer(tls, serving);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  // A listening TCP server has an address of this form.
  const { port } = server.address() as AddressInfo;
  const host = `127.0.0.1:${port}`;
  return {
    host,
    apiUrl: `${tls === null ? 'http' : 'https'}://${host}/api/v2/`,
    received,
    play: (...next) => {
      scripts = next;
    },
    renew: (next) => {
      if ('setSecureContext' in server) server.setSecureContext(next);
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}
