/**
 * The steps of a listing, for the flow: take it over, read a page and lay it beside ours, look for keys of ours that were not shown, open a
 * reconciliation of each key type. Each is bounded, and its position is committed with what it found, so that a process that was
 * killed is gone on after with the next page.
 */

import { isKeyType } from '../dict/key-type.ts';
import { assert } from '../platform/assert.ts';
import type { ListingClaim, ListingDeps, ListingInput, ListingNext, ListingStepInput } from './listing.ts';
import { claimListing, inListing } from './listing-claiming.ts';
import { compareListed } from './listing-comparing.ts';
import { readPage } from './listing-page.ts';
import { readListing, releaseListing } from './listing-store.ts';
import { type Opening, openReconciliation } from './opening.ts';
import { readRunOfListing, setPaused } from './run-store.ts';

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
    compareListing: (input) => inListing(deps, input, 'comparing', (listing) => compareListed(deps, input, listing)),
    openListed: (input) => openListed(deps, input),
  };
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
  if (opening.kind !== 'opened') return opening;
  // Paused while its reconciliations were being opened: this one must not run on its own. Looked at once more, because a pause that came
  // after the first look found no run yet that it could have stopped.
  const pausedAt = (await readListing(deps.database, listingId))?.pausedAt ?? null;
  const now = deps.clock.now();
  if (pausedAt !== null) await setPaused(deps.database, opening.runId, now, now);
  return opening;
}
