/**
 * The part of the composition root that has to do with DICT: the client, in this process or through a bridge, the paged listing, keys and
 * certificates, and the token buckets, in process or in Redis. An address present means the real service; one that cannot be reached ends
 * the command, and nothing falls back.
 */

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Signatures } from './bridge/answer-signature.ts';
import type { BucketStore } from './bridge/bucket-store.ts';
import { SILENT_OBSERVER } from './bridge/call-observer.ts';
import { createDictClient, type DictReadClientOptions } from './bridge/dict-client.ts';
import { signaturesFromFiles, tlsFromFiles } from './bridge/dict-keys.ts';
import { createTransport, type TlsSource } from './bridge/dict-transport.ts';
import { createEntryListingClient, LISTING_ANSWER_BYTES_MAX, LISTING_CALL_MS } from './bridge/entry-listing-client.ts';
import type { BridgeClient } from './bridge/grpc/bridge-client.ts';
import type { ChannelFiles } from './bridge/grpc/channel-files.ts';
import type { PolicyName } from './bridge/rate-budget.ts';
import { redisBuckets } from './bridge/redis-buckets.ts';
import type { BucketRates } from './bridge/token-bucket.ts';
import { CommandFailed } from './cli/io.ts';
import type { TokenBucketLimits } from './config/option-kind.ts';
import type { Config } from './config.ts';
import type { DictApi } from './dict/api.ts';
import type { EntryListing } from './dict/entry-listing.ts';
import type { Metrics } from './metrics/registry.ts';
import { type Clock, systemClock } from './platform/clock.ts';
import { KeyFileRefused } from './platform/key-files.ts';
import type { Logger } from './platform/log.ts';
import { openRedis, type RedisConnection, RedisUnavailable } from './platform/redis/connection.ts';
import { LISTING_DEFAULTS, type ListingDeps } from './reconcile/listing.ts';

/** DICT, and the end of its connections. */
export type OpenedDict = DictApi & { close(): Promise<void> };

/** Who watches calls of DICT and its token buckets. */
export type Watch = Pick<Metrics, 'calls' | 'buckets'>;

/** Nobody watches. */
export const UNWATCHED: Watch = { calls: SILENT_OBSERVER, buckets: () => ({}) };

/** What a client of DICT is made from; the log hears of keys and certificates that are changed while it runs. */
export interface DictDeps {
  readonly config: Config;
  readonly clock: Clock;
  readonly log?: Logger;
}

/**
 * The DICT that the configuration names, watched as `watch` says (`withMetrics` hands one out): through a bridge where one is configured, and
 * then only so, else from this process.
 */
export async function openDict(deps: DictDeps, watch: Watch = UNWATCHED): Promise<OpenedDict> {
  const { bridge } = deps.config;
  return bridge.url === null ? await openDictHere(deps, watch) : await bridgeClientOf(bridge, bridge.url);
}

/** DICT through a bridge; gRPC is loaded where one is configured only. Ends the command where its files cannot be used. */
async function bridgeClientOf(bridge: Config['bridge'], url: string): Promise<BridgeClient> {
  const { createBridgeClient } = await import('./bridge/grpc/bridge-client.ts');
  const { clientCredentials } = await import('./bridge/grpc/channel-files.ts');
  try {
    return createBridgeClient({
      url,
      credentials: clientCredentials(channelFilesOf(bridge), url.startsWith('grpcs:')),
      clock: systemClock,
      callMs: bridge.callTimeoutMs,
      messageBytesMax: bridge.messageBytesMax,
    });
  } catch (cause) {
    if (cause instanceof KeyFileRefused) throw new CommandFailed(cause.message, 1, cause);
    throw cause;
  }
}

/**
 * Whether the bridge that is configured serves; null where none is. Rejects with a `DictError` where it cannot be asked within that time.
 */
