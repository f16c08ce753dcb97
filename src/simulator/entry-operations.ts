/**
 * The operations that make traffic: create, update, delete and read an entry. getEntry leaves anti-fraud statistics and the
 * refusal of queries inside one participant out.
 */

import { hash } from 'node:crypto';
import { element } from '../platform/xml.ts';
import { at, type Call, documentOf, matching, type Parts, participantOf, type Reply, requesterOf, textAt } from './call.ts';
import { type Attributes, type EntryRecord, entryRecord } from './directory.ts';
import { accountOf, entryOf, ownerOf } from './entry-form.ts';
import { entryXml } from './entry-xml.ts';
import { cidOf } from './oracle.ts';
import { Problem } from './problem.ts';
import { uuidOf } from './random.ts';

export const UUID = /^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$/;

function reasonOf(call: Call, allowed: readonly string[]): string {
  const reason = textAt(call.document, 'Reason');
  if (reason !== null && allowed.includes(reason)) return reason;
  throw new Problem('InvalidReason', 'Reason is not valid for this operation', [
    { reason: `Value is none of ${allowed.join(', ')}`, property: 'reason', ...(reason === null ? {} : { value: reason }) },
  ]);
}

/** POST /entries/ */
export function createEntry(parts: Parts, call: Call): Reply {
  const body = documentOf(call, 'CreateEntryRequest');
  reasonOf(call, ['USER_REQUESTED', 'RECONCILIATION']);
  const source = at(body, 'Entry');
  if (source === undefined) throw new Problem('BadRequest', 'Could not parse request body: Entry is missing');
  const wanted = entryOf(source);
  participantOf(parts, wanted.participant, 'entry.account.participant');
  const requestId = matching(textAt(body, 'RequestId'), UUID, 'requestId').toLowerCase();
  const repeated = repeatedEntry(parts, wanted, requestId);
  if (repeated !== null) return { status: 201, name: 'CreateEntryResponse', children: [entryXml(repeated)] };
  const attributes: Attributes = { ...wanted, key: wanted.key ?? generatedEvp(parts, requestId) };
  refuseTaken(parts, attributes);
  const entry = entryRecord(attributes, { requestId, createdMs: call.nowMs, ownedSinceMs: call.nowMs });
  parts.directory.apply({ add: entry, log: true, atMs: call.nowMs });
  return { status: 201, name: 'CreateEntryResponse', children: [entryXml(entry)] };
}

/** The active entry that an earlier, equal request created; refuses a RequestId that was used for anything else. */
export function repeatedEntry(
  parts: Parts,
  wanted: Omit<Attributes, 'key'> & { readonly key: string | null },
  requestId: string,
): EntryRecord | null {
  const created = parts.directory.cidCreatedBy(wanted.participant, requestId);
  if (created === undefined) return null;
  const active = parts.directory.byCid(created);
  if (active !== undefined && cidOf({ ...wanted, key: wanted.key ?? active.key }, requestId) === created) return active;
  throw new Problem('RequestIdAlreadyUsed', 'RequestId was used before with other parameters');
}

/** From seed and RequestId alone, so that it does not depend on what else was asked before. */
function generatedEvp(parts: Parts, requestId: string): string {
  return uuidOf(hash('sha256', `${parts.settings.seed} ${requestId}`, 'hex'));
}

function refuseTaken(parts: Parts, wanted: Attributes): void {
  if ((wanted.keyType === 'CPF' || wanted.keyType === 'CNPJ') && wanted.key !== wanted.taxIdNumber) {
    throw new Problem('EntryTaxIdNumberByDifferentOwner', 'Key differs from the tax id number of its owner');
  }
  const existing = parts.directory.byKey(wanted.key);
  if (existing === undefined) return;
  if (existing.taxIdNumber !== wanted.taxIdNumber) {
    throw new Problem('EntryKeyOwnedByDifferentPerson', 'Entry for given key belongs to another person');
  }
  if (existing.participant !== wanted.participant) {
    throw new Problem('EntryKeyInCustodyOfDifferentParticipant', 'Entry for given key is with another participant');
  }
  throw new Problem('EntryAlreadyExists', 'Entry for given key, participant and owner exists already');
}

