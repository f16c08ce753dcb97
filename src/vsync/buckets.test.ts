/** The algebra of buckets, by properties. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { asCid, type Cid, cidFromHex, cidToHex } from '../cid/cid.ts';
import { InvariantBroken } from '../platform/assert.ts';
import {
  type Buckets,
  bucketOf,
  countOfBuckets,
  differingBuckets,
  emptyBuckets,
  foldCid,
  mergeBuckets,
  vsyncOfBuckets,
} from './buckets.ts';
import { equalVSync, vsyncOf } from './vsync.ts';

/** Few prefixes, so that buckets hold several CIDs and the same ones differ. */
const anyCid = fc
  .tuple(fc.constantFrom(0, 1, 0x7f80, 0xffff), fc.uint8Array({ minLength: 30, maxLength: 30 }))
  .map(([prefix, rest]) => asCid(Buffer.from([prefix >> 8, prefix & 0xff, ...rest])));
const anySet = fc.uniqueArray(anyCid, { selector: cidToHex, maxLength: 25 });

function bucketsOf(cids: readonly Cid[]): Buckets {
  const buckets = emptyBuckets();
  for (const cid of cids) foldCid(buckets, cid, 'added');
  return buckets;
}

describe('buckets', () => {
  it('go by the first two bytes of a CID', () => {
    assert.equal(bucketOf(cidFromHex(`0000${'f'.repeat(60)}`)), 0);
    assert.equal(bucketOf(cidFromHex(`0102${'f'.repeat(60)}`)), 258);
    assert.equal(bucketOf(cidFromHex(`ffff${'0'.repeat(60)}`)), 65_535);
  });

  it('have the VSync and the number of the set they were folded from', () => {
    fc.assert(
      fc.property(anySet, (cids) => {
        const buckets = bucketsOf(cids);
        assert(equalVSync(vsyncOfBuckets(buckets), vsyncOf(cids)));
        assert.equal(countOfBuckets(buckets), cids.length);
      }),
      { numRuns: 30 },
    );
  });

  it('differ exactly where the sets do', () => {
    fc.assert(
      fc.property(anySet, anySet, (ours, theirs) => {
        const inOne = (a: Cid[], b: Cid[]) => a.filter((cid) => !b.some((other) => cidToHex(other) === cidToHex(cid)));
        const expected = new Set([...inOne(ours, theirs), ...inOne(theirs, ours)].map(bucketOf));
        assert.deepEqual(
          differingBuckets(bucketsOf(ours), bucketsOf(theirs)),
          [...expected].toSorted((a, b) => a - b),
        );
      }),
      { numRuns: 30 },
    );
  });

  it('merge into those of both sets, wherever their bytes lie', () => {
    fc.assert(
      fc.property(anySet, anySet, fc.integer({ min: 0, max: 5 }), (some, others, offset) => {
        const known = new Set(some.map(cidToHex));
        const more = others.filter((cid) => !known.has(cidToHex(cid)));
        const moved = ({ xors, counts }: Buckets): Buckets => {
          const bytes = new Uint8Array(xors.length + offset).subarray(offset);
          bytes.set(xors);
          return { xors: bytes, counts };
        };
        for (const place of [(buckets: Buckets) => buckets, moved]) {
          const merged = place(bucketsOf(some));
          mergeBuckets(merged, place(bucketsOf(more)));
          assert.deepEqual(differingBuckets(merged, bucketsOf([...some, ...more])), []);
          assert(equalVSync(vsyncOfBuckets(merged), vsyncOf([...some, ...more])));
        }
      }),
      { numRuns: 30 },
    );
  });

  it('are what they were after a CID is added and removed again', () => {
    const cids = [cidFromHex('01'.repeat(32)), cidFromHex(`0101${'02'.repeat(30)}`)];
    const buckets = bucketsOf(cids);
    foldCid(buckets, cidFromHex(`0101${'03'.repeat(30)}`), 'added');
    foldCid(buckets, cidFromHex(`0101${'03'.repeat(30)}`), 'removed');
    assert.deepEqual(differingBuckets(buckets, bucketsOf(cids)), []);
  });

  it('refuse to lose a CID from an empty bucket', () => {
    assert.throws(() => foldCid(emptyBuckets(), cidFromHex('01'.repeat(32)), 'removed'), InvariantBroken);
  });
});
