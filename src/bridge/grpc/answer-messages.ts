/** Answers of DICT as messages: what the bridge's methods answer. The way back, for the client, is answer-reading.ts. */

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type {
  CidSetEventPage,
  CidSetFile as DictCidSetFile,
  Policy as DictPolicy,
  EntryByCid,
  Stamp,
  SyncVerification,
} from '../../dict/api.ts';
import type { ExtendedEntry } from '../../dict/entry.ts';
import type { EntryPage } from '../../dict/entry-listing.ts';
import { accountTypes, eventTypes, keyTypes, ownerTypes, results } from './dict-words.ts';
import {
  type CidSetFileSchema,
  type EntrySchema,
  type GetEntryByCidResponse,
  GetEntryByCidResponseSchema,
  type ListCidSetEventsResponse,
  ListCidSetEventsResponseSchema,
  type ListEntriesResponse,
  ListEntriesResponseSchema,
  type PolicySchema,
  type StampSchema,
  type SyncVerificationSchema,
} from './generated/dict/bridge/v1/bridge_pb.ts';
import { timestampOf } from './timestamps.ts';

type Init<Schema extends Parameters<typeof create>[0]> = MessageInitShape<Schema>;

/** For VerifySync. */
export function verificationMessage(verification: SyncVerification): Init<typeof SyncVerificationSchema> {
  return { stamp: stampMessage(verification), id: verification.id, result: results.valueOf(verification.result) };
}

/** For RequestCidSetFile and GetCidSetFile. */
export function fileMessage(file: DictCidSetFile): Init<typeof CidSetFileSchema> {
  return {
    stamp: stampMessage(file),
    id: file.id,
    status: file.status,
    participant: file.participant,
    keyType: file.keyType,
    requestTime: timestampOf(file.requestTime),
    ...(file.creationTime === null ? {} : { creationTime: timestampOf(file.creationTime) }),
    ...(file.url === null ? {} : { url: file.url }),
    ...(file.bytes === null ? {} : { bytes: BigInt(file.bytes) }),
    ...(file.sha256 === null ? {} : { sha256: file.sha256 }),
  };
}

/** For ListCidSetEvents. */
export function eventPageMessage(page: CidSetEventPage): ListCidSetEventsResponse {
  return create(ListCidSetEventsResponseSchema, {
    stamp: stampMessage(page),
    hasMoreElements: page.hasMoreElements,
    ...(page.syncVerifierStart === null ? {} : { syncVerifierStart: page.syncVerifierStart }),
    ...(page.syncVerifierEnd === null ? {} : { syncVerifierEnd: page.syncVerifierEnd }),
    events: page.events.map(({ type, cid, timestamp }) => ({
      type: eventTypes.valueOf(type),
      cid,
      timestamp: timestampOf(timestamp),
    })),
  });
}

/** For GetEntryByCid. */
export function entryByCidMessage(answer: EntryByCid): GetEntryByCidResponse {
  return create(GetEntryByCidResponseSchema, {
    stamp: stampMessage(answer),
    ...(answer.found ? { found: { cid: answer.cid, entry: entryMessage(answer.entry), requestId: answer.requestId } } : {}),
  });
}

/** For ListEntries. */
export function entryPageMessage(page: EntryPage): ListEntriesResponse {
  return create(ListEntriesResponseSchema, {
    stamp: stampMessage(page),
    entries: page.entries.map(entryMessage),
    unreadable: [...page.unreadable],
    totalCount: BigInt(page.totalCount),
    hasNextPage: page.hasNextPage,
  });
}

/** For GetPolicies. */
export function policyMessage(policy: DictPolicy): Init<typeof PolicySchema> {
  return {
    name: policy.name,
    availableTokens: BigInt(policy.availableTokens),
    capacity: BigInt(policy.capacity),
    refillTokens: BigInt(policy.refillTokens),
    refillPeriodSec: BigInt(policy.refillPeriodSec),
  };
}

function stampMessage({ responseTime, correlationId }: Stamp): Init<typeof StampSchema> {
  return { responseTime: timestampOf(responseTime), correlationId };
}

function entryMessage(entry: ExtendedEntry): Init<typeof EntrySchema> {
  const { account, owner } = entry;
  return {
    key: entry.key,
    keyType: keyTypes.valueOf(entry.keyType),
    account: {
      participant: account.participant,
      ...(account.branch === null ? {} : { branch: account.branch }),
      accountNumber: account.accountNumber,
      accountType: accountTypes.valueOf(account.accountType),
      openingDate: account.openingDate,
    },
    owner: {
      type: ownerTypes.valueOf(owner.type),
      taxIdNumber: owner.taxIdNumber,
      name: owner.name,
      ...(owner.tradeName === null ? {} : { tradeName: owner.tradeName }),
    },
    creationDate: entry.creationDate,
    keyOwnershipDate: entry.keyOwnershipDate,
    ...(entry.openClaimCreationDate === null ? {} : { openClaimCreationDate: entry.openClaimCreationDate }),
  };
}
