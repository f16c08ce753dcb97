/**
 * The CIDs that counted as of a seq, read by ranges of the primary key, a bounded page at a time. No long snapshot is held: rows
 * say themselves from which seq to which they counted, so pages read at different moments still belong together.
 */

import { CID_BYTES, type Cid, unpackCids } from '../cid/cid.ts';
import type { Sql } from '../platform/postgres/database.ts';
import { BUCKET_COUNT } from './buckets.ts';
import type { Scope } from './scope.ts';

/** Exclusive bounds; two bytes stand before every CID that begins with them. */
interface PrefixRange {
  readonly above: Buffer;
  readonly below: Buffer;
}

const cidsPerPage = 32_768;
const rangesPerPage = 256;
const afterEveryCid = Buffer.alloc(CID_BYTES + 1, 0xff);

/** Which CIDs: those that counted as of a committed seq, in these buckets (ascending numbers), or all. */
interface Wanted {
  readonly seq: number;
  readonly buckets: readonly number[] | 'all';
}

/** These CIDs, ascending, in pages of at most 32,768. */
export async function* activeCidsInBuckets(sql: Sql, scope: Scope, wanted: Wanted): AsyncGenerator<Cid[], void, undefined> {
  for await (const page of packedCidsInBuckets(sql, scope, wanted)) yield [...unpackCids(page)];
}

/** The same, each page as the server sends it: 32 bytes for each CID. */
export async function* packedCidsInBuckets(sql: Sql, scope: Scope, wanted: Wanted): AsyncGenerator<Uint8Array, void, undefined> {
  let ranges = wanted.buckets === 'all' ? [rangeOf(0, BUCKET_COUNT)] : rangesOf(wanted.buckets);
  // Ends: every turn either uses up ranges or moves the first one's lower bound past at least one CID.
  while (ranges.length > 0) {
    const asked = ranges.slice(0, rangesPerPage);
    const page = await readPage(sql, scope, wanted.seq, asked);
    if (page.length > 0) yield page;
    if (page.length < cidsPerPage * CID_BYTES) {
      ranges = ranges.slice(asked.length);
    } else {
      const above = Buffer.from(page.subarray(-CID_BYTES));
      ranges = ranges
        .filter((range) => Buffer.compare(range.below, above) > 0)
        .map((range) => (Buffer.compare(range.above, above) < 0 ? { above, below: range.below } : range));
    }
  }
}

async function readPage(sql: Sql, scope: Scope, seq: number, ranges: readonly PrefixRange[]): Promise<Uint8Array> {
  const { rows } = await sql.query<{ cids: Buffer | null }>(
    `SELECT string_agg(page.cid, ''::bytea ORDER BY page.cid) AS cids
     FROM (
       SELECT found.cid
       FROM unnest($3::bytea[], $4::bytea[]) WITH ORDINALITY AS range (above, below, at)
       CROSS JOIN LATERAL (
         SELECT c.cid
         FROM dict_cids c
         WHERE c.participant = $1 AND c.key_type = $2 AND c.cid > range.above AND c.cid < range.below
           AND c.added_seq <= $5 AND (c.removed_seq IS NULL OR c.removed_seq > $5)
         ORDER BY c.cid
         LIMIT $6) AS found
       ORDER BY range.at, found.cid
       LIMIT $6) AS page`,
    [scope.participant, scope.keyType, ranges.map((range) => range.above), ranges.map((range) => range.below), seq, cidsPerPage],
  );
  return rows[0]?.cids ?? Buffer.alloc(0);
}

/** Neighbouring buckets become one range. */
function rangesOf(buckets: readonly number[]): PrefixRange[] {
  const ranges: PrefixRange[] = [];
  let first: number | undefined;
  for (const [index, bucket] of buckets.entries()) {
    first ??= bucket;
    if (buckets[index + 1] !== bucket + 1) {
      ranges.push(rangeOf(first, bucket + 1));
      first = undefined;
    }
  }
  return ranges;
}

/** Buckets from `first` up to but without `end`. */
function rangeOf(first: number, end: number): PrefixRange {
  return { above: prefix(first), below: end === BUCKET_COUNT ? afterEveryCid : prefix(end) };
}

function prefix(bucket: number): Buffer {
  return Buffer.from([bucket >> 8, bucket & 0xff]);
}
