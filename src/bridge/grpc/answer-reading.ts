/**
 * Messages of the bridge as answers of DICT: what the client hands on. A message that lacks what the proto promises is an
 * `InvalidAnswer`, as it would be from DICT itself: nothing is concluded from it.
 */

import type { Timestamp } from '@bufbuild/protobuf/wkt';
import type {
  CidSetEventPage,
  CidSetFile as DictCidSetFile,
  Policy as DictPolicy,
  Stamp as DictStamp,
  SyncVerification as DictSyncVerification,
  EntryByCid,
} from '../../dict/api.ts';
import type { ExtendedEntry } from '../../dict/entry.ts';
import type { EntryPage } from '../../dict/entry-listing.ts';
import { DictError } from '../../dict/errors.ts';
import { isParticipant } from '../../dict/participant.ts';
import { accountTypes, eventTypes, keyTypes, ownerTypes, results } from './dict-words.ts';
import type {
  CidSetFile,
  Entry,
  GetEntryByCidResponse,
  ListCidSetEventsResponse,
  ListEntriesResponse,
  Policy,
  Stamp,
  SyncVerification,
} from './generated/dict/bridge/v1/bridge_pb.ts';
import { dateOf } from './timestamps.ts';

/** An answer of VerifySync for one key type. */
export function readVerification({ stamp, id, result }: SyncVerification): DictSyncVerification {
  return { ...readStamp(stamp), id, result: known(results.wordOf(result), 'result') };
}

/** The file of RequestCidSetFile and GetCidSetFile. */
export function readFile(file: CidSetFile | undefined): DictCidSetFile {
  const given = present(file, 'file');
  return {
    ...readStamp(given.stamp),
    id: given.id,
    status: given.status,
    participant: given.participant,
    keyType: given.keyType,
    requestTime: readTime(given.requestTime, 'file.request_time'),
    creationTime: given.creationTime === undefined ? null : readTime(given.creationTime, 'file.creation_time'),
    url: given.url ?? null,
    bytes: given.bytes === undefined ? null : count(given.bytes, 'file.bytes'),
    sha256: given.sha256 === undefined ? null : hex64(given.sha256, 'file.sha256'),
  };
}

/** A page of DICT's log. */
export function readEventPage(page: ListCidSetEventsResponse): CidSetEventPage {
  return {
    ...readStamp(page.stamp),
    hasMoreElements: page.hasMoreElements,
    syncVerifierStart: page.syncVerifierStart === undefined ? null : hex64(page.syncVerifierStart, 'sync_verifier_start'),
    syncVerifierEnd: page.syncVerifierEnd === undefined ? null : hex64(page.syncVerifierEnd, 'sync_verifier_end'),
    events: page.events.map(({ type, cid, timestamp }) => ({
      type: known(eventTypes.wordOf(type), 'events.type'),
      cid: hex64(cid, 'events.cid'),
      timestamp: readTime(timestamp, 'events.timestamp'),
    })),
  };
}

/** An entry, or that there is none; `cid` is the one that was asked for. */
export function readEntryByCid(answer: GetEntryByCidResponse, cid: string): EntryByCid {
  const stamp = readStamp(answer.stamp);
  const { found } = answer;
  if (found === undefined) return { ...stamp, found: false };
  if (found.cid !== cid) throw invalid('found.cid', 'is another one than asked for');
  return { ...stamp, found: true, cid, entry: readEntry(found.entry), requestId: found.requestId };
}

/** A page of entries. */
export function readEntryPage(page: ListEntriesResponse): EntryPage {
  return {
    ...readStamp(page.stamp),
    entries: page.entries.map(readEntry),
    unreadable: page.unreadable,
    totalCount: count(page.totalCount, 'total_count'),
    hasNextPage: page.hasNextPage,
  };
}

/** The state of a token bucket. */
export function readPolicy(policy: Policy): DictPolicy {
  return {
    name: policy.name,
    availableTokens: count(policy.availableTokens, 'policies.available_tokens'),
    capacity: count(policy.capacity, 'policies.capacity'),
    refillTokens: count(policy.refillTokens, 'policies.refill_tokens'),
    refillPeriodSec: count(policy.refillPeriodSec, 'policies.refill_period_sec'),
  };
}

function readEntry(message: Entry | undefined): ExtendedEntry {
  const entry = present(message, 'entry');
  const account = present(entry.account, 'entry.account');
  const owner = present(entry.owner, 'entry.owner');
  if (!isParticipant(account.participant)) throw invalid('entry.account.participant', 'is not an ISPB');
  return {
    key: entry.key,
    keyType: known(keyTypes.wordOf(entry.keyType), 'entry.key_type'),
    account: {
      participant: account.participant,
      branch: account.branch ?? null,
      accountNumber: account.accountNumber,
      accountType: known(accountTypes.wordOf(account.accountType), 'entry.account.account_type'),
      openingDate: account.openingDate,
    },
    owner: {
      type: known(ownerTypes.wordOf(owner.type), 'entry.owner.type'),
      taxIdNumber: owner.taxIdNumber,
      name: owner.name,
      tradeName: owner.tradeName ?? null,
    },
    creationDate: entry.creationDate,
    keyOwnershipDate: entry.keyOwnershipDate,
    openClaimCreationDate: entry.openClaimCreationDate ?? null,
  };
}

function readStamp(stamp: Stamp | undefined): DictStamp {
  const { responseTime, correlationId } = present(stamp, 'stamp');
  return { responseTime: readTime(responseTime, 'stamp.response_time'), correlationId };
}

function readTime(timestamp: Timestamp | undefined, field: string): Date {
  return known(dateOf(present(timestamp, field)), field);
}

function hex64(text: string, field: string): string {
  if (!/^[0-9a-f]{64}$/.test(text)) throw invalid(field, 'is not 64 hex digits');
  return text;
}

function count(value: bigint, field: string): number {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid(field, 'is no count');
  return Number(value);
}

function present<Value>(value: Value | undefined, field: string): Value {
  if (value === undefined) throw invalid(field, 'is missing');
  return value;
}

function known<Value>(value: Value | null, field: string): Value {
  if (value === null) throw invalid(field, 'is none that this program knows');
  return value;
}

/** What cannot be read of the bridge's answer. */
export function invalid(field: string, complaint: string): DictError {
  return new DictError('InvalidAnswer', 0, `the bridge's answer: ${field} ${complaint}`);
}
