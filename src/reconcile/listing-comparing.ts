/**
 * State `comparing` of a listing: our keys, range by range in their order, are looked up among those that were shown. What was not shown is
 * a hint (rule R17), and none at all where there is too much of it.
 */

import { type ListingDeps, type ListingNext, type ListingStepInput, listingNext } from './listing.ts';
import { LISTING_LEASE_MS } from './listing-claiming.ts';
import { compareRange, dropHints, type Hint, insertHints } from './listing-hints.ts';
import { fenceListing, type Listing, updateListing } from './listing-store.ts';

/** Ranges in one step: 100,000 keys. */
const RANGES_MAX = 100;

/** Keys of ours that were here before the listing began and were not shown. */
export async function compareListed(deps: ListingDeps, input: ListingStepInput, before: Listing): Promise<ListingNext> {
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
      const implausible = isDone && isImplausible(deps, unlisted, comparedKeys);
      if (implausible) await dropHints(tx, fenced.id, 'local');
      const reason = `${unlisted} of ${comparedKeys} keys were not listed, which is not believed`;
      await updateListing(
        tx,
        fenced.id,
        {
          unlisted,
          comparedKeys,
          comparedKey: range.lastKey ?? fenced.comparedKey,
          leaseUntil: new Date(now.getTime() + LISTING_LEASE_MS),
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
export function isImplausible({ settings }: ListingDeps, count: number, of: number): boolean {
  return count > settings.implausibleOrphans && count > of * settings.implausibleOrphanShare;
}
