/**
 * The bridge as a server: BridgeService with health and reflection, limits on what may come in, and an end in good order. It holds
 * nothing that a second bridge beside it would have to know.
 */

import { type ChannelOptions, logVerbosity, Server, type ServerCredentials, setLogVerbosity } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import type { Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/log.ts';
import { type BridgeSources, unaryMethods } from './bridge-methods.ts';
import { downloadHandler } from './download-call.ts';
import { BridgeService } from './generated/dict/bridge/v1/bridge_pb.ts';
import { addReflection } from './reflection.ts';
import { unaryHandler } from './server-call.ts';
import { bridgeMethods } from './service-definition.ts';

export interface BridgeServerDeps extends BridgeSources {
  readonly log: Logger;
  /** The time that ending takes is measured on it. */
  readonly clock: Clock;
}

export interface BridgeServerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly credentials: ServerCredentials;
  /** The largest request, and the largest answer. */
  readonly messageBytesMax: number;
}

export interface BridgeServer {
  readonly port: number;
  /**
   * Ends in good order: health says NOT_SERVING, no new call is taken, those under way have that long to end. Whatever is left then is broken
   * off, which aborts its call of DICT.
   */
  close(drainMs: number): Promise<void>;
}

/** The port cannot be listened on; the message says why. */
export class BridgeNotStarted extends Error {
  override readonly name = 'BridgeNotStarted';
}

/** Calls at a time on one connection; more wait at the client. */
const STREAMS_MAX = 1_000;

/** Starts to listen. @throws BridgeNotStarted */
export async function startBridgeServer(deps: BridgeServerDeps, options: BridgeServerOptions): Promise<BridgeServer> {
  // grpc-js would print to the console on its own what our errors say too.
  setLogVerbosity(logVerbosity.NONE);
  const server = new Server(limitsOf(options.messageBytesMax));
  const health = new HealthImplementation({ '': 'NOT_SERVING', [BridgeService.typeName]: 'NOT_SERVING' });
  health.addToServer(server);
  addReflection(server);
  addBridge(server, deps);
  const port = await listen(server, options);
  serve(health, 'SERVING');
  return {
    port,
    close: async (drainMs) => {
      serve(health, 'NOT_SERVING');
      await drain(server, deps.clock, drainMs);
    },
  };
}

function limitsOf(messageBytesMax: number): ChannelOptions {
  return {
    'grpc.max_receive_message_length': messageBytesMax,
    'grpc.max_send_message_length': messageBytesMax,
    'grpc.max_concurrent_streams': STREAMS_MAX,
    // A client that vanished without a word is noticed, and its calls given up.
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
  };
}

function addBridge(server: Server, deps: BridgeServerDeps): void {
  const { log } = deps;
  const methods = unaryMethods(deps);
  server.addService(bridgeMethods, {
    verifySync: unaryHandler(log, 'verifySync', methods.verifySync),
    requestCidSetFile: unaryHandler(log, 'requestCidSetFile', methods.requestCidSetFile),
    getCidSetFile: unaryHandler(log, 'getCidSetFile', methods.getCidSetFile),
    downloadCidSetFile: downloadHandler(log, deps.dict),
    listCidSetEvents: unaryHandler(log, 'listCidSetEvents', methods.listCidSetEvents),
    getEntryByCid: unaryHandler(log, 'getEntryByCid', methods.getEntryByCid),
    listEntries: unaryHandler(log, 'listEntries', methods.listEntries),
    getPolicies: unaryHandler(log, 'getPolicies', methods.getPolicies),
  });
}

function listen(server: Server, { host, port, credentials }: BridgeServerOptions): Promise<number> {
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else reject(new BridgeNotStarted(`the bridge cannot listen on ${address}: ${error.message}`, { cause: error }));
    });
  });
}

function serve(health: HealthImplementation, status: 'SERVING' | 'NOT_SERVING'): void {
  for (const service of ['', BridgeService.typeName]) health.setStatus(service, status);
}

async function drain(server: Server, clock: Clock, drainMs: number): Promise<void> {
  const ended = new AbortController();
  const limit = clock.sleep(drainMs, ended.signal).then(
    () => server.forceShutdown(),
    // Everything ended by itself.
    () => undefined,
  );
  await new Promise<void>((resolve) => {
    server.tryShutdown(() => resolve());
    void limit.then(resolve);
  });
  ended.abort();
  await limit;
}
