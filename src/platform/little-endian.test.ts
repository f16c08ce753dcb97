/** Specifies the bytes of 32-bit numbers in little-endian-form. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { littleEndianBytes, littleEndianNumbers } from './little-endian.ts';

describe('little-endian numbers', () => {
  it('have their lowest byte first', () => {
    assert.deepEqual([...littleEndianBytes(Uint32Array.of(0x01020304, 0xffffffff))], [4, 3, 2, 1, 255, 255, 255, 255]);
  });

  it('come back as they were, from wherever the bytes lie, and share no memory', () => {
    fc.assert(
      fc.property(fc.uint32Array(), fc.integer({ min: 0, max: 7 }), (numbers, offset) => {
        const bytes = littleEndianBytes(numbers);
        for (const [at, number] of numbers.entries()) assert.equal(bytes.readUInt32LE(at * 4), number);
        const elsewhere = Buffer.concat([Buffer.alloc(offset), bytes]).subarray(offset);
        const read = littleEndianNumbers(elsewhere);
        elsewhere.fill(0xaa);
        assert.deepEqual(read, numbers);
      }),
    );
  });

  it('refuse bytes that are no whole numbers', () => {
    assert.throws(() => littleEndianNumbers(Buffer.alloc(6)), /6 bytes/);
  });
});