function existingEntry(parts: Parts, key: string): EntryRecord {
  const entry = parts.directory.byKey(key);
  if (entry === undefined) throw new Problem('NotFound', 'Entry associated with given key does not exist');
  return entry;
}

function keyOf(call: Call): string {
  const key = matching(textAt(call.document, 'Key'), /^.{1,77}$/, 'key');
  if (key === call.argument) return key;
  throw new Problem('BadRequest', 'Key of the body differs from the one of the path', [
    { reason: 'Value differs from the path', value: key, property: 'key' },
  ]);
}

const UPDATE_REASONS = ['USER_REQUESTED', 'BRANCH_TRANSFER', 'RECONCILIATION', 'RFB_VALIDATION'];

/** PUT /entries/{Key}: the RequestId stays, the CID follows the attributes. */
export function updateEntry(parts: Parts, call: Call): Reply {
  const body = documentOf(call, 'UpdateEntryRequest');
  const entry = existingEntry(parts, keyOf(call));
  reasonOf(call, entry.keyType === 'EVP' ? ['RFB_VALIDATION'] : UPDATE_REASONS);
  const accountSource = at(body, 'Account');
  const ownerSource = at(body, 'Owner');
  const account = accountSource === undefined ? {} : accountOf(accountSource);
  const owner = ownerSource === undefined ? {} : ownerOf(ownerSource);
  const changed = entryRecord({ ...entry, ...account, ...owner }, entry);
  participantOf(parts, entry.participant, 'account.participant');
  if (changed.participant !== entry.participant) {
    throw new Problem('Forbidden', 'Participant is not allowed to access this resource');
  }
  if (changed.taxIdNumber !== entry.taxIdNumber || changed.ownerType !== entry.ownerType) {
    throw new Problem('EntryInvalid', 'Entry has invalid fields', [
      { reason: 'The owner of an entry cannot be changed', value: changed.taxIdNumber, property: 'owner.taxIdNumber' },
    ]);
  }
  if (entry.blocked) throw new Problem('EntryBlocked', 'Entry is blocked by court order');
  changed.openClaimMs = entry.openClaimMs;
  const silent = changed.cid === entry.cid && parts.settings.readings.unchangedUpdate === 'silent';
  parts.directory.apply({ remove: entry, add: changed, log: !silent, atMs: call.nowMs });
  return { status: 200, name: 'UpdateEntryResponse', children: [entryXml(changed)] };
}

const DELETE_REASONS = ['USER_REQUESTED', 'ACCOUNT_CLOSURE', 'RECONCILIATION', 'FRAUD', 'RFB_VALIDATION'];

/** POST /entries/{Key}/delete */
export function deleteEntry(parts: Parts, call: Call): Reply {
  const body = documentOf(call, 'DeleteEntryRequest');
  const key = keyOf(call);
  const participant = participantOf(parts, textAt(body, 'Participant'), 'participant');
  reasonOf(call, DELETE_REASONS);
  const entry = existingEntry(parts, key);
  if (entry.participant !== participant) {
    throw new Problem('Forbidden', 'Participant is not allowed to access this resource');
  }
  if (entry.openClaimMs !== null) throw new Problem('EntryLockedByClaim', 'A claim on the key of the entry is open');
  parts.directory.apply({ remove: entry, log: true, atMs: call.nowMs });
  return { status: 200, name: 'DeleteEntryResponse', children: [element('Key', key)] };
}

/** GET /entries/{Key} */
export function getEntry(parts: Parts, call: Call): Reply {
  requesterOf(parts, call);
  matching(call.headers['pi-payerid'] ?? null, /^([0-9]{11}|[0-9]{14})$/, 'PI-PayerId');
  matching(call.headers['pi-endtoendid'] ?? null, /^.+$/, 'PI-EndToEndId');
  const entry = existingEntry(parts, call.argument);
  if (entry.blocked) throw new Problem('EntryBlocked', 'Entry is blocked by court order and cannot be queried');
  return { status: 200, name: 'GetEntryResponse', children: [entryXml(entry)] };
}
