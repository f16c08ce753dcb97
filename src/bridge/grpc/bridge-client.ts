/**
 * A bridge in another process as `DictApi`: whoever uses DICT does not notice which of the two it is. A bridge that cannot be reached is an
 * error like a DICT that cannot be; nothing falls back to asking DICT from here.
 */

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type ChannelCredentials, type ChannelOptions, Client } from '@grpc/grpc-js';
import type { CallOptions, DictApi, EntryByCid, SyncVerification } from '../../dict/api.ts';
import type { EntryListing, EntryListingRequest } from '../../dict/entry-listing.ts';
import type { Clock } from '../../platform/clock.ts';
import {
  invalid,
  readEntryByCid,
  readEntryPage,
  readEventPage,
  readFile,
  readPolicy,
  readVerification,
} from './answer-reading.ts';
import { type ClientDeps, receive, unaryCall } from './client-call.ts';
import { keyTypes, priorities } from './dict-words.ts';
import * as pb from './generated/dict/bridge/v1/bridge_pb.ts';
import { retriesOf } from './retry-policy.ts';
import { bridgeMethods } from './service-definition.ts';
import { dictErrorOf } from './status-details.ts';
import { timestampOf } from './timestamps.ts';

export interface BridgeClientOptions {
  /** `grpc://host:port`, in clear, or `grpcs://host:port`, over TLS. */
  readonly url: string;
  readonly credentials: ChannelCredentials;
  /** Deadlines of calls are told by it: the network does not speed up with the program's clock. */
  readonly clock: Pick<Clock, 'now'>;
  /** The deadline of every call with one answer, the bridge's waiting for DICT's tokens included. */
  readonly callMs: number;
  /** The largest answer that is read. */
  readonly messageBytesMax: number;
}

/** Everything that a bridge offers. */
export type BridgeClient = DictApi & EntryListing & { close(): Promise<void> };

/** Opens no connection yet; `close` breaks off what is under way. */
export function createBridgeClient(options: BridgeClientOptions): BridgeClient {
  const { host } = new URL(options.url.replace(/^grpcs?:/, 'http:'));
  const client = new Client(host, options.credentials, channelOptions(options));
  const deps: ClientDeps = { client, clock: options.clock, callMs: options.callMs, address: host };
  return {
    createSyncVerification: (request, callOptions) => createSyncVerification(deps, request, callOptions),
    createCidSetFile: async ({ participant, keyType }, callOptions = {}) => {
      const request = { participant, keyType: keyTypes.valueOf(keyType), ...priorityOf(callOptions) };
      const message = create(pb.RequestCidSetFileRequestSchema, request);
      return readFile((await unaryCall(deps, bridgeMethods.requestCidSetFile, message, callOptions)).file);
    },
    getCidSetFile: async ({ participant, id }, callOptions = {}) => {
      const message = create(pb.GetCidSetFileRequestSchema, { participant, id, ...priorityOf(callOptions) });
      return readFile((await unaryCall(deps, bridgeMethods.getCidSetFile, message, callOptions)).file);
    },
    downloadCidSetFile: (request, callOptions) => downloadCidSetFile(deps, request, callOptions),
    listCidSetEvents: (request, callOptions) => listCidSetEvents(deps, request, callOptions),
    getEntryByCid: (request, callOptions) => getEntryByCid(deps, request, callOptions),
    getPolicy: async ({ participant, name }, callOptions = {}) => {
      const [policy] = await getPolicies(deps, { participant, name }, callOptions);
      if (policy === undefined) throw invalid('policies', 'is empty');
      return policy;
    },
    listPolicies: ({ participant }, callOptions = {}) => getPolicies(deps, { participant }, callOptions),
    listEntries: (request, callOptions) => listEntries(deps, request, callOptions),
    close: async () => client.close(),
  };
}

