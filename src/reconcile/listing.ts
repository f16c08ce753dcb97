/**
 * The words of the entry-level comparison (INT-003, VSYNC-workflow): a participant's entries are listed page by page, laid beside ours,
 * and what differs is judged by reconciliations that begin at the rung `listing`. The rows are listing-store.ts, the steps
 * listing-steps.ts. What a listing says is a hint: nothing is repaired because of it (rule R17).
 */

import type { EntryListing } from '../dict/entry-listing.ts';
import { LISTING_PAGE_SIZE_MAX } from '../dict/entry-listing.ts';
import type { Actor } from '../ledger/audit.ts';
import type { ReconcileDeps } from './reconciliation.ts';

/** `FULL`: every entry. `INCREMENTAL`: those changed since a time, which says nothing about keys that are not shown. */
export type SyncType = 'FULL' | 'INCREMENTAL';

export type OpenListingState = 'listing' | 'comparing' | 'reconciling';
export type EndedListingState = 'completed' | 'partial' | 'failed';

export interface ListingSettings {
  /** Entries asked for at a time; also how many keys of ours are compared in one statement. */
  readonly pageSize: number;
  /** Pages in a row without a key that is new: then the listing goes in circles, and is given up. */
  readonly barrenPagesMax: number;
  /** Pages at most, whatever the directory says: 20 million entries. */
  readonly pagesMax: number;
}

/** Pages of 1,000, as INT-003 has them. */
export const LISTING_DEFAULTS: ListingSettings = { pageSize: LISTING_PAGE_SIZE_MAX, barrenPagesMax: 3, pagesMax: 20_000 };

export interface ListingDeps extends ReconcileDeps {
  readonly listing: EntryListing;
  readonly listingSettings: ListingSettings;
}

/** Plain JSON: what begins a listing, or goes on with the one that is open for the participant. */
export interface ListingInput {
  /** A new UUID; not used where one is open. */
  readonly listingId: string;
  readonly participant: string;
  readonly syncType: SyncType;
  /** ISO 8601; null: since the last one that completed. */
  readonly lastSyncDate: string | null;
  /** A name that no other started flow has. */
  readonly owner: string;
  readonly requestedBy: Actor;
}

/** What a flow does after a step. */
export type ListingNext =
  | { readonly kind: 'page' }
  | { readonly kind: 'compare' }
  | { readonly kind: 'reconcile' }
  /** Paused by a person: look again when woken, at latest after that time. */
  | { readonly kind: 'wait'; readonly waitMs: number }
  /** Another process has taken it over. */
  | { readonly kind: 'lost' }
  | { readonly kind: 'ended'; readonly reason: string | null };

export type ListingClaim =
  | {
      readonly kind: 'claimed';
      readonly listingId: string;
      readonly token: number;
      readonly syncType: SyncType;
      readonly next: ListingNext;
    }
  /** Another process works on it; ask again after that time. */
  | { readonly kind: 'held'; readonly listingId: string; readonly waitMs: number }
  | { readonly kind: 'refused'; readonly reason: string };

/** What a step is given once the listing was claimed. */
export interface ListingStepInput {
  readonly listingId: string;
  readonly token: number;
}

/** The step that a state calls for. */
export function listingNext(state: OpenListingState): ListingNext {
  const kinds = { listing: 'page', comparing: 'compare', reconciling: 'reconcile' } as const;
  return { kind: kinds[state] };
}
