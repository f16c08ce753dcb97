/**
 * The steps of a listing, for the flow: take it over, read a page and lay it beside ours, look for keys of ours that were not shown, open a
 * reconciliation of each key type. Each is bounded, and its position is committed with what it found, so that a process that was
 * killed is gone on after with the next page.
 */

import type { ExtendedEntry } from '../dict/entry.ts';
import type { EntryPage } from '../dict/entry-listing.ts';
import { isKeyType } from '../dict/key-type.ts';
import { isParticipant, type Participant } from '../dict/participant.ts';
import { readEntries } from '../ingest/entry-store.ts';
import type { StoredEntry } from '../ingest/stored-entry.ts';
import { appendAudit } from '../ledger/audit.ts';
import { assert } from '../platform/assert.ts';
import {
  type ListingClaim,
  type ListingDeps,
  type ListingInput,
  type ListingNext,
  type ListingStepInput,
  listingNext,
  type OpenListingState,
} from './listing.ts';
import { compareRange, dropHints, type Hint, insertHints, meaningOf, noteShown } from './listing-hints.ts';
import {
  fenceListing,
  insertListing,
  type Listing,
  ListingTaken,
  lastCompleted,
  readListing,
  readOpenListing,
  releaseListing,
  takeListing,
  updateListing,
} from './listing-store.ts';
import { type Opening, openReconciliation } from './opening.ts';
import { readPolicy } from './participant-policy.ts';
import { readRunOfListing, setPaused } from './run-store.ts';

/** Longer than a page may take (two minutes): a process that is not heard of for so long is taken for dead. */
const LEASE_MS = 3 * 60_000;
const PAUSED_POLL_MS = 60_000;
/** Ranges in one step: 100,000 keys. */
const RANGES_MAX = 100;

export interface ListingSteps {
  claimListing(input: ListingInput): Promise<ListingClaim>;
  /** Reads one page. Rejects with a `DictError`, which the runner tries again where that can help. */
  readListingPage(input: ListingStepInput): Promise<ListingNext>;
  compareListing(input: ListingStepInput): Promise<ListingNext>;
  /** Opens the reconciliation of one key type; `attached`: another one is open, and has to end before ours begins. */
  openListed(input: { readonly listingId: string; readonly keyType: string }): Promise<Opening>;
}

/** The steps over their dependencies. */
export function createListingSteps(deps: ListingDeps): ListingSteps {
  return {
    claimListing: (input) => claimListing(deps, input),
    readListingPage: (input) => inListing(deps, input, 'listing', (listing) => readPage(deps, input, listing)),
    compareListing: (input) => inListing(deps, input, 'comparing', (listing) => compare(deps, input, listing)),
    openListed: (input) => openListed(deps, input),
  };
}

async function claimListing(deps: ListingDeps, input: ListingInput): Promise<ListingClaim> {
  const { database, clock, settings } = deps;
  const { participant } = input;
  assert(isParticipant(participant), `"${participant}" is an ISPB`);
  const policy = await readPolicy(database, participant, settings);
  if (policy === null) return { kind: 'refused', reason: `participant ${participant} has no keys here` };
  if (policy.algorithm !== 'dict') {
    return { kind: 'refused', reason: `participant ${participant} keeps CIDs of ${policy.algorithm}, which DICT does not know` };
  }
  if (input.lastSyncDate !== null && Number.isNaN(Date.parse(input.lastSyncDate))) {
    return { kind: 'refused', reason: `LastSyncDate "${input.lastSyncDate}" is not a time in ISO 8601` };
  }
  const open = (await readOpenListing(database, participant)) ?? (await begin(deps, input, participant));
  if (open === null) {
    return {
      kind: 'refused',
      reason: `no synchronisation of ${participant} has completed yet: say since when, or begin with FULL`,
    };
  }
  const now = clock.now();
  const token = await takeListing(database, open.id, input.owner, now, new Date(now.getTime() + LEASE_MS));
  if (token !== null && isOpen(open.state)) {
    const { id: listingId, syncType } = open;
    const next = open.pausedAt === null ? listingNext(open.state) : await whilePaused(deps, listingId, token);
    return { kind: 'claimed', listingId, token, syncType, next };
  }
  return { kind: 'held', listingId: open.id, waitMs: Math.max(1_000, (open.leaseUntil?.getTime() ?? 0) - now.getTime()) };
}

/** Begins a listing; null where there is no time since which it could be incremental. */
async function begin(deps: ListingDeps, input: ListingInput, participant: Participant): Promise<Listing | null> {
  const { database, clock, settings, verify } = deps;
  const { listingId: id, syncType, requestedBy } = input;
  const last = input.lastSyncDate === null ? await lastCompleted(database, participant) : new Date(input.lastSyncDate);
  if (syncType === 'INCREMENTAL' && last === null) return null;
  // What was under way when the last one began may not have been listed by it; and clocks differ.
  const backMs = verify.inFlightGraceMs + settings.clockSkewMs;
  const updatedSince = syncType === 'FULL' || last === null ? null : new Date(last.getTime() - backMs);
  const now = clock.now();
  await database.transaction(async (tx) => {
    const { name, authenticated } = requestedBy;
    await insertListing(tx, { id, participant, syncType, updatedSince, requestedBy: name, authenticated, now });
    await appendAudit(tx, [
      {
        participant,
        keyType: null,
        occurredAt: now,
        actor: requestedBy,
        kind: 'reconciliation',
        action: 'LISTING_BEGUN',
        outcome: 'success',
        details: { sync_type: syncType, updated_since: updatedSince },
        correlationId: id,
      },
    ]);
  });
  // Another process may have been faster.
  const open = await readOpenListing(database, participant);
  assert(open !== null, `a listing of ${participant} is open`);
  return open;
}

