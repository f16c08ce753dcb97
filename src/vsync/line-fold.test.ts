/** Specifies the sums of lines: sets that cancel out in XOR and count do not in them, also where CIDs are as good as alike. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { asCid, CID_BYTES, type Cid } from '../cid/cid.ts';
import { summandOf } from './line-fold.ts';

const values = 13;
const most = 4;

/** Zeros but for one byte. */
function cidWith(at: number, value: number): Cid {
  const cid = asCid(new Uint8Array(CID_BYTES));
  cid[at] = value;
  return cid;
}

/** Every choice of so many values, each as often as it likes, ascending. */
function* choices(count: number, from = 0): Generator<readonly number[]> {
  if (count === 0) {
    yield [];
    return;
  }
  for (let value = from; value < values; value++) for (const rest of choices(count - 1, value)) yield [value, ...rest];
}

describe('sums of lines', () => {
  for (let at = 0; at < CID_BYTES; at++) {
    it(`tell sets of equal XOR and count apart whose CIDs differ in byte ${at} alone`, () => {
      const summands = Array.from({ length: values }, (_, value) => summandOf(cidWith(at, value)));
      const met = new Map<string, readonly number[]>();
      for (let count = 1; count <= most; count++) {
        for (const chosen of choices(count)) {
          const xor = chosen.reduce((all, value) => all ^ value, 0);
          const sum = BigInt.asUintN(
            64,
            chosen.reduce((all, value) => all + (summands[value] ?? 0n), 0n),
          );
          const same = `${count} ${xor} ${sum}`;
          assert.equal(met.get(same)?.join(), undefined, `${chosen.join()} passes for ${met.get(same)?.join()}`);
          met.set(same, chosen);
        }
      }
    });
  }
});