function channelOptions({ messageBytesMax }: BridgeClientOptions): ChannelOptions {
  return {
    'grpc.max_receive_message_length': messageBytesMax,
    'grpc.max_send_message_length': messageBytesMax,
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    // A bridge that was started again is found within seconds, not after the two minutes that would be usual.
    'grpc.initial_reconnect_backoff_ms': 250,
    'grpc.max_reconnect_backoff_ms': 2_000,
    'grpc.service_config': JSON.stringify(retriesOf(pb.BridgeService)),
  };
}

type Request<Name extends keyof DictApi> = Parameters<DictApi[Name]>[0];

function priorityOf({ priority }: CallOptions): { priority?: pb.Priority } {
  return priority === undefined ? {} : { priority: priorities.valueOf(priority) };
}

async function createSyncVerification(
  deps: ClientDeps,
  request: Request<'createSyncVerification'>,
  options: CallOptions = {},
): Promise<SyncVerification> {
  const { participant, participantSyncVerifier } = request;
  const keyType = keyTypes.valueOf(request.keyType);
  const verifiers = [{ keyType, syncVerifier: participantSyncVerifier }];
  const message = create(pb.VerifySyncRequestSchema, { participant, verifiers, ...priorityOf(options) });
  const { results } = await unaryCall(deps, bridgeMethods.verifySync, message, options);
  const [result] = results;
  if (results.length !== 1 || result?.keyType !== keyType) throw invalid('results', 'are not those that were asked for');
  const { outcome } = result;
  if (outcome.case === 'verification') return readVerification(outcome.value);
  if (outcome.case === 'error') throw dictErrorOf(outcome.value) ?? invalid('results.error', 'has no DictProblem');
  throw invalid('results.outcome', 'is missing');
}

async function* downloadCidSetFile(
  deps: ClientDeps,
  { url, bytesMax, from }: Request<'downloadCidSetFile'>,
  options: CallOptions = {},
): AsyncIterable<Uint8Array> {
  const message = create(pb.DownloadCidSetFileRequestSchema, { url, bytesMax: BigInt(bytesMax), offset: BigInt(from ?? 0) });
  for await (const { chunk } of receive(deps, bridgeMethods.downloadCidSetFile, message, options)) yield chunk;
}

async function listCidSetEvents(deps: ClientDeps, request: Request<'listCidSetEvents'>, options: CallOptions = {}) {
  const { participant, keyType, startTime, endTime, limit } = request;
  const message = create(pb.ListCidSetEventsRequestSchema, {
    participant,
    keyType: keyTypes.valueOf(keyType),
    ...(startTime === undefined ? {} : { startTime: timestampOf(startTime) }),
    ...(endTime === undefined ? {} : { endTime: timestampOf(endTime) }),
    ...(limit === undefined ? {} : { limit }),
    ...priorityOf(options),
  });
  return readEventPage(await unaryCall(deps, bridgeMethods.listCidSetEvents, message, options));
}

async function getEntryByCid(
  deps: ClientDeps,
  { participant, cid }: Request<'getEntryByCid'>,
  options: CallOptions = {},
): Promise<EntryByCid> {
  const message = create(pb.GetEntryByCidRequestSchema, { participant, cid, ...priorityOf(options) });
  return readEntryByCid(await unaryCall(deps, bridgeMethods.getEntryByCid, message, options), cid.toLowerCase());
}

async function getPolicies(
  deps: ClientDeps,
  request: MessageInitShape<typeof pb.GetPoliciesRequestSchema>,
  options: CallOptions,
) {
  const message = create(pb.GetPoliciesRequestSchema, { ...request, ...priorityOf(options) });
  const { policies } = await unaryCall(deps, bridgeMethods.getPolicies, message, options);
  return policies.map(readPolicy);
}

async function listEntries(deps: ClientDeps, request: EntryListingRequest, options: CallOptions = {}) {
  const { participant, pageNumber, pageSize, status, updatedSince } = request;
  const message = create(pb.ListEntriesRequestSchema, {
    participant,
    pageNumber,
    pageSize,
    status,
    ...(updatedSince === undefined ? {} : { updatedSince: timestampOf(updatedSince) }),
    ...priorityOf(options),
  });
  return readEntryPage(await unaryCall(deps, bridgeMethods.listEntries, message, options));
}
