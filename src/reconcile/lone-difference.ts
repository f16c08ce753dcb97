/**
 * Buckets that differ by one CID alone, as nearly all do where a file and a base differ by few. What XOR and count leave over is
 * then that CID itself, and the 64-bit sums of both sides prove it, so that the file need not be read a second time.
 */

import { asCid, CID_BYTES, type Cid, cidToHex } from '../cid/cid.ts';
import type { Sql } from '../platform/postgres/database.ts';
import { activeCidsInBuckets } from '../vsync/active-cids.ts';
import type { BucketsAsOf } from '../vsync/bucket-store.ts';
import { bucketOf } from '../vsync/buckets.ts';
import type { LineBuckets } from '../vsync/line-kernel.ts';
import { summandOf } from '../vsync/line-kernel-reference.ts';
import type { Scope } from '../vsync/vsync-store.ts';

/** Summing goes CID by CID here: beyond so many buckets the kernel is faster through the whole file. */
const bucketsMax = 1_024;

/** What a bucket would differ by, and what is known of our side of it. */
interface Lone {
  readonly side: 'dict' | 'local';
  readonly cid: Cid;
  ourSum: bigint;
  isOurs: boolean;
}

/**
 * The CIDs that one side alone has in these buckets (ascending), as hex; null unless each of the buckets differs by exactly one.
 * Another difference passes for one with a probability of 2^-64 a bucket.
 */
export async function loneDifferences(
  sql: Sql,
  scope: Scope,
  { folded, ours }: { readonly folded: LineBuckets; readonly ours: BucketsAsOf },
  buckets: readonly number[],
): Promise<{ readonly dict: ReadonlySet<string>; readonly local: ReadonlySet<string> } | null> {
  if (buckets.length > bucketsMax) return null;
  const lones = new Map<number, Lone>();
  for (const bucket of buckets) {
    const surplus = (folded.counts[bucket] ?? 0) - (ours.buckets.counts[bucket] ?? 0);
    if (surplus !== 1 && surplus !== -1) return null;
    const cid = asCid(new Uint8Array(CID_BYTES));
    for (let at = 0, from = bucket * CID_BYTES; at < CID_BYTES; at++, from++) {
      cid[at] = (folded.xors[from] ?? 0) ^ (ours.buckets.xors[from] ?? 0);
    }
    lones.set(bucket, { side: surplus === 1 ? 'dict' : 'local', cid, ourSum: 0n, isOurs: false });
  }
  for await (const page of activeCidsInBuckets(sql, scope, { seq: ours.seq, buckets })) {
    for (const cid of page) {
      const lone = lones.get(bucketOf(cid));
      if (lone === undefined) continue;
      lone.ourSum += summandOf(cid);
      lone.isOurs ||= Buffer.compare(cid, lone.cid) === 0;
    }
  }
  const found = { dict: new Set<string>(), local: new Set<string>() };
  for (const [bucket, { side, cid, ourSum, isOurs }] of lones) {
    const difference = side === 'dict' ? summandOf(cid) : -summandOf(cid);
    // A line that stands there twice leaves one over too: ours already.
    const isLone = isOurs === (side === 'local') && BigInt.asUintN(64, ourSum + difference) === folded.sums[bucket];
    if (!isLone) return null;
    found[side].add(cidToHex(cid));
  }
  return found;
}
