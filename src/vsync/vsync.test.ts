/** The algebra of VSyncs, by the published vector and by properties. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { asCid, cidFromHex } from '../cid/cid.ts';
import { emptyVSync, equalVSync, vsyncFromHex, vsyncOf, vsyncToHex, xor, xorInto } from './vsync.ts';

const anyCid = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(asCid);
const anyCids = fc.array(anyCid, { maxLength: 30 });

describe('a VSync', () => {
  it('is the one the Central Bank published for its example', () => {
    const cids = [
      '28c06eb41c4dc9c3ae114831efcac7446c8747777fca8b145ecd31ff8480ae88',
      '4d4abb9168114e349672b934d16ed201a919cb49e28b7f66a240e62c92ee007f',
      'fce514f84f37934bc8aa0f861e4f7392273d71b9d18e8209d21e4192a7842058',
    ].map(cidFromHex);
    assert.equal(vsyncToHex(vsyncOf(cids)), '996fc1dd3b6b14bcf0c9fe8320eb66d7e2a3fd874ccf767b2e939641b1ea8eaf');
  });

  it('of nothing is 64 zeros', () => {
    assert.equal(vsyncToHex(vsyncOf([])), '0'.repeat(64));
    assert.equal(vsyncToHex(emptyVSync()), '0'.repeat(64));
  });

  it('is the same in any order', () => {
    const shuffled = anyCids.chain((cids) => fc.tuple(fc.constant(cids), fc.shuffledSubarray(cids, { minLength: cids.length })));
    fc.assert(fc.property(shuffled, ([cids, others]) => assert(equalVSync(vsyncOf(cids), vsyncOf(others)))));
  });

  it('is what it was after a CID is added and removed again', () => {
    fc.assert(
      fc.property(anyCids, anyCid, (cids, cid) => {
        const before = vsyncOf(cids);
        const added = xor(before, cid);
        assert(equalVSync(added, vsyncOf([...cids, cid])));
        assert(equalVSync(xor(added, cid), before));
        assert.equal(
          equalVSync(added, before),
          cid.every((byte) => byte === 0),
        );
      }),
    );
  });

  it('of two disjoint parts is their XOR', () => {
    fc.assert(fc.property(anyCids, anyCids, (a, b) => assert(equalVSync(xor(vsyncOf(a), vsyncOf(b)), vsyncOf([...a, ...b])))));
  });

  it('leaves what it is computed from unchanged', () => {
    const a = vsyncFromHex('01'.repeat(32));
    const b = vsyncFromHex('10'.repeat(32));
    assert.equal(vsyncToHex(xor(a, b)), '11'.repeat(32));
    assert.equal(vsyncToHex(a), '01'.repeat(32));
    assert.throws(() => xorInto(a, new Uint8Array(31)), /32 bytes/);
  });

  it('is written in lower case, read in either, and refused with what was given when it is none', () => {
    assert.equal(vsyncToHex(vsyncFromHex('AB'.repeat(32))), 'ab'.repeat(32));
    for (const wrong of ['', 'ab', 'x'.repeat(64), `${'ab'.repeat(32)}\n`]) {
      assert.throws(() => vsyncFromHex(wrong), { name: 'TypeError', message: /is not a VSync \(64 hex digits\)/ });
    }
  });
});
