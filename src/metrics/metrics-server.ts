/**
 * `/metrics` for Prometheus and `/health` for whoever restarts the process, over plain HTTP: no personal data and no secret is in
 * either, and it listens on this machine alone unless it is told otherwise. Nothing can be changed through it.
 */

import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { Metrics } from './registry.ts';

export interface MetricsServerDeps {
  readonly metrics: Pick<Metrics, 'text' | 'contentType'>;
  /** What the process cannot work without, by name: each resolves where it is there, and rejects with the reason where it is not. */
  readonly checks: Readonly<Record<string, (signal: AbortSignal) => Promise<unknown>>>;
}

export interface MetricsServer {
  /** `http://host:port`, without a slash at the end. */
  readonly url: string;
  close(): Promise<void>;
}

/** A check that has not answered by then has failed. */
const checkLimitMs = 5_000;
/** Slow or endless requests are nobody's scraper. */
const requestLimitMs = 10_000;
const connectionsMax = 32;

/**
 * Listens until it is closed.
 *
 * @throws Error with the system's code (`EADDRINUSE`, `EACCES`) when the port cannot be had.
 */
export async function serveMetrics(
  deps: MetricsServerDeps,
  at: { readonly host: string; readonly port: number },
): Promise<MetricsServer> {
  const server = createServer({ requestTimeout: requestLimitMs, headersTimeout: requestLimitMs }, (request, response) => {
    const { pathname } = URL.parse(request.url ?? '/', 'http://metrics.invalid') ?? { pathname: '' };
    if (request.method !== 'GET' && request.method !== 'HEAD') return end(response, 405, 'only GET\n');
    if (pathname === '/metrics') return void tell(response, () => metricsOf(deps));
    if (pathname === '/health') return void tell(response, () => healthOf(deps));
    end(response, 404, 'there are /metrics and /health\n');
  });
  server.maxConnections = connectionsMax;
  server.listen(at.port, at.host);
  await once(server, 'listening');
  const address = server.address();
  const port = address === null || typeof address === 'string' ? at.port : address.port;
  return {
    url: `http://${at.host.includes(':') ? `[${at.host}]` : at.host}:${port}`,
    close: async () => {
      server.close();
      server.closeAllConnections();
      if (server.listening) await once(server, 'close');
    },
  };
}

interface Told {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

async function metricsOf({ metrics }: MetricsServerDeps): Promise<Told> {
  return { status: 200, type: metrics.contentType, body: await metrics.text() };
}

/** 200 while everything is there; else 503. Names what is missing, but not why: the reason may hold an address, and is in the log. */
async function healthOf({ checks }: MetricsServerDeps): Promise<Told> {
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => [name, (await answers(check)) ? 'ok' : 'unreachable'] as const),
  );
  const well = results.every(([, result]) => result === 'ok');
  const body = JSON.stringify({ status: well ? 'ok' : 'failing', ...Object.fromEntries(results) });
  return { status: well ? 200 : 503, type: 'application/json', body: `${body}\n` };
}

async function answers(check: (signal: AbortSignal) => Promise<unknown>): Promise<boolean> {
  const limit = AbortSignal.timeout(checkLimitMs);
  const late = new Promise<boolean>((resolve) => limit.addEventListener('abort', () => resolve(false), { once: true }));
  return Promise.race([
    check(limit).then(
      () => true,
      () => false,
    ),
    late,
  ]);
}

async function tell(response: ServerResponse, told: () => Promise<Told>): Promise<void> {
  try {
    const { status, type, body } = await told();
    response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
  } catch {
    end(response, 500, 'the metrics could not be read\n');
  }
}

function end(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(text);
}
