/** CIDs of entries on one core: many at once, against `createHmac` for each. Message and RequestId are made from the entry by both. */

import { cidBatch } from '../../src/cid/cid-batch.ts';
import type { SampleEntry } from '../../src/dict/sample-entries.ts';
import { assert } from '../../src/platform/assert.ts';
import type { Bench } from '../bench.ts';
import { distinctSamples, hmacOneByOne, samples } from '../fixtures/hmac-peer.ts';

/** XOR of the first words, so that nothing can be left out. */
function sumOf(cids: Uint8Array): number {
  const view = new DataView(cids.buffer, cids.byteOffset, cids.length);
  let sum = 0;
  for (let at = 0; at < cids.length; at += 32) sum ^= view.getInt32(at);
  return sum;
}

function inBatches(entries: readonly SampleEntry[], count: number): number {
  const batch = cidBatch();
  let sum = 0;
  for (let at = 0; at < count; at++) {
    const sample = entries[at % distinctSamples];
    if (sample === undefined) continue;
    if (batch.isFull) sum ^= sumOf(batch.compute());
    batch.add(sample.entry, sample.requestId);
  }
  return sum ^ sumOf(batch.compute());
}

const warmUp = 100_000;

function side(compute: (entries: readonly SampleEntry[], count: number) => number): (items: number, sum: number) => number {
  return (items, sum) => {
    assert(compute(samples(), items) === sum, 'the CIDs are right');
    return items;
  };
}

export const bench: Bench = {
  what: 'CIDs of entries on one core',
  items: { usual: 2_000_000, small: 200_000, unit: 'entries' },
  timed: 'work',
  rounds: 5,
  sides: {
    ours: { run: ({ items, sum }) => Promise.resolve(side(inBatches)(Number(items), Number(sum))) },
    createHmac: { run: ({ items, sum }) => Promise.resolve(side(hmacOneByOne)(Number(items), Number(sum))) },
  },
  wanted: { createHmac: { atMost: 1 / 15, smallAtMost: 0.5 } },
  prepare(items) {
    assert(inBatches(samples(), warmUp) === hmacOneByOne(samples(), warmUp), 'both compute the same');
    return Promise.resolve({ fixture: { items, sum: inBatches(samples(), items) } });
  },
};
