/**
 * A row that ingest reads under its scope's lock, from the server's texts: only what an event is held against, and each column by its
 * place. An object of all 24 columns by their names first took as long as the server's finding the row. Rows for everybody else are
 * entry-row.ts.
 */

import { asCid } from '../cid/cid.ts';
import type { AccountType, Entry, OwnerType } from '../dict/entry.ts';
import type { KeyType } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';
import { assert } from '../platform/assert.ts';
import { bytesOfText, instantOfText, isoOfText } from '../platform/postgres/text-values.ts';
import type { EntryStatus, KeyState } from './stored-entry.ts';

/** What is read of a row, in this order. Its key is known to whoever asks; its seq and time are replaced by whoever writes. */
export const HELD_COLUMNS = [
  ...['status', 'cid', 'request_id', 'request_id_since', 'occurred_at', 'event_action', 'registered_at'],
  ...['participant_registered_at', 'external_id', 'synced_from', 'orphaned_at', 'branch', 'account_number', 'account_type'],
  ...['account_opened_at', 'owner_type', 'owner_tax_id', 'owner_name', 'owner_trade_name'],
] as const;

/** Whose row it is. */
export interface HeldKey {
  readonly participant: Participant;
  readonly keyType: KeyType;
  readonly key: string;
}

type Texts = readonly (string | null)[];

/** The state in a row's texts, the first of which stands at `from`. */
export function heldState({ participant, keyType, key }: HeldKey, texts: Texts, from: number): KeyState {
  // As the table's checks allow it.
  const status = texts[from] as EntryStatus;
  const cid = texts[from + 1] ?? null;
  const requestId = texts[from + 2] ?? null;
  const requestIdSince = instant(texts[from + 3]);
  const occurredAt = instant(texts[from + 4]);
  assert(occurredAt !== null, 'a row says since when it is as it is');
  // As the table's checks allow it.
  const eventAction = (texts[from + 5] ?? null) as KeyState['eventAction'];
  const registeredAt = instant(texts[from + 6]);
  const participantRegisteredAt = instant(texts[from + 7]);
  const externalId = texts[from + 8] ?? null;
  const syncedFrom = texts[from + 9] ?? null;
  const orphanedAt = instant(texts[from + 10]);
  const times = { requestIdSince, registeredAt, participantRegisteredAt };
  const origin = { participant, key, keyType, ...times, externalId, syncedFrom, orphanedAt, occurredAt, eventAction };
  if (status === 'DELETED') return { ...origin, status, entry: null, requestId, cid: null };
  const entry = heldEntry({ participant, keyType, key }, texts, from + 11);
  if (status === 'UNRESOLVED') return { ...origin, status, entry, requestId: null, cid: null };
  assert(cid !== null && requestId !== null, `an entry that is ${status} has a CID and a RequestId`);
  return { ...origin, status, entry, requestId, cid: asCid(bytesOfText(cid)) };
}

function heldEntry({ participant, keyType, key }: HeldKey, texts: Texts, from: number): Entry {
  const [accountNumber, taxIdNumber, name] = [texts[from + 1], texts[from + 5], texts[from + 6]];
  assert(accountNumber != null && taxIdNumber != null && name != null, 'only a deleted entry lacks account or owner');
  const openedAt = texts[from + 3];
  return {
    key,
    keyType,
    account: {
      participant,
      branch: texts[from] ?? null,
      accountNumber,
      // As the table's checks allow it.
      accountType: texts[from + 2] as AccountType,
      openingDate: openedAt == null ? '' : isoOfText(openedAt),
    },
    // As the table's checks allow it.
    owner: { type: texts[from + 4] as OwnerType, taxIdNumber, name, tradeName: texts[from + 7] ?? null },
  };
}

function instant(text: string | null | undefined): Date | null {
  return text == null ? null : instantOfText(text);
}
