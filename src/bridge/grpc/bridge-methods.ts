/**
 * What each method of the bridge does: a request's fields checked, DICT asked in process, its answer as a message. How calls arrive, end
 * and fail is server-call.ts; the download streams and has a file of its own.
 */

import { create, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf';
import type { CallOptions, DictApi } from '../../dict/api.ts';
import { type EntryListing, type EntryListingRequest, LISTING_PAGE_SIZE_MAX } from '../../dict/entry-listing.ts';
import { DictError } from '../../dict/errors.ts';
import { KEY_TYPES } from '../../dict/key-type.ts';
import {
  entryByCidMessage,
  entryPageMessage,
  eventPageMessage,
  fileMessage,
  policyMessage,
  verificationMessage,
} from './answer-messages.ts';
import {
  type BridgeService,
  type GetCidSetFileRequest,
  GetCidSetFileResponseSchema,
  type GetEntryByCidRequest,
  type GetPoliciesRequest,
  GetPoliciesResponseSchema,
  type ListCidSetEventsRequest,
  type ListEntriesRequest,
  type RequestCidSetFileRequest,
  RequestCidSetFileResponseSchema,
  type VerifySyncRequest,
  VerifySyncResponseSchema,
  type VerifySyncResultSchema,
} from './generated/dict/bridge/v1/bridge_pb.ts';
import { hex64Of, idOf, keyTypeOf, momentOf, numberOf, participantOf, priorityOf, textOf } from './request-reading.ts';
import { MethodNotOffered, RequestRefused } from './request-refusal.ts';
import { statusOf } from './status-details.ts';

/** What the methods ask. */
export interface BridgeSources {
  readonly dict: DictApi;
  /** Null: `ListEntries` is unimplemented. */
  readonly entries: EntryListing | null;
}

type Methods = typeof BridgeService.method;
type Unary = { [Name in keyof Methods]: Methods[Name] extends { methodKind: 'unary' } ? Name : never }[keyof Methods];

/** Every method with one answer. The signal is the caller's: cancelled, or its deadline over. */
export type UnaryMethods = {
  readonly [Name in Unary]: (
    request: MessageShape<Methods[Name]['input']>,
    signal: AbortSignal,
  ) => Promise<MessageShape<Methods[Name]['output']>>;
};

/** The methods over these sources. They hold no state of their own: any number of bridges may stand side by side. */
export function unaryMethods(sources: BridgeSources): UnaryMethods {
  const { dict } = sources;
  return {
    verifySync: (request, signal) => verifySync(dict, request, signal),
    requestCidSetFile: (request, signal) => requestCidSetFile(dict, request, signal),
    getCidSetFile: (request, signal) => getCidSetFile(dict, request, signal),
    listCidSetEvents: (request, signal) => listCidSetEvents(dict, request, signal),
    getEntryByCid: (request, signal) => getEntryByCid(dict, request, signal),
    listEntries: (request, signal) => listEntries(sources.entries, request, signal),
    getPolicies: (request, signal) => getPolicies(dict, request, signal),
  };
}

function optionsOf(request: { readonly priority: number }, signal: AbortSignal): CallOptions {
  return { signal, priority: priorityOf(request) };
}

async function verifySync(dict: DictApi, request: VerifySyncRequest, signal: AbortSignal) {
  const participant = participantOf(request);
  const { verifiers } = request;
  if (verifiers.length < 1 || verifiers.length > KEY_TYPES.length) {
    throw new RequestRefused('verifiers', `${verifiers.length} of them; one for each key type, 1 to ${KEY_TYPES.length}`);
  }
  const asked = verifiers.map(({ keyType, syncVerifier }, index) => ({
    participant,
    keyType: keyTypeOf(keyType, `verifiers[${index}].key_type`),
    participantSyncVerifier: hex64Of(syncVerifier, `verifiers[${index}].sync_verifier`),
    wire: keyType,
  }));
  if (new Set(asked.map(({ keyType }) => keyType)).size < asked.length) {
    throw new RequestRefused('verifiers', 'a key type is there twice');
  }
  const options = optionsOf(request, signal);
  const results = await Promise.all(
    asked.map(async ({ wire, ...question }): Promise<MessageInitShape<typeof VerifySyncResultSchema>> => {
      try {
        const verification = verificationMessage(await dict.createSyncVerification(question, options));
        return { keyType: wire, outcome: { case: 'verification', value: verification } };
      } catch (error) {
        if (!(error instanceof DictError)) throw error;
        return { keyType: wire, outcome: { case: 'error', value: statusOf(error) } };
      }
    }),
  );
  return create(VerifySyncResponseSchema, { results });
}

async function requestCidSetFile(dict: DictApi, request: RequestCidSetFileRequest, signal: AbortSignal) {
  const wanted = { participant: participantOf(request), keyType: keyTypeOf(request.keyType, 'key_type') };
  const file = await dict.createCidSetFile(wanted, optionsOf(request, signal));
  return create(RequestCidSetFileResponseSchema, { file: fileMessage(file) });
}

async function getCidSetFile(dict: DictApi, request: GetCidSetFileRequest, signal: AbortSignal) {
  const wanted = { participant: participantOf(request), id: idOf(request.id, 'id') };
  const file = await dict.getCidSetFile(wanted, optionsOf(request, signal));
  return create(GetCidSetFileResponseSchema, { file: fileMessage(file) });
}

const EVENTS_LIMIT_MAX = 200;

async function listCidSetEvents(dict: DictApi, request: ListCidSetEventsRequest, signal: AbortSignal) {
  const { startTime, endTime, limit } = request;
  const wanted = {
    participant: participantOf(request),
    keyType: keyTypeOf(request.keyType, 'key_type'),
    ...(startTime === undefined ? {} : { startTime: momentOf(startTime, 'start_time') }),
    ...(endTime === undefined ? {} : { endTime: momentOf(endTime, 'end_time') }),
    ...(limit === undefined ? {} : { limit: numberOf(limit, 'limit', 1, EVENTS_LIMIT_MAX) }),
  };
  return eventPageMessage(await dict.listCidSetEvents(wanted, optionsOf(request, signal)));
}

async function getEntryByCid(dict: DictApi, request: GetEntryByCidRequest, signal: AbortSignal) {
  const wanted = { participant: participantOf(request), cid: hex64Of(request.cid, 'cid') };
  return entryByCidMessage(await dict.getEntryByCid(wanted, optionsOf(request, signal)));
}

const INT32_MAX = 2_147_483_647;

async function listEntries(entries: EntryListing | null, request: ListEntriesRequest, signal: AbortSignal) {
  if (entries === null) {
    throw new MethodNotOffered(
      'ListEntries: this bridge has no directory that lists entries (API v2 of DICT has no such operation)',
    );
  }
  const { status, updatedSince } = request;
  if (status !== undefined && status !== 'ACTIVE') throw new RequestRefused('status', 'only ACTIVE can be listed');
  const wanted: EntryListingRequest = {
    participant: participantOf(request),
    pageNumber: numberOf(request.pageNumber, 'page_number', 1, INT32_MAX),
    pageSize: numberOf(request.pageSize, 'page_size', 1, LISTING_PAGE_SIZE_MAX),
    status: 'ACTIVE',
    ...(updatedSince === undefined ? {} : { updatedSince: momentOf(updatedSince, 'updated_since') }),
  };
  return entryPageMessage(await entries.listEntries(wanted, optionsOf(request, signal)));
}

async function getPolicies(dict: DictApi, request: GetPoliciesRequest, signal: AbortSignal) {
  const participant = participantOf(request);
  const options = optionsOf(request, signal);
  const policies =
    request.name === undefined
      ? await dict.listPolicies({ participant }, options)
      : [await dict.getPolicy({ participant, name: textOf(request.name, 'name') }, options)];
  return create(GetPoliciesResponseSchema, { policies: policies.map(policyMessage) });
}
