/** A row of dict_entries as the database has it, in both directions; what it means is stored-entry.ts. */

import type { Cid } from '../cid/cid.ts';
import { asCid } from '../cid/cid.ts';
import type { AccountType, Entry, OwnerType } from '../dict/entry.ts';
import type { KeyType } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';
import { parseInstant } from '../event/instant.ts';
import { assert } from '../platform/assert.ts';
import type { Columns, ColumnValue } from '../platform/postgres/binary-parameters.ts';
import type { EntryStatus, StoredEntry } from './stored-entry.ts';

/** In the order of the composite type `dict_entry_row`. */
export const ENTRY_COLUMN_TYPES = {
  participant: 'text',
  key: 'text',
  key_type: 'text',
  status: 'text',
  cid: 'bytea',
  branch: 'text',
  account_number: 'text',
  account_type: 'text',
  account_opened_at: 'timestamptz',
  owner_type: 'text',
  owner_tax_id: 'text',
  owner_name: 'text',
  owner_trade_name: 'text',
  request_id: 'uuid',
  request_id_since: 'timestamptz',
  registered_at: 'timestamptz',
  participant_registered_at: 'timestamptz',
  external_id: 'text',
  synced_from: 'text',
  orphaned_at: 'timestamptz',
  occurred_at: 'timestamptz',
  event_action: 'text',
  seq: 'bigint',
  updated_at: 'timestamptz',
} as const satisfies Columns;

/** All columns of dict_entries. */
export const ENTRY_COLUMNS = Object.keys(ENTRY_COLUMN_TYPES).join(', ');

/** The columns as the table's checks allow them; the casts from text rest on those checks. */
export interface EntryRow {
  participant: Participant;
  key: string;
  key_type: KeyType;
  status: EntryStatus;
  cid: Buffer | null;
  branch: string | null;
  account_number: string | null;
  account_type: AccountType | null;
  account_opened_at: Date | null;
  owner_type: OwnerType | null;
  owner_tax_id: string | null;
  owner_name: string | null;
  owner_trade_name: string | null;
  request_id: string | null;
  request_id_since: Date | null;
  registered_at: Date | null;
  participant_registered_at: Date | null;
  external_id: string | null;
  synced_from: string | null;
  orphaned_at: Date | null;
  occurred_at: Date;
  event_action: StoredEntry['eventAction'];
  seq: number;
  updated_at: Date;
}

function entryOfRow(row: EntryRow): Entry {
  const { account_number, account_type, owner_type, owner_tax_id, owner_name } = row;
  assert(
    account_number !== null && account_type !== null && owner_type !== null && owner_tax_id !== null && owner_name !== null,
    'only a deleted entry lacks account or owner',
  );
  return {
    key: row.key,
    keyType: row.key_type,
    account: {
      participant: row.participant,
      branch: row.branch,
      accountNumber: account_number,
      accountType: account_type,
      openingDate: row.account_opened_at?.toISOString() ?? '',
    },
    owner: { type: owner_type, taxIdNumber: owner_tax_id, name: owner_name, tradeName: row.owner_trade_name },
  };
}

/** What a row means. */
export function storedEntry(row: EntryRow): StoredEntry {
  const common = {
    participant: row.participant,
    key: row.key,
    keyType: row.key_type,
    requestIdSince: row.request_id_since,
    registeredAt: row.registered_at,
    participantRegisteredAt: row.participant_registered_at,
    externalId: row.external_id,
    syncedFrom: row.synced_from,
    orphanedAt: row.orphaned_at,
    occurredAt: row.occurred_at,
    eventAction: row.event_action,
    seq: row.seq,
    updatedAt: row.updated_at,
  };
  if (row.status === 'DELETED') return { ...common, status: row.status, entry: null, requestId: row.request_id, cid: null };
  const entry = entryOfRow(row);
  if (row.status === 'UNRESOLVED') return { ...common, status: row.status, entry, requestId: null, cid: null };
  assert(row.cid !== null && row.request_id !== null, `an entry that is ${row.status} has a CID and a RequestId`);
  return { ...common, status: row.status, entry, requestId: row.request_id, cid: asCid(row.cid) };
}

/** DICT's own dates may be ones that no event has. */
function dateOf(text: string): Date {
  return parseInstant(text) ?? new Date(text);
}

/** The values of a row, in the order of the columns. */
export function valuesOf(stored: StoredEntry): ColumnValue[] {
  const account = stored.entry?.account;
  const owner = stored.entry?.owner;
  const openedAt = account === undefined || account.openingDate === '' ? null : dateOf(account.openingDate);
  const cid: Cid | null = stored.cid;
  return [
    stored.participant,
    stored.key,
    stored.keyType,
    stored.status,
    cid,
    account?.branch ?? null,
    account?.accountNumber ?? null,
    account?.accountType ?? null,
    openedAt,
    owner?.type ?? null,
    owner?.taxIdNumber ?? null,
    owner?.name ?? null,
    owner?.tradeName ?? null,
    stored.requestId,
    stored.requestIdSince,
    stored.registeredAt,
    stored.participantRegisteredAt,
    stored.externalId,
    stored.syncedFrom,
    stored.orphanedAt,
    stored.occurredAt,
    stored.eventAction,
    stored.seq,
    stored.updatedAt,
  ];
}
