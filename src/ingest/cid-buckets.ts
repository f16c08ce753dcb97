/** Buckets folded anew from the CIDs themselves: what stored buckets, VSync and count are held against. */

import type { Sql } from '../platform/postgres/database.ts';
import { activeCidsInBuckets } from '../vsync/active-cids.ts';
import type { Buckets } from '../vsync/buckets.ts';
import { emptyBuckets, foldCid } from '../vsync/buckets.ts';
import type { Scope } from '../vsync/vsync-store.ts';

/** The buckets of the CIDs that counted as of that seq. Rejects with the signal's reason when aborted. */
export async function bucketsOfCids(sql: Sql, scope: Scope, seq: number, signal?: AbortSignal): Promise<Buckets> {
  const buckets = emptyBuckets();
  for await (const page of activeCidsInBuckets(sql, scope, { seq, buckets: 'all' })) {
    signal?.throwIfAborted();
    for (const cid of page) foldCid(buckets, cid, 'added');
  }
  return buckets;
}
