/** Which way the second pass goes, and that its slices hold what they have to. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { planSecondPass } from './comparison-plan.ts';

describe('the second pass', () => {
  it('is none where nothing differs, and one reading where memory holds all', () => {
    assert.deepEqual(
      planSecondPass([], () => 0, 10, 1_000),
      { kind: 'none' },
    );
    assert.deepEqual(
      planSecondPass([3, 9], () => 5, 10, 1_000),
      { kind: 'slices', slices: [[3, 9]], recordsMax: 10 },
    );
  });

  it('reads again for a second slice, and spills before it reads very often', () => {
    const buckets = Array.from({ length: 100 }, (_unused, index) => index);
    const inputBytes = 100 * 100 * 65;
    assert.equal(planSecondPass(buckets, () => 100, 5_000, inputBytes).kind, 'slices');
    assert.equal(planSecondPass(buckets, () => 100, 500, inputBytes).kind, 'spill');
    assert.equal(planSecondPass([1], () => 501, 500, inputBytes).kind, 'spill', 'one bucket alone is too large');
  });

  it('has every bucket in one slice, in order, none above the capacity', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(50), { minLength: 1, maxLength: 200 }),
        fc.integer({ min: 50, max: 500 }),
        (counts, capacity) => {
          const buckets = [...counts.keys()];
          // So little input that reading it again is always the cheaper way.
          const plan = planSecondPass(buckets, (bucket) => counts[bucket] ?? 0, capacity, 0);
          assert(plan.kind === 'slices');
          assert.deepEqual(plan.slices.flat(), buckets);
          for (const slice of plan.slices) {
            assert(slice.reduce((sum, bucket) => sum + (counts[bucket] ?? 0), 0) <= plan.recordsMax);
          }
          assert(plan.recordsMax <= capacity);
        },
      ),
    );
  });
});
