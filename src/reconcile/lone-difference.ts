/**
 * Buckets that differ by one CID alone, as nearly all do where a file and a base differ by few. What XOR and count leave over is
 * then that CID itself: proven by our having it, or by the 64-bit sums of both sides, so that the file need not be read a second time.
 */

import { asCid, CID_BYTES, type Cid, cidToHex } from '../cid/cid.ts';
import type { Sql } from '../platform/postgres/database.ts';
import { packedCidsInBuckets } from '../vsync/active-cids.ts';
import type { BucketsAsOf } from '../vsync/bucket-store.ts';
import { membershipAsOf } from '../vsync/cid-history.ts';
import { foldPackedCids } from '../vsync/cid-lines.ts';
import { summandOf } from '../vsync/line-fold.ts';
import type { LineBuckets } from '../vsync/line-kernel.ts';
import type { Scope } from '../vsync/vsync-store.ts';

/** All our CIDs of each bucket are read: beyond so many buckets the second pass, which is bounded by slices, does that. */
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
  // One after the other: a second connection costs more than either.
  const members = await membershipAsOf(
    sql,
    scope,
    lones.map(({ cid }) => cid),
    ours.seq,
  );
  const isOurs = ({ cid }: Lone): boolean => members.has(cidToHex(cid));
  if (!local.every(isOurs) || dict.some(isOurs) || !(await areLines(sql, scope, sides, dict))) return null;
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

/** Whether the file's lines in these buckets are our CIDs and the one that we do not have, by the sums. */
async function areLines(sql: Sql, scope: Scope, { folded, ours }: Sides, lones: readonly Lone[]): Promise<boolean> {
  if (lones.length === 0) return true;
  const buckets = lones.map(({ bucket }) => bucket);
  const { sums } = await foldPackedCids(packedCidsInBuckets(sql, scope, { seq: ours.seq, buckets }));
  return lones.every(({ bucket, cid }) => BigInt.asUintN(64, (sums[bucket] ?? 0n) + summandOf(cid)) === folded.sums[bucket]);
}