export async function bridgeIsServing(bridge: Config['bridge'], limitMs: number): Promise<boolean | null> {
  if (bridge.url === null) return null;
  const { bridgeServes } = await import('./bridge/grpc/bridge-health.ts');
  const { clientCredentials } = await import('./bridge/grpc/channel-files.ts');
  const credentials = clientCredentials(channelFilesOf(bridge), bridge.url.startsWith('grpcs:'));
  return bridgeServes({ url: bridge.url, credentials, clock: systemClock, callMs: limitMs });
}

/** The files of gRPC's own TLS, on either side. */
export function channelFilesOf(bridge: Config['bridge']): ChannelFiles {
  return {
    certificateFile: bridge.tlsCertificate,
    keyFile: bridge.tlsKey,
    keyPassphrase: bridge.tlsKeyPassphrase,
    authorityFile: bridge.tlsAuthority,
  };
}

/**
 * The client of the DICT that the configuration names. Ends the command where it names none, a key cannot be used, or a Redis that is
 * configured cannot be reached.
 */
export async function openDictHere(deps: DictDeps, watch: Watch = UNWATCHED): Promise<OpenedDict> {
  const options = dictClientOptions(deps, watch);
  const buckets = await sharedBucketsOf(deps.config);
  const client = createDictClient(
    buckets === null ? options : { ...options, budget: { ...options.budget, store: buckets.store } },
  );
  return {
    ...client,
    close: async () => {
      await client.close();
      await buckets?.close();
    },
  };
}

/** The same, for whoever makes a client of another kind. */
export function dictClientOptions(deps: DictDeps, watch: Watch = UNWATCHED): DictReadClientOptions {
  const { config, clock } = deps;
  const { dict, reconciliation } = config;
  if (dict.url === null) {
    throw new CommandFailed(
      'DICT_URL is not set: give the address of DICT’s API (https://dict-h.pi.rsfn.net.br:16522/api/v2/ is homologation), or that of "dict-vsync simulator"',
    );
  }
  return {
    apiUrl: dict.url,
    filesHosts: dict.filesHosts ?? [new URL(dict.url).hostname],
    clock,
    random: Math.random,
    limits: {
      connections: dict.connections,
      connectMs: dict.connectTimeoutMs,
      callMs: dict.callTimeoutMs,
      answerBytesMax: dict.answerBytesMax,
      idleMs: reconciliation.downloadIdleMs,
    },
    budget: { rates: ratesOf(dict), waitMaxMs: dict.tokenWaitMs, observers: watch.buckets },
    circuit: { failuresMax: dict.circuitFailures, openMs: dict.circuitOpenMs },
    bulkhead: { callsMax: dict.callsMax, queueMax: dict.callsQueuedMax, reservedConnections: dict.reservedConnections },
    observer: watch.calls,
    ...keysOf(deps, dict.url),
  };
}

/** A paged listing of entries, and how it is read. */
export interface OpenedListing extends Pick<ListingDeps, 'listingSettings'> {
  readonly listing: EntryListing & { close(): Promise<void> };
}

/**
 * The paged listing of entries that the configuration names: through a bridge where one is configured, else from this process. Ends the
 * command where there is none: API v2 of DICT does not offer it.
 */
export async function openEntryListing(deps: DictDeps): Promise<OpenedListing> {
  const { bridge } = deps.config;
  if (bridge.url !== null) return { listing: await bridgeClientOf(bridge, bridge.url), listingSettings: LISTING_DEFAULTS };
  const listing = openEntryListingHere(deps);
  if (listing === null) {
    throw new CommandFailed(
      'DICT_LISTING_URL is not set: give the address of the operation GetKeys of a directory that offers it (the simulator does). API v2 of DICT does not: "dict-vsync reconcile" needs no listing',
    );
  }
  return { listing, listingSettings: LISTING_DEFAULTS };
}

