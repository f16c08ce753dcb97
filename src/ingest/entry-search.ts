/**
 * Entries by what a person knows of them: the key, a CID (also one of long ago), the account, the key type. Every way goes by an
 * index; the account's and the type's answers are bounded. Showing them masked is the caller's duty.
 */

import { KEY_TYPES, type KeyType } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';
import type { Sql } from '../platform/postgres/database.ts';

export interface FoundEntry {
  readonly participant: string;
  readonly key: string;
  readonly keyType: string;
  readonly status: string;
  /** The CID of the state shown; null for an unresolved or deleted key. */
  readonly cid: Uint8Array | null;
  readonly branch: string | null;
  readonly accountNumber: string | null;
  readonly accountType: string | null;
  readonly ownerType: string | null;
  readonly occurredAt: Date;
  readonly syncedFrom: string | null;
}

/** What is looked for; participants are those to look among. */
export type EntrySearch =
  | { readonly by: 'key'; readonly participants: readonly Participant[]; readonly key: string }
  | { readonly by: 'cid'; readonly participants: readonly Participant[]; readonly cid: Uint8Array }
  | {
      readonly by: 'account';
      readonly participants: readonly Participant[];
      readonly accountNumber: string;
      readonly branch: string | null;
    }
  | { readonly by: 'keyType'; readonly participants: readonly Participant[]; readonly keyType: KeyType };

interface EntryRow {
  participant: string;
  key: string;
  key_type: string;
  status: string;
  cid: Buffer | null;
  branch: string | null;
  account_number: string | null;
  account_type: string | null;
  owner_type: string | null;
  occurred_at: Date;
  synced_from: string | null;
}

const columns = `e.participant, e.key, e.key_type, e.status, e.cid, e.branch, e.account_number, e.account_type, e.owner_type,
  e.occurred_at, e.synced_from`;

function searchStatement(search: EntrySearch, limit: number): { readonly text: string; readonly values: unknown[] } {
  const participants = [...search.participants];
  switch (search.by) {
    case 'key':
      return {
        text: `SELECT ${columns} FROM dict_entries e
          WHERE e.participant = ANY ($1) AND e.key_type = ANY ($4) AND e.key = $2 ORDER BY e.participant LIMIT $3`,
        values: [participants, search.key, limit, KEY_TYPES],
      };
    case 'cid':
      // By history: a CID that has long been replaced still tells whose it was.
      return {
        text: `SELECT DISTINCT ${columns} FROM dict_cids c
          JOIN dict_entries e ON e.participant = c.participant AND e.key_type = c.key_type AND e.key = c.key
          WHERE c.participant = ANY ($1) AND c.key_type = ANY ($4) AND c.cid = $2 ORDER BY e.participant, e.key LIMIT $3`,
        values: [participants, Buffer.from(search.cid), limit, KEY_TYPES],
      };
    case 'account':
      return {
        // OFFSET 0 keeps the order apart from the search: else old statistics let PostgreSQL walk all keys in their order.
        text: `SELECT ${columns} FROM (
            SELECT ${columns} FROM dict_entries e
            WHERE e.participant = ANY ($1) AND e.account_number = $2 AND ($4::text IS NULL OR e.branch = $4) OFFSET 0
          ) AS e ORDER BY e.participant, e.branch, e.key LIMIT $3`,
        values: [participants, search.accountNumber, limit, search.branch],
      };
    case 'keyType':
      return {
        text: `SELECT ${columns} FROM unnest($1::text[]) AS wanted (participant)
          CROSS JOIN LATERAL (
            SELECT ${columns} FROM dict_entries e WHERE e.participant = wanted.participant AND e.key_type = $2 ORDER BY e.key LIMIT $3
          ) AS e LIMIT $3`,
        values: [participants, search.keyType, limit],
      };
  }
}

/** Finds entries, at most `limit`. */
export async function searchEntries(sql: Sql, search: EntrySearch, limit: number): Promise<FoundEntry[]> {
  const { text, values } = searchStatement(search, limit);
  const { rows } = await sql.query<EntryRow>(text, values);
  return rows.map((row) => ({
    participant: row.participant,
    key: row.key,
    keyType: row.key_type,
    status: row.status,
    cid: row.cid,
    branch: row.branch,
    accountNumber: row.account_number,
    accountType: row.account_type,
    ownerType: row.owner_type,
    occurredAt: row.occurred_at,
    syncedFrom: row.synced_from,
  }));
}
