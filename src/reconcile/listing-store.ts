/**
 * The rows of entry_listings: beginning one, taking it over under a lease, and the fencing token that every later write checks, as
 * reconciliations have them. What a listing has shown and hinted at is listing-hints.ts.
 */

import type { Participant } from '../dict/participant.ts';
import { assert } from '../platform/assert.ts';
import type { Sql, Transaction } from '../platform/postgres/database.ts';
import type { EndedListingState, OpenListingState, SyncType } from './listing.ts';

/** A listing as it stands in the database. */
export interface Listing {
  readonly id: string;
  readonly participant: Participant;
  readonly syncType: SyncType;
  readonly updatedSince: Date | null;
  readonly state: OpenListingState | EndedListingState;
  readonly pages: number;
  readonly barrenPages: number;
  readonly totalCount: number | null;
  readonly totalCountMax: number | null;
  readonly entriesListed: number;
  readonly foreignEntries: number;
  readonly unreadable: number;
  readonly missing: number;
  readonly outdated: number;
  readonly unresolved: number;
  readonly unlisted: number;
  readonly comparedKey: string | null;
  readonly comparedKeys: number;
  readonly token: number;
  readonly leaseUntil: Date | null;
  readonly pausedAt: Date | null;
  readonly requestedBy: string;
  readonly authenticated: boolean;
  readonly reason: string | null;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
}

const columnOf = {
  id: 'id',
  participant: 'participant',
  syncType: 'sync_type',
  updatedSince: 'updated_since',
  state: 'state',
  pages: 'pages',
  barrenPages: 'barren_pages',
  totalCount: 'total_count',
  totalCountMax: 'total_count_max',
  entriesListed: 'entries_listed',
  foreignEntries: 'foreign_entries',
  unreadable: 'unreadable',
  missing: 'missing',
  outdated: 'outdated',
  unresolved: 'unresolved',
  unlisted: 'unlisted',
  comparedKey: 'compared_key',
  comparedKeys: 'compared_keys',
  token: 'fencing_token',
  leaseUntil: 'lease_until',
  pausedAt: 'paused_at',
  requestedBy: 'requested_by',
  authenticated: 'authenticated',
  reason: 'reason',
  startedAt: 'started_at',
  endedAt: 'ended_at',
} as const satisfies Record<keyof Listing, string>;

/** Each column under the name that `Listing` gives it. The table's checks are what the literal types rest on. */
const columns = Object.entries(columnOf)
  .map(([property, column]) => `${column} AS "${property}"`)
  .join(', ');

/** A listing's token is no longer the one this process was given: somebody else has taken it over, or it has ended. */
export class ListingTaken extends Error {
  override readonly name = 'ListingTaken';
}

export interface NewListing {
  readonly id: string;
  readonly participant: Participant;
  readonly syncType: SyncType;
  readonly updatedSince: Date | null;
  readonly requestedBy: string;
  readonly authenticated: boolean;
  readonly now: Date;
}

/** Begins a listing; false where one is open for the participant, which then stays as it is. */
export async function insertListing(sql: Sql, listing: NewListing): Promise<boolean> {
  const { id, participant, syncType, updatedSince, requestedBy, authenticated, now } = listing;
  const { rowCount } = await sql.query(
    `INSERT INTO entry_listings (id, participant, sync_type, updated_since, state, pages, barren_pages, entries_listed,
       foreign_entries, unreadable, missing, outdated, unresolved, unlisted, compared_keys, fencing_token, requested_by,
       authenticated, started_at, updated_at)
     VALUES ($1, $2, $3, $4, 'listing', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, $5, $6, $7, $7)
     ON CONFLICT (participant) WHERE ended_at IS NULL DO NOTHING`,
    [id, participant, syncType, updatedSince, requestedBy, authenticated, now],
  );
  return rowCount === 1;
}

/** A listing by its id; null where there is none. */
export async function readListing(sql: Sql, id: string): Promise<Listing | null> {
  const { rows } = await sql.query<Listing>(`SELECT ${columns} FROM entry_listings WHERE id = $1`, [id]);
  return rows[0] ?? null;
}

/** The open listing of a participant; null where none is. */
export async function readOpenListing(sql: Sql, participant: Participant): Promise<Listing | null> {
  const { rows } = await sql.query<Listing>(`SELECT ${columns} FROM entry_listings WHERE participant = $1 AND ended_at IS NULL`, [
    participant,
  ]);
  return rows[0] ?? null;
}

/** When the last listing of a participant that completed had begun; null where none ever did. */
export async function lastCompleted(sql: Sql, participant: Participant): Promise<Date | null> {
  const { rows } = await sql.query<{ startedAt: Date }>(
    `SELECT started_at AS "startedAt" FROM entry_listings
     WHERE participant = $1 AND state = 'completed' ORDER BY started_at DESC LIMIT 1`,
    [participant],
  );
  return rows[0]?.startedAt ?? null;
}

