/**
 * State `listing`: one page is read, laid beside our rows of its keys, and committed with its position: which of its keys are new, what
 * they count as, and the CIDs that are worth asking about. Also when a listing is given up.
 */

import type { ExtendedEntry } from '../dict/entry.ts';
import type { EntryPage } from '../dict/entry-listing.ts';
import { readEntries } from '../ingest/entry-store.ts';
import type { StoredEntry } from '../ingest/stored-entry.ts';
import { type ListingDeps, type ListingNext, type ListingStepInput, listingNext, type OpenListingState } from './listing.ts';
import { LISTING_LEASE_MS } from './listing-claiming.ts';
import { isImplausible } from './listing-comparing.ts';
import { type Hint, insertHints, meaningOf, noteShown } from './listing-hints.ts';
import { fenceListing, type Listing, updateListing } from './listing-store.ts';

/** Reads the next page. Rejects with a `DictError`. */
export async function readPage(deps: ListingDeps, input: ListingStepInput, listing: Listing): Promise<ListingNext> {
  const { participant, updatedSince } = listing;
  const { pageSize } = deps.listingSettings;
  const since = updatedSince === null ? {} : { updatedSince };
  const page = await deps.listing.listEntries({
    participant,
    pageNumber: listing.pages + 1,
    pageSize,
    status: 'ACTIVE',
    ...since,
  });
  const ours = new Map(
    page.entries.filter(({ account }) => account.participant === participant).map((entry) => [entry.key, entry]),
  );
  const stored = await readEntries(deps.database, participant, [...ours.keys()]);
  const state = await deps.database.transaction((tx) => savePage(deps, { tx, input, page, ours, stored }));
  return listingNext(state);
}

interface ReadPage {
  readonly tx: Parameters<typeof fenceListing>[0];
  readonly input: ListingStepInput;
  readonly page: EntryPage;
  /** By key: an entry that stands twice on a page counts as it stands last. */
  readonly ours: ReadonlyMap<string, ExtendedEntry>;
  readonly stored: ReadonlyMap<string, StoredEntry>;
}

async function savePage(deps: ListingDeps, { tx, input, page, ours, stored }: ReadPage): Promise<OpenListingState> {
  const now = deps.clock.now();
  const listing = await fenceListing(tx, input.listingId, input.token);
  const fresh = await noteShown(tx, listing.id, [...ours.keys()].toSorted());
  const counts = { missing: 0, outdated: 0, unresolved: 0, same: 0 };
  const hints: Hint[] = [];
  for (const entry of ours.values()) {
    const meant = meaningOf(entry, stored.get(entry.key) ?? null);
    if (fresh.has(entry.key)) counts[meant.meaning] += 1;
    if (meant.meaning === 'same' || meant.cid === null) continue;
    hints.push({ keyType: entry.keyType, side: 'dict', cid: meant.cid, dueAt: dueAt(deps, page, entry, meant.meaning) });
  }
  await insertHints(tx, listing.id, hints);
  const barrenPages = fresh.size === 0 ? listing.barrenPages + 1 : 0;
  const full = listing.syncType === 'FULL';
  const next: OpenListingState = full ? 'comparing' : 'reconciling';
  const goesOn = page.hasNextPage && !isEndless(deps, listing, barrenPages);
  const state = goesOn ? 'listing' : next;
  await updateListing(
    tx,
    listing.id,
    {
      state,
      pages: listing.pages + 1,
      barrenPages,
      totalCount: page.totalCount,
      totalCountMax: Math.max(page.totalCount, listing.totalCountMax ?? 0),
      entriesListed: listing.entriesListed + fresh.size,
      foreignEntries:
        listing.foreignEntries + page.entries.filter((entry) => entry.account.participant !== listing.participant).length,
      unreadable: listing.unreadable + page.unreadable.length,
      missing: listing.missing + counts.missing,
      outdated: listing.outdated + counts.outdated,
      unresolved: listing.unresolved + counts.unresolved,
      leaseUntil: new Date(now.getTime() + LISTING_LEASE_MS),
      ...(goesOn ? {} : faultOf(deps, listing, page, fresh.size)),
    },
    now,
  );
  return state;
}

/** What is wrong with a listing whose last page was read; nothing where it holds about as many entries as it said. */
function faultOf(deps: ListingDeps, listing: Listing, page: EntryPage, fresh: number): { readonly reason?: string } {
  if (page.hasNextPage) return { reason: `the listing does not end: given up after page ${listing.pages + 1}` };
  // Entries that pages passed over while others wrote are few; the hints stay, the lack is told.
  const lacking = page.totalCount - listing.entriesListed - fresh;
  if (!isImplausible(deps, lacking, page.totalCount)) return {};
  return { reason: `the listing showed ${listing.entriesListed + fresh} of the ${page.totalCount} entries it spoke of` };
}

/** The directory says that more follows, and goes in circles or beyond all bounds. What it has shown so far are hints all the same. */
function isEndless({ listingSettings }: ListingDeps, { pages }: Listing, barrenPages: number): boolean {
  return barrenPages >= listingSettings.barrenPagesMax || pages + 1 >= listingSettings.pagesMax;
}

/**
 * Until when an event of the core's may explain a hint: counted from when DICT can have come to what it shows. Of an entry that we hold
 * otherwise that is as late as the page, since nothing tells when it was changed.
 */
function dueAt(deps: ListingDeps, page: EntryPage, entry: ExtendedEntry, meaning: 'missing' | 'outdated' | 'unresolved'): Date {
  const told = [Date.parse(entry.creationDate), Date.parse(entry.keyOwnershipDate)].filter((ms) => !Number.isNaN(ms));
  const sinceMs = meaning === 'missing' ? Math.max(0, ...told) : page.responseTime.getTime();
  return new Date(sinceMs + deps.verify.inFlightGraceMs + deps.settings.clockSkewMs);
}
