/** Seeded randomness: repeatable, in range, and a shuffle that loses nothing. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { seededRandom, shuffle, uuidOf } from './random.ts';

const UUID_4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe('seeded randomness', () => {
  it('repeats itself for the same seed and differs for another', () => {
    const [first, again, other] = [seededRandom(7), seededRandom(7), seededRandom(8)].map((random) => random.hex(16));
    assert.equal(first, again);
    assert.notEqual(first, other);
  });

  it('makes UUIDs of version 4', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 32, maxLength: 64 }), (digits) => {
        assert.match(uuidOf(digits), UUID_4);
      }),
    );
    assert.match(seededRandom(1).uuid(), UUID_4);
  });

  it('shuffles without losing or doubling anything', () => {
    fc.assert(
      fc.property(fc.integer(), fc.array(fc.integer()), (seed, items) => {
        const shuffled = shuffle(seededRandom(seed), [...items]);
        assert.deepEqual(
          shuffled.toSorted((a, b) => a - b),
          items.toSorted((a, b) => a - b),
        );
      }),
    );
  });
});
