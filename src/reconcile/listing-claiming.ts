/**
 * Whose a listing is: begun for a participant that has none open, or gone on with, under a lease and a token that every step then checks;
 * and that a step does nothing while a person has paused it.
 */

import { isParticipant, type Participant } from '../dict/participant.ts';
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
import {
  insertListing,
  type Listing,
  ListingTaken,
  lastCompleted,
  readListing,
  readOpenListing,
  releaseListing,
  takeListing,
} from './listing-store.ts';
import { readPolicy } from './participant-policy.ts';

/** Longer than a page may take (two minutes): a process that is not heard of for so long is taken for dead. */
export const LISTING_LEASE_MS = 3 * 60_000;
const PAUSED_POLL_MS = 60_000;

/** Takes the participant's listing over for `owner`, begins one where none is open. */
export async function claimListing(deps: ListingDeps, input: ListingInput): Promise<ListingClaim> {
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
  const token = await takeListing(database, open.id, input.owner, now, new Date(now.getTime() + LISTING_LEASE_MS));
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
    const listing = { id, participant, syncType, updatedSince, requestedBy: name, authenticated, now };
    // Another process may have been faster: then nothing has begun here.
    if (!(await insertListing(tx, listing))) return;
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
  const open = await readOpenListing(database, participant);
  assert(open !== null, `a listing of ${participant} is open`);
  return open;
}

function isOpen(state: Listing['state']): state is OpenListingState {
  return state === 'listing' || state === 'comparing' || state === 'reconciling';
}

/** Runs a step's work on its listing: only in that state, only while the token is the listing's, and not while it is paused. */
export async function inListing(
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
