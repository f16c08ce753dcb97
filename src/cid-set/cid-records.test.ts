/** Packed CIDs in order: the order of their bytes, whatever they have in common, and equal ones as they came. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { CID_BYTES } from '../cid/cid.ts';
import { cidRecords } from './cid-records.ts';

function sorted(cids: readonly Buffer[]): { readonly hex: string; readonly line: number }[] {
  const records = cidRecords(cids.length);
  const lines = Uint32Array.from(cids.keys());
  records.add({ count: cids.length, cids: Buffer.concat(cids), lines, firstLine: 1 });
  records.sort();
  return [...records.order.subarray(0, cids.length)].map((place) => ({
    hex: Buffer.from(records.cids.subarray(place * CID_BYTES, (place + 1) * CID_BYTES)).toString('hex'),
    line: records.lines[place] ?? 0,
  }));
}

const hash = (seed: string) => createHash('sha256').update(seed).digest();

describe('records of CIDs', () => {
  const numbers = Array.from({ length: 20_000 }, (_unused, index) => index);
  const shapes: readonly (readonly [string, (index: number) => Buffer])[] = [
    ['spread evenly', (index) => hash(String(index))],
    [
      'that differ in their last bytes only',
      (index) => Buffer.from(((index * 7_919) % 20_011).toString(16).padStart(64, '0'), 'hex'),
    ],
    ['that are all the same', () => hash('same')],
    ['each there many times', (index) => hash(String(index % 7))],
    [
      'with one long beginning',
      (index) => Buffer.concat([hash('beginning').subarray(0, 27), hash(String(index)).subarray(0, 5)]),
    ],
  ];
  for (const [title, shape] of shapes) {
    it(`come in ascending order, equal ones by line: ${title}`, () => {
      const cids = numbers.map(shape);
      const expected = cids
        .map((cid, index) => ({ hex: cid.toString('hex'), line: index + 1 }))
        .sort((a, b) => Buffer.compare(Buffer.from(a.hex), Buffer.from(b.hex)) || a.line - b.line);
      assert.deepEqual(sorted(cids), expected);
    });
  }

  it('are refused beyond their capacity', () => {
    const records = cidRecords(1);
    const cids = Buffer.concat([hash('1'), hash('2')]);
    assert.throws(() => records.add({ count: 2, cids, lines: Uint32Array.of(0, 1), firstLine: 1 }), RangeError);
  });
});
