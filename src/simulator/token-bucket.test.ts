/** Token buckets under both readings of their refill. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { handClock } from '../../test/support/simulator-calls.ts';
import { type PolicyName, tokenBuckets } from './token-bucket.ts';

const PSP = '00038166';
const POLICY: PolicyName = 'SYNC_VERIFICATIONS_WRITE';

function buckets(refill: 'evenly' | 'at-period-end') {
  const clock = handClock();
  const policies = { [POLICY]: { capacity: 5, refillTokens: 6, refillPeriodSec: 60 } };
  const all = tokenBuckets({ clock, policies, refill });
  const available = (): number | undefined => all.state(PSP, POLICY)?.availableTokens;
  const spend = (times: number): void => {
    for (let index = 0; index < times; index += 1) all.charge(PSP, POLICY, 200);
  };
  return { all, clock, available, spend };
}

describe('token bucket', () => {
  it('starts full, allows until it is empty and never goes below zero', () => {
    const { all, available, spend } = buckets('evenly');
    assert.equal(available(), 5);
    spend(5);
    assert.equal(all.allows(PSP, POLICY), false);
    spend(3);
    assert.equal(available(), 0);
  });

  it('refills evenly where it is read so', () => {
    const { all, clock, available, spend } = buckets('evenly');
    spend(5);
    clock.move(9_999);
    assert.equal(all.allows(PSP, POLICY), false);
    clock.move(1);
    assert.equal(available(), 1);
    clock.move(1_000_000);
    assert.equal(available(), 5);
  });

  it('refills all at once when the period ends where it is read so', () => {
    const { clock, available, spend } = buckets('at-period-end');
    assert.equal(available(), 5);
    clock.move(10_000);
    spend(5);
    clock.move(49_999);
    assert.equal(available(), 0);
    clock.move(1);
    assert.equal(available(), 5);
  });

  it('charges nothing for a 500 and one token for every other answer, refusals included', () => {
    const { all, available } = buckets('evenly');
    all.charge(PSP, POLICY, 500);
    assert.equal(available(), 5);
    for (const status of [201, 400, 404, 503]) all.charge(PSP, POLICY, status);
    assert.equal(available(), 1);
  });

  it('charges three tokens for an entry that is not found by its key', () => {
    const all = tokenBuckets({
      clock: handClock(),
      policies: { ENTRIES_READ_PARTICIPANT_ANTISCAN: { capacity: 9, refillTokens: 1, refillPeriodSec: 60 } },
      refill: 'evenly',
    });
    all.charge(PSP, 'ENTRIES_READ_PARTICIPANT_ANTISCAN', 404);
    assert.equal(all.state(PSP, 'ENTRIES_READ_PARTICIPANT_ANTISCAN')?.availableTokens, 6);
  });

  it('keeps participants apart', () => {
    const { all, spend } = buckets('evenly');
    spend(5);
    assert.equal(all.allows('12345678', POLICY), true);
  });

  it('names the known policies when another is set', () => {
    const { all } = buckets('evenly');
    assert.throws(() => all.set(PSP, 'NO_SUCH', 1), /"NO_SUCH" is none of SYNC_VERIFICATIONS_WRITE/);
  });
});
