/** The way to a server below TLS: its name and its port. Opens one connection and closes it again; sends nothing. */

import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type Finding, fail, ok } from './finding.ts';

export interface Place {
  readonly host: string;
  readonly port: number;
}

/** Host and port of an address; `defaults` has the ports of schemes that may leave theirs out. */
export function placeOf(address: string, defaults: Readonly<Record<string, number>>): Place {
  const url = new URL(address);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return { host, port: url.port === '' ? (defaults[url.protocol.slice(0, -1)] ?? 0) : Number(url.port) };
}

/** The first address that the name leads to, or null with the finding that says why there is none. */
export async function checkName(
  check: string,
  host: string,
  advice: string,
): Promise<{ finding: Finding; address: string | null }> {
  try {
    const found = await lookup(host, { all: true });
    const addresses = found.map(({ address }) => address);
    const seen = addresses.length === 1 && addresses[0] === host ? `${host} is an address` : `${host} is ${addresses.join(', ')}`;
    return { finding: ok(check, seen), address: addresses[0] ?? null };
  } catch (cause) {
    return { finding: fail(check, `${host} leads to no address (${codeOf(cause)})`, advice), address: null };
  }
}

const portAdvices: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there: check the port',
  EHOSTUNREACH: 'there is no way to that host: check network, routes and the link to the RSFN',
  ENETUNREACH: 'there is no way to that network: check network, routes and the link to the RSFN',
};

/** Whether something accepts connections there within that time. */
export async function checkPort(check: string, { host, port }: Place, options: { limitMs: number; signal: AbortSignal }) {
  const begunMs = performance.now();
  const limit = AbortSignal.timeout(options.limitMs);
  const socket = connect({ host, port });
  try {
    await once(socket, 'connect', { signal: AbortSignal.any([limit, options.signal]) });
    return ok(check, `${host}:${port} accepts connections (${Math.round(performance.now() - begunMs)} ms)`);
  } catch (cause) {
    options.signal.throwIfAborted();
    const code = limit.aborted ? `no answer in ${options.limitMs / 1_000} s` : codeOf(cause);
    const advice = portAdvices[code] ?? 'packets are dropped on the way: check firewall, routes and the link to the RSFN';
    return fail(check, `${host}:${port} cannot be connected to (${code})`, advice);
  } finally {
    socket.destroy();
  }
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
}