/** Makes `owner` the listing's process; null where another's lease has not run out, or it has ended. */
export async function takeListing(sql: Sql, id: string, owner: string, now: Date, leaseUntil: Date): Promise<number | null> {
  const { rows } = await sql.query<{ fencing_token: number }>(
    `UPDATE entry_listings SET fencing_token = fencing_token + 1, lease_owner = $2, lease_until = $4, updated_at = $3
     WHERE id = $1 AND ended_at IS NULL AND (lease_owner IS NULL OR lease_owner = $2 OR lease_until <= $3)
     RETURNING fencing_token`,
    [id, owner, now, leaseUntil],
  );
  return rows[0]?.fencing_token ?? null;
}

/** Locks the listing until the transaction ends and proves that it is still this process's. Throws `ListingTaken`. */
export async function fenceListing(tx: Transaction, id: string, token: number): Promise<Listing> {
  const { rows } = await tx.query<Listing>(`SELECT ${columns} FROM entry_listings WHERE id = $1 FOR UPDATE`, [id]);
  const listing = rows[0];
  if (listing === undefined || listing.token !== token || listing.endedAt !== null) {
    throw new ListingTaken(`listing ${id} is no longer this process's`);
  }
  return listing;
}

/** What a step may change; what is absent stays. */
export type ListingChange = Partial<
  Pick<
    Listing,
    | 'pages'
    | 'barrenPages'
    | 'totalCount'
    | 'totalCountMax'
    | 'entriesListed'
    | 'foreignEntries'
    | 'unreadable'
    | 'missing'
    | 'outdated'
    | 'unresolved'
    | 'unlisted'
    | 'comparedKey'
    | 'comparedKeys'
    | 'leaseUntil'
    | 'reason'
  >
> & { readonly state?: OpenListingState };

/** Writes what a step changed. Only after `fenceListing` in the same transaction. */
export async function updateListing(tx: Transaction, id: string, change: ListingChange, now: Date): Promise<void> {
  // Names come from the fixed table above: no text of a caller's gets into the statement.
  const changed = Object.entries(columnOf).flatMap(([property, column]) => {
    // Object.entries widens the names of a literal object to text.
    const value = change[property as keyof ListingChange];
    return value === undefined ? [] : [{ column, value }];
  });
  const sets = changed.map(({ column }, index) => `${column} = $${index + 3}`);
  const { rowCount } = await tx.query(`UPDATE entry_listings SET ${['updated_at = $2', ...sets].join(', ')} WHERE id = $1`, [
    id,
    now,
    ...changed.map(({ value }) => value),
  ]);
  assert(rowCount === 1, `listing ${id} vanished while it was locked`);
}

/** Gives the lease back: from here on its reconciliations have leases of their own. */
export async function releaseListing(sql: Sql, id: string, token: number): Promise<void> {
  await sql.query('UPDATE entry_listings SET lease_owner = NULL, lease_until = NULL WHERE id = $1 AND fencing_token = $2', [
    id,
    token,
  ]);
}

/** Ends a listing with what came of it, and forgets what it has shown. False where it had ended already. */
export async function endListing(
  tx: Transaction,
  id: string,
  end: { readonly state: EndedListingState; readonly reason: string | null },
  now: Date,
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `UPDATE entry_listings SET state = $2, reason = $3, ended_at = $4, updated_at = $4, lease_owner = NULL, lease_until = NULL
     WHERE id = $1 AND ended_at IS NULL`,
    [id, end.state, end.reason, now],
  );
  if (rowCount === 0) return false;
  await tx.query('DELETE FROM entry_listing_keys WHERE listing_id = $1', [id]);
  await tx.query('DELETE FROM entry_listing_hints WHERE listing_id = $1', [id]);
  return true;
}

/** Stops a listing and its reconciliations at their next steps, or lets them go on. False where it has ended, or was so already. */
export async function setListingPaused(tx: Transaction, id: string, pausedAt: Date | null, now: Date): Promise<boolean> {
  const { rowCount } = await tx.query(
    `UPDATE entry_listings SET paused_at = $2, updated_at = $3
     WHERE id = $1 AND ended_at IS NULL AND (paused_at IS NULL) <> ($2::timestamptz IS NULL)`,
    [id, pausedAt, now],
  );
  if (rowCount === 0) return false;
  await tx.query(`UPDATE dict_reconciliations SET paused_at = $2, updated_at = $3 WHERE listing_id = $1 AND ended_at IS NULL`, [
    id,
    pausedAt,
    now,
  ]);
  return true;
}
