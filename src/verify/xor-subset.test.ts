/** Specifies the search for a subset with a given XOR. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { asCid, type Cid } from '../cid/cid.ts';
import { asVSync, emptyVSync, vsyncOf } from '../vsync/vsync.ts';
import { SUBSET_CANDIDATES_MAX, subsetWithXor } from './xor-subset.ts';

const cids = (count: number): Cid[] => Array.from({ length: count }, () => asCid(randomBytes(32)));

describe('subset with a given XOR', () => {
  it('is the very subset that was taken, however many of the candidates that are', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: SUBSET_CANDIDATES_MAX }), (taken) => {
        const candidates = cids(taken.length);
        const subset = candidates.filter((_, index) => taken[index]);
        assert.deepEqual(subsetWithXor(vsyncOf(subset), candidates), subset);
      }),
      { numRuns: 50 },
    );
  });

  it('is none where the value is made of something else', () => {
    const candidates = cids(SUBSET_CANDIDATES_MAX);
    assert.equal(subsetWithXor(asVSync(randomBytes(32)), candidates), null);
    assert.deepEqual(subsetWithXor(emptyVSync(), []), []);
  });

  it('trusts no answer from more candidates than the bound', () => {
    const candidates = cids(SUBSET_CANDIDATES_MAX + 1);
    assert.equal(subsetWithXor(vsyncOf(candidates.slice(0, 1)), candidates), null);
  });
});
