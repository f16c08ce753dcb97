/**
 * `dict-vsync bridge`: DICT offered over gRPC by a process of its own, the only one that then needs keys, certificates and the Central
 * Bank's network. It needs no database. Any number may stand side by side.
 */

import { once } from 'node:events';
import { Command } from 'commander';
import type { BridgeSources } from '../bridge/grpc/bridge-methods.ts';
import { BridgeNotStarted, type BridgeServer, startBridgeServer } from '../bridge/grpc/bridge-server.ts';
import { type ServerSecurity, serverCredentials } from '../bridge/grpc/channel-files.ts';
import { type Config, ConfigRefused, loadConfig } from '../config.ts';
import { scaledClock, systemClock } from '../platform/clock.ts';
import { KeyFileRefused } from '../platform/key-files.ts';
import { createLogger, type Logger } from '../platform/log.ts';
import { withMetrics } from '../wire.ts';
import { channelFilesOf, type DictDeps, openDictHere, openEntryListingHere, type Watch } from '../wire-dict.ts';
import { CommandFailed, type Io } from './io.ts';

const securities: Readonly<Record<ServerSecurity, string>> = {
  plain: 'in clear (DICT_VSYNC_BRIDGE_TLS_CERTIFICATE switches TLS on)',
  tls: 'TLS, any client',
  'mutual-tls': 'mutual TLS',
};

/** `bridge`: ends on SIGINT or SIGTERM, when the calls under way have ended. */
export function bridgeCommand(io: Io): Command {
  return new Command('bridge')
    .description(
      'Offer DICT over gRPC (BridgeService), so that other processes need neither keys nor its network, until interrupted',
    )
    .allowExcessArguments(false)
    .action(() => offer(io));
}

async function offer(io: Io): Promise<void> {
  const config = configOf(io);
  const log = createLogger({ ...config.log, stream: io.stderr });
  const clock = config.program.timeScale === 1 ? systemClock : scaledClock(config.program.timeScale);
  await withMetrics({ config, log }, (watch) => offerHere(io, { config, clock, log }, watch));
}

async function offerHere(io: Io, { config, clock, log }: Required<DictDeps>, watch: Watch): Promise<void> {
  const dict = await openDictHere({ config, clock, log }, watch);
  const entries = openEntryListingHere({ config, clock, log });
  try {
    const { server, security } = await start(config, { dict, entries }, log);
    try {
      warnOfClearText(config.bridge.host, security, log);
      io.stdout.write(
        [
          `gRPC            ${config.bridge.host}:${server.port}, ${securities[security]}`,
          `DICT            ${config.dict.url}`,
          `Listing         ${config.dict.listingUrl ?? 'none (DICT_LISTING_URL names one)'}`,
          'Ready; Ctrl+C ends it.\n',
        ].join('\n'),
      );
      if (!io.signal.aborted) await once(io.signal, 'abort');
      log.info({ drain_ms: config.bridge.drainMs }, 'the bridge takes no more calls and ends when those under way have');
    } finally {
      await server.close(config.bridge.drainMs);
    }
  } finally {
    await entries?.close();
    await dict.close();
  }
}

async function start(
  { bridge }: Config,
  sources: BridgeSources,
  log: Logger,
): Promise<{ readonly server: BridgeServer; readonly security: ServerSecurity }> {
  const { host, port, messageBytesMax } = bridge;
  try {
    const { credentials, security } = serverCredentials(channelFilesOf(bridge));
    // Ending takes real time, however fast the program's clock runs.
    const deps = { ...sources, log, clock: systemClock };
    return { server: await startBridgeServer(deps, { host, port, credentials, messageBytesMax }), security };
  } catch (cause) {
    if (cause instanceof KeyFileRefused || cause instanceof BridgeNotStarted) throw new CommandFailed(cause.message, 1, cause);
    throw cause;
  }
}

/** Entries are personal data: beyond this machine they should not travel in clear. */
function warnOfClearText(host: string, security: ServerSecurity, log: Logger): void {
  const isLocal = /^(127\.|localhost$|::1$)/.test(host);
  if (security === 'plain' && !isLocal) log.warn({ host }, 'the bridge speaks in clear to other machines');
}

function configOf(io: Io): Config {
  try {
    return loadConfig(io);
  } catch (cause) {
    if (cause instanceof ConfigRefused) throw new CommandFailed(cause.message, 1, cause);
    throw cause;
  }
}
