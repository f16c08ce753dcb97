/**
 * Rows of dict_entries, read and written as they are: which state follows which is decided by who calls (entry-transition.ts,
 * and the repairs). Every writer holds the scope's VSync row (lockVSyncs) before it locks entries.
 */

import type { Cid } from '../cid/cid.ts';
import { asCid, cidToHex } from '../cid/cid.ts';
import type { AccountType, Entry, OwnerType } from '../dict/entry.ts';
import type { KeyType } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';
import { assert } from '../platform/assert.ts';
import type { Sql, Transaction } from '../platform/postgres/database.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import type { EntryStatus, StoredEntry } from './stored-entry.ts';

/** All columns of dict_entries. */
export const ENTRY_COLUMNS = `participant, key, key_type, status, cid, branch, account_number, account_type, account_opened_at, owner_type,
  owner_tax_id, owner_name, owner_trade_name, request_id, request_id_since, registered_at, participant_registered_at, external_id,
  synced_from, orphaned_at, occurred_at, event_action, seq, updated_at`;

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

/** The entry of a row with all columns. */
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

/** The rows of these keys, locked until the transaction ends; keys without a row are absent from the answer. */
export async function lockEntries(
  tx: Transaction,
  participant: Participant,
  keys: readonly string[],
): Promise<Map<string, StoredEntry>> {
  const { rows } = await tx.query<EntryRow>(
    `SELECT ${ENTRY_COLUMNS} FROM dict_entries WHERE participant = $1 AND key = ANY ($2) ORDER BY key FOR UPDATE`,
    [participant, keys],
  );
  return new Map(rows.map((row) => [row.key, storedEntry(row)]));
}

/** The row of one key, or null. */
export async function readEntry(sql: Sql, participant: Participant, key: string): Promise<StoredEntry | null> {
  const { rows } = await sql.query<EntryRow>(`SELECT ${ENTRY_COLUMNS} FROM dict_entries WHERE participant = $1 AND key = $2`, [
    participant,
    key,
  ]);
  return rows[0] === undefined ? null : storedEntry(rows[0]);
}

/** The rows of these keys as they are now, by key; keys without a row are absent from the answer. */
export async function readEntries(
  sql: Sql,
  participant: Participant,
  keys: readonly string[],
): Promise<Map<string, StoredEntry>> {
  if (keys.length === 0) return new Map();
  const { rows } = await sql.query<EntryRow>(`SELECT ${columns} FROM dict_entries WHERE participant = $1 AND key = ANY ($2)`, [
    participant,
    keys,
  ]);
  return new Map(rows.map((row) => [row.key, storedEntry(row)]));
}

/** The next rows of a scope in the order of their keys, after that key (null: from the first); at most `limit`. */
export async function readEntriesAfter(
  sql: Sql,
  { participant, keyType }: Scope,
  { after, limit }: { readonly after: string | null; readonly limit: number },
): Promise<StoredEntry[]> {
  const { rows } = await sql.query<EntryRow>(
    `SELECT ${ENTRY_COLUMNS} FROM dict_entries
     WHERE participant = $1 AND key_type = $2 AND ($3::text IS NULL OR key > $3) ORDER BY key LIMIT $4`,
    [participant, keyType, after, limit],
  );
  return rows.map(storedEntry);
}

/** The rows of these keys as they are, not locked; keys without a row, or of another key type, are absent. By key. */
export async function readEntries(sql: Sql, { participant, keyType }: Scope, keys: readonly string[]): Promise<StoredEntry[]> {
  const { rows } = await sql.query<EntryRow>(
    `SELECT ${ENTRY_COLUMNS} FROM dict_entries WHERE participant = $1 AND key = ANY ($2) AND key_type = $3 ORDER BY key`,
    [participant, keys, keyType],
  );
  return rows.map(storedEntry);
}