function isOpen(state: Listing['state']): state is OpenListingState {
  return state === 'listing' || state === 'comparing' || state === 'reconciling';
}

/** Runs a step's work on its listing: only in that state, only while the token is the listing's, and not while it is paused. */
async function inListing(
  deps: ListingDeps,
  input: ListingStepInput,
  state: OpenListingState,
  work: (listing: Listing) => Promise<ListingNext>,
): Promise<ListingNext> {
  try {
    const listing = await readListing(deps.database, input.listingId);
    if (listing === null || listing.token !== input.token) return { kind: 'lost' };
    if (!isOpen(listing.state)) return { kind: 'ended', reason: listing.reason };
    if (listing.pausedAt !== null) return await whilePaused(deps, input.listingId, input.token);
    if (listing.state !== state) return listingNext(listing.state);
    return await work(listing);
  } catch (cause) {
    if (cause instanceof ListingTaken) return { kind: 'lost' };
    throw cause;
  }
}

/** Whoever resumes it need not wait for the lease of a process that only waits for that, or has gone. */
async function whilePaused({ database }: ListingDeps, listingId: string, token: number): Promise<ListingNext> {
  await releaseListing(database, listingId, token);
  return { kind: 'wait', waitMs: PAUSED_POLL_MS };
}

async function readPage(deps: ListingDeps, input: ListingStepInput, listing: Listing): Promise<ListingNext> {
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
      leaseUntil: new Date(now.getTime() + LEASE_MS),
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
  if (!isMuch(deps, lacking, page.totalCount)) return {};
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

/** Keys of ours that were here before the listing began and were not shown. */
async function compare(deps: ListingDeps, input: ListingStepInput, before: Listing): Promise<ListingNext> {
  let listing = before;
  for (let ranges = 0; ranges < RANGES_MAX; ranges++) {
    const range = await compareRange(deps.database, listing, {
      after: listing.comparedKey,
      limit: deps.listingSettings.pageSize,
    });
    listing = await deps.database.transaction(async (tx) => {
      const now = deps.clock.now();
      const fenced = await fenceListing(tx, input.listingId, input.token);
      const hints = range.unlisted.map((one): Hint => ({ ...one, side: 'local', dueAt: null }));
      await insertHints(tx, fenced.id, hints);
      const unlisted = fenced.unlisted + range.unlisted.length;
      const comparedKeys = fenced.comparedKeys + range.activeKeys;
      const isDone = range.lastKey === null;
      const implausible = isDone && isMuch(deps, unlisted, comparedKeys);
      if (implausible) await dropHints(tx, fenced.id, 'local');
      const reason = `${unlisted} of ${comparedKeys} keys were not listed, which is not believed`;
      await updateListing(
        tx,
        fenced.id,
        {
          unlisted,
          comparedKeys,
          comparedKey: range.lastKey ?? fenced.comparedKey,
          leaseUntil: new Date(now.getTime() + LEASE_MS),
          ...(isDone ? { state: 'reconciling' } : {}),
          ...(implausible ? { reason: fenced.reason === null ? reason : `${fenced.reason}; ${reason}` } : {}),
        },
        now,
      );
      return { ...fenced, unlisted, comparedKeys, comparedKey: range.lastKey };
    });
    if (range.lastKey === null) return listingNext('reconciling');
  }
  return listingNext('comparing');
}

/** As with files (rule R14): more keys than that are not gone from DICT, the listing is at fault. */
function isMuch({ settings }: ListingDeps, count: number, of: number): boolean {
  return count > settings.implausibleOrphans && count > of * settings.implausibleOrphanShare;
}

async function openListed(
  deps: ListingDeps,
  { listingId, keyType }: { readonly listingId: string; readonly keyType: string },
): Promise<Opening> {
  assert(isKeyType(keyType), `"${keyType}" is a key type`);
  const listing = await readListing(deps.database, listingId);
  assert(listing !== null, `listing ${listingId} exists`);
  await releaseListing(deps.database, listingId, listing.token);
  const own = await readRunOfListing(deps.database, listingId, keyType);
  if (own !== null) return { kind: 'opened', runId: own.id };
  const { participant, syncType, requestedBy, authenticated } = listing;
  const opening = await openReconciliation(deps, {
    participant,
    keyType,
    requestedBy: { name: requestedBy, authenticated },
    verificationRunId: null,
    listing: { id: listingId, syncType },
  });
  const now = deps.clock.now();
  // Paused while its reconciliations were being opened: this one must not run on its own.
  if (opening.kind === 'opened' && listing.pausedAt !== null) await setPaused(deps.database, opening.runId, now, now);
  return opening;
}
