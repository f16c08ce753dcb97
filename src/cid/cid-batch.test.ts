/** Many CIDs at once are the CIDs one by one, in both ways of computing them. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type CidEntry, computeCid } from './cid.ts';
import { cidBatch, plainLanes, wasmLanes } from './cid-batch.ts';

const text = (maxLength: number) => fc.string({ unit: 'binary', maxLength }).map((value) => value.toWellFormed());
const entry: fc.Arbitrary<CidEntry> = fc.record({
  key: text(77),
  keyType: fc.constantFrom('CPF', 'CNPJ', 'PHONE', 'EMAIL', 'EVP'),
  account: fc.record({ participant: text(8), branch: fc.option(text(4)), accountNumber: text(20), accountType: text(4) }),
  owner: fc.record({ taxIdNumber: text(14), name: fc.oneof(text(150), text(6_000)), tradeName: fc.option(text(100)) }),
});
const entries = fc.array(fc.tuple(entry, fc.uuid()), { maxLength: 40 });

const inLanes = wasmLanes();
assert(inLanes !== null, 'the tests run where WebAssembly is');

for (const [name, lanes] of Object.entries({ WebAssembly: inLanes, plain: plainLanes() })) {
  describe(`a batch of CIDs (${name})`, () => {
    const batch = cidBatch(lanes);

    it('gives each entry the CID that it has alone, in their order, whatever they hold and however long they are', () => {
      fc.assert(
        fc.property(entries, (given) => {
          for (const [one, requestId] of given) batch.add(one, requestId);
          const alone = given.map(([one, requestId]) => computeCid(one, requestId));
          assert.deepEqual(Buffer.from(batch.compute()), Buffer.concat(alone));
          assert.equal(batch.size, 0);
        }),
      );
    });

    it('is right at every length of a message, around each end of a block', () => {
      const requestId = '01020304-0506-0708-090a-0b0c0d0e0f10';
      const ofLength = (length: number): CidEntry => ({
        key: 'k'.repeat(length),
        keyType: 'EVP',
        account: { participant: '', accountNumber: '', accountType: '' },
        owner: { taxIdNumber: '', name: '' },
      });
      for (let length = 0; length < 260; length++) {
        batch.add(ofLength(length), requestId);
        if (length % 3 === 2) batch.add(ofLength(260 - length), requestId);
        if (batch.size < 5) continue;
        const size = batch.size;
        const cids = Buffer.from(batch.compute());
        assert.equal(cids.length, size * 32);
        const last = computeCid(ofLength(length % 3 === 2 ? 260 - length : length), requestId);
        assert.deepEqual(cids.subarray(-32), Buffer.from(last));
      }
    });

    it('takes as many as it has room for, and refuses more until it is computed', () => {
      const one = fc.sample(entry, { numRuns: 1, seed: 1 })[0];
      assert(one !== undefined);
      const requestId = '01020304-0506-0708-090a-0b0c0d0e0f10';
      const wanted = Buffer.from(computeCid(one, requestId));
      let added = 0;
      for (; !batch.isFull; added++) batch.add(one, requestId);
      assert(added >= 16);
      assert.throws(() => batch.commit(1), RangeError);
      const cids = batch.compute();
      for (let at = 0; at < added; at++) assert.deepEqual(Buffer.from(cids.subarray(at * 32, at * 32 + 32)), wanted);
      assert.equal(batch.isFull, false);
    });

    it('refuses a RequestId that is no UUID, and stays as it was', () => {
      const [one] = fc.sample(entry, { numRuns: 1, seed: 2 });
      assert(one !== undefined);
      assert.throws(() => batch.add(one, 'none'), TypeError);
      assert.equal(batch.size, 0);
      assert.equal(batch.compute().length, 0);
    });
  });
}