/** The rows of a source of the row filter (row-filter/row-source.ts), which is the FROM and WHERE. */
export async function readEntriesFrom(sql: Sql, source: string): Promise<StoredEntry[]> {
  const { rows } = await sql.query<EntryRow>(`SELECT ${ENTRY_COLUMNS} ${source}`);
  return rows.map(storedEntry);
}

function hexOf(cid: Cid | null): string | null {
  return cid === null ? null : cidToHex(cid);
}

function rowOf(stored: StoredEntry): Record<string, string | number | null> {
  const account = stored.entry?.account;
  const owner = stored.entry?.owner;
  return {
    participant: stored.participant,
    key: stored.key,
    key_type: stored.keyType,
    status: stored.status,
    cid: hexOf(stored.cid),
    branch: account?.branch ?? null,
    account_number: account?.accountNumber ?? null,
    account_type: account?.accountType ?? null,
    account_opened_at: account === undefined || account.openingDate === '' ? null : account.openingDate,
    owner_type: owner?.type ?? null,
    owner_tax_id: owner?.taxIdNumber ?? null,
    owner_name: owner?.name ?? null,
    owner_trade_name: owner?.tradeName ?? null,
    request_id: stored.requestId,
    request_id_since: stored.requestIdSince?.toISOString() ?? null,
    registered_at: stored.registeredAt?.toISOString() ?? null,
    participant_registered_at: stored.participantRegisteredAt?.toISOString() ?? null,
    external_id: stored.externalId,
    synced_from: stored.syncedFrom,
    orphaned_at: stored.orphanedAt?.toISOString() ?? null,
    occurred_at: stored.occurredAt.toISOString(),
    event_action: stored.eventAction,
    seq: stored.seq,
    updated_at: stored.updatedAt.toISOString(),
  };
}

/**
 * Inserts or replaces whole rows. One JSON parameter for all of them: as fast as an array per column, and one place where a
 * column is named. Each (participant, key) at most once per call.
 */
export async function writeEntries(tx: Transaction, entries: readonly StoredEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const { rowCount } = await tx.query(
    `INSERT INTO dict_entries (${ENTRY_COLUMNS})
     SELECT participant, key, key_type, status, decode(cid, 'hex'), branch, account_number, account_type, account_opened_at,
       owner_type, owner_tax_id, owner_name, owner_trade_name, request_id, request_id_since, registered_at,
       participant_registered_at, external_id, synced_from, orphaned_at, occurred_at, event_action, seq, updated_at
     FROM json_to_recordset($1) AS given (participant text, key text, key_type text, status text, cid text, branch text,
       account_number text, account_type text, account_opened_at timestamptz, owner_type text, owner_tax_id text, owner_name text,
       owner_trade_name text, request_id uuid, request_id_since timestamptz, registered_at timestamptz,
       participant_registered_at timestamptz, external_id text, synced_from text, orphaned_at timestamptz,
       occurred_at timestamptz, event_action text, seq bigint, updated_at timestamptz)
     ON CONFLICT (participant, key) DO UPDATE SET
       key_type = excluded.key_type, status = excluded.status, cid = excluded.cid, branch = excluded.branch,
       account_number = excluded.account_number, account_type = excluded.account_type,
       account_opened_at = excluded.account_opened_at, owner_type = excluded.owner_type, owner_tax_id = excluded.owner_tax_id,
       owner_name = excluded.owner_name, owner_trade_name = excluded.owner_trade_name, request_id = excluded.request_id,
       request_id_since = excluded.request_id_since, registered_at = excluded.registered_at,
       participant_registered_at = excluded.participant_registered_at, external_id = excluded.external_id,
       synced_from = excluded.synced_from, orphaned_at = excluded.orphaned_at, occurred_at = excluded.occurred_at,
       event_action = excluded.event_action, seq = excluded.seq, updated_at = excluded.updated_at`,
    [JSON.stringify(entries.map(rowOf))],
  );
  assert(rowCount === entries.length, `${rowCount} of ${entries.length} entries were written`);
}
