/**
 * Buckets that differ by one CID alone, as nearly all do where a file and a base differ by few. What XOR and count leave over is
 * then that CID itself: proven by our having it, or by the 64-bit sums of both sides, so that the file need not be read a second time.
 */

import { asCid, CID_BYTES, type Cid, cidToHex } from '../cid/cid.ts';
import type { Sql } from '../platform/postgres/database.ts';
import { activeCidsInBuckets } from '../vsync/active-cids.ts';
import type { BucketsAsOf } from '../vsync/bucket-store.ts';
import { bucketOf } from '../vsync/buckets.ts';
import { membershipAsOf } from '../vsync/cid-history.ts';
import { summandOf } from '../vsync/line-fold.ts';
import type { LineBuckets } from '../vsync/line-kernel.ts';
import type { Scope } from '../vsync/vsync-store.ts';

/** Summing goes CID by CID here: beyond so many buckets the kernel is faster through the whole file. */
const bucketsMax = 1_024;

/** What a bucket differs by, if it is one CID. */
interface Lone {
  readonly bucket: number;
  readonly cid: Cid;
}

interface Sides {
  readonly folded: LineBuckets;
  readonly ours: BucketsAsOf;
}

/**
 * The CIDs that one side alone has in these buckets (ascending), as hex; null unless each of the buckets differs by exactly one.
 * Another difference passes for one with a probability of 2^-64 a bucket.
 */
export async function loneDifferences(
  sql: Sql,
  scope: Scope,
  sides: Sides,
  buckets: readonly number[],
): Promise<{ readonly dict: ReadonlySet<string>; readonly local: ReadonlySet<string> } | null> {
  const { folded, ours } = sides;
  if (buckets.length > bucketsMax) return null;
  const surplusOf = (bucket: number): number => (folded.counts[bucket] ?? 0) - (ours.buckets.counts[bucket] ?? 0);
  if (buckets.some((bucket) => Math.abs(surplusOf(bucket)) !== 1)) return null;
  const lones = buckets.map((bucket): Lone => ({ bucket, cid: leftOver(sides, bucket) }));
  const dict = lones.filter(({ bucket }) => surplusOf(bucket) > 0);
  const local = lones.filter(({ bucket }) => surplusOf(bucket) < 0);
  const [areDicts, areOurs] = await Promise.all([areAbsent(sql, scope, sides, dict), arePresent(sql, scope, ours.seq, local)]);
  if (!areDicts || !areOurs) return null;
  const hexOf = ({ cid }: Lone): string => cidToHex(cid);
  return { dict: new Set(dict.map(hexOf)), local: new Set(local.map(hexOf)) };
}

/** XOR of both sides of a bucket. */
function leftOver({ folded, ours }: Sides, bucket: number): Cid {
  const cid = asCid(new Uint8Array(CID_BYTES));
  for (let at = 0, from = bucket * CID_BYTES; at < CID_BYTES; at++, from++) {
    cid[at] = (folded.xors[from] ?? 0) ^ (ours.buckets.xors[from] ?? 0);
  }
  return cid;
}

/** Whether we have each of them: what is left over of several CIDs is none of ours. */
async function arePresent(sql: Sql, scope: Scope, seq: number, lones: readonly Lone[]): Promise<boolean> {
  const cids = lones.map(({ cid }) => cid);
  return (await membershipAsOf(sql, scope, cids, seq)).size === lones.length;
}

/** Whether we have none of them and the file has each, by the sums: a line that stands there twice leaves one of ours over. */
async function areAbsent(sql: Sql, scope: Scope, { folded, ours }: Sides, lones: readonly Lone[]): Promise<boolean> {
  const sums = new Map(lones.map(({ bucket, cid }) => [bucket, { cid, sum: summandOf(cid) }]));
  const buckets = lones.map(({ bucket }) => bucket);
  for await (const page of activeCidsInBuckets(sql, scope, { seq: ours.seq, buckets })) {
    for (const cid of page) {
      const lone = sums.get(bucketOf(cid));
      if (lone === undefined) continue;
      if (Buffer.compare(cid, lone.cid) === 0) return false;
      lone.sum += summandOf(cid);
    }
  }
  return lones.every(({ bucket }) => BigInt.asUintN(64, sums.get(bucket)?.sum ?? 0n) === folded.sums[bucket]);
}