/** The paged listing as this process reads it; null where the configuration names none. */
export function openEntryListingHere(deps: DictDeps): (EntryListing & { close(): Promise<void> }) | null {
  const { config, clock } = deps;
  const { dict, reconciliation } = config;
  if (dict.listingUrl === null) return null;
  const { signatures, tls } = keysOf(deps, dict.listingUrl);
  const transport = createTransport(
    {
      connections: dict.connections,
      connectMs: dict.connectTimeoutMs,
      callMs: LISTING_CALL_MS,
      answerBytesMax: LISTING_ANSWER_BYTES_MAX,
      idleMs: reconciliation.downloadIdleMs,
    },
    tls,
  );
  return createEntryListingClient({ url: dict.listingUrl, transport, clock, signatures });
}

/** The configured keys and certificates. Ends the command where one cannot be used: never on without what was asked for. */
function keysOf(
  { config: { dict }, clock, log }: DictDeps,
  url: string,
): { readonly signatures: Signatures; readonly tls?: TlsSource } {
  const deps = { clock, log: log ?? null };
  try {
    const signatures = signaturesFromFiles(deps, dict);
    return url.startsWith('https:') ? { signatures, tls: tlsFromFiles(deps, dict) } : { signatures };
  } catch (cause) {
    if (cause instanceof KeyFileRefused) throw new CommandFailed(cause.message, 1, cause);
    throw cause;
  }
}

/** A call may last this much longer than its limit says before its token is taken for lost with its process. */
const LEASE_MARGIN_MS = 10_000;

interface SharedBuckets {
  readonly store: BucketStore;
  close(): Promise<void>;
}

/** The token buckets in Redis, null where none is configured. Ends the command where it cannot be reached: never on without it. */
async function sharedBucketsOf({ redis, dict, program }: Config): Promise<SharedBuckets | null> {
  const connection = await redisOf(redis);
  if (connection === null) return null;
  const store = redisBuckets({
    redis: connection,
    keyPrefix: redis.keyPrefix,
    replica: randomUUID(),
    timeScale: program.timeScale,
    leaseMs: dict.callTimeoutMs + LEASE_MARGIN_MS,
  });
  return { store, close: () => store.close().finally(() => connection.close()) };
}

/** The Redis that the configuration names; null where it names none. Ends the command where it cannot be used. */
export async function redisOf(redis: Config['redis']): Promise<RedisConnection | null> {
  const { url, user, password, connectTimeoutMs, callTimeoutMs } = redis;
  if (url === null) return null;
  const authorities = redis.authorities === null ? null : authoritiesFrom(redis.authorities);
  try {
    const limits = { connectMs: connectTimeoutMs, callMs: callTimeoutMs, random: Math.random };
    return await openRedis({ url, user, password, authorities, ...limits });
  } catch (cause) {
    if (!(cause instanceof RedisUnavailable)) throw cause;
    const advice =
      'see that it runs and that DICT_VSYNC_REDIS_URL names it; without that option each process keeps buckets of its own';
    throw new CommandFailed(`${cause.message}; ${advice}`, 1, cause);
  }
}

function authoritiesFrom(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new CommandFailed(`DICT_VSYNC_REDIS_AUTHORITIES: ${file} cannot be read`, 1, cause);
  }
}

function ratesOf(dict: Config['dict']): Readonly<Partial<Record<PolicyName, BucketRates>>> {
  const rates = ({ capacity, refillTokens, refillPeriodSec }: TokenBucketLimits): BucketRates => ({
    capacity,
    refillTokens,
    refillPeriodMs: refillPeriodSec * 1_000,
  });
  return {
    SYNC_VERIFICATIONS_WRITE: rates(dict.syncVerificationsWrite),
    CIDS_FILES_WRITE: rates(dict.cidsFilesWrite),
    CIDS_FILES_READ: rates(dict.cidsFilesRead),
    CIDS_EVENTS_LIST: rates(dict.cidsEventsList),
    CIDS_ENTRIES_READ: rates(dict.cidsEntriesRead),
    POLICIES_READ: rates(dict.policiesRead),
    POLICIES_LIST: rates(dict.policiesList),
  };
}
