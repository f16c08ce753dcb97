/** A bridge over gRPC on a real socket in this process, around any `DictApi`, and a client of it. */

import type { TestContext } from 'node:test';
import { createBridgeClient } from '../../src/bridge/grpc/bridge-client.ts';
import { type BridgeServer, startBridgeServer } from '../../src/bridge/grpc/bridge-server.ts';
import { type ChannelFiles, clientCredentials, serverCredentials } from '../../src/bridge/grpc/channel-files.ts';
import type { DictApi } from '../../src/dict/api.ts';
import type { EntryListing } from '../../src/dict/entry-listing.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { createLogger, type Logger } from '../../src/platform/log.ts';

export const NO_FILES: ChannelFiles = { certificateFile: null, keyFile: null, keyPassphrase: null, authorityFile: null };

export interface GrpcBridgeOptions {
  readonly entries?: EntryListing;
  readonly callMs?: number;
  readonly serverBytesMax?: number;
  readonly clientBytesMax?: number;
  readonly serverFiles?: ChannelFiles;
  readonly clientFiles?: ChannelFiles;
  readonly log?: Logger;
}

const quiet = createLogger({ level: 'silent', format: 'json', stream: { write: () => true } });
const mebibyte = 1024 * 1024;

/** Starts both for the length of a test. */
export async function grpcBridge(t: TestContext, dict: DictApi, options: GrpcBridgeOptions = {}) {
  const { credentials } = serverCredentials(options.serverFiles ?? NO_FILES);
  const server = await startBridgeServer(
    { dict, entries: options.entries ?? null, log: options.log ?? quiet, clock: systemClock },
    { host: '127.0.0.1', port: 0, credentials, messageBytesMax: options.serverBytesMax ?? mebibyte },
  );
  const client = bridgeClientOf(server, options);
  t.after(async () => {
    await client.close();
    await server.close(0);
  });
  return { server, client };
}

/** One more client of that bridge; closing it is the caller's. */
export function bridgeClientOf(server: Pick<BridgeServer, 'port'>, options: GrpcBridgeOptions = {}) {
  const secure = options.clientFiles !== undefined;
  return createBridgeClient({
    url: `${secure ? 'grpcs' : 'grpc'}://localhost:${server.port}`,
    credentials: clientCredentials(options.clientFiles ?? NO_FILES, secure),
    clock: systemClock,
    callMs: options.callMs ?? 60_000,
    messageBytesMax: options.clientBytesMax ?? mebibyte,
  });
}
