/** The rehearsal's clock is as fast as the machine allows. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { scaleFor, TEST } from './settings.ts';

describe('the speed of the rehearsal’s clock', () => {
  it('is the most on a machine that registers fast enough, less on a slower one, and never too little', () => {
    assert.equal(scaleFor(1), TEST.scaleMax);
    assert.equal(scaleFor(TEST.registrationMs), TEST.scaleMax);
    assert.equal(scaleFor(TEST.registrationMs * 2), TEST.scaleMax / 2);
    assert.equal(scaleFor(10_000), TEST.scaleMin);
  });
});
