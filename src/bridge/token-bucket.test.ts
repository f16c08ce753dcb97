/** The bucket never believes in a token that DICT might not have, whichever way DICT refills, and still uses nearly all of them. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type BucketRates, TokenBucket } from './token-bucket.ts';

/** DICT's side of the wire, in the two readings of "10 a minute". */
interface Server {
  take(atMs: number): boolean;
  tokens(atMs: number): number;
}

function evenServer(rates: BucketRates, available: number): Server {
  let tokens = available;
  let lastMs = 0;
  const advance = (atMs: number): void => {
    tokens = Math.min(rates.capacity, tokens + ((atMs - lastMs) / rates.refillPeriodMs) * rates.refillTokens);
    lastMs = atMs;
  };
  return {
    tokens: (atMs) => {
      advance(atMs);
      return Math.floor(tokens);
    },
    take: (atMs) => {
      advance(atMs);
      if (tokens < 1 - 1e-9) return false;
      tokens -= 1;
      return true;
    },
  };
}

function periodServer(rates: BucketRates, available: number, phaseMs: number): Server {
  let tokens = available;
  let period = Math.floor(-phaseMs / rates.refillPeriodMs);
  const advance = (atMs: number): void => {
    const now = Math.floor((atMs - phaseMs) / rates.refillPeriodMs);
    for (; period < now; period += 1) tokens = Math.min(rates.capacity, tokens + rates.refillTokens);
  };
  return {
    tokens: (atMs) => {
      advance(atMs);
      return tokens;
    },
    take: (atMs) => {
      advance(atMs);
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    },
  };
}

const at = (ms: number): Date => new Date(ms);

describe('TokenBucket', () => {
  const rates = { capacity: 50, refillTokens: 10, refillPeriodMs: 60_000 };

  it('gives out a full bucket at once, then one refill for each whole period', () => {
    const bucket = new TokenBucket(rates, 50, at(0));
    const drain = (ms: number): number => {
      let taken = 0;
      for (; bucket.available(at(ms)) >= 1; taken += 1) {
        bucket.begin();
        bucket.end(true, at(ms));
      }
      return taken;
    };
    assert.deepEqual([drain(0), drain(59_999), drain(60_000), drain(60_001), drain(240_000)], [50, 0, 10, 0, 30]);
  });

  it('counts a call as one token until it has ended, and as none when DICT did not charge it', () => {
    const bucket = new TokenBucket(rates, 50, at(0));
    bucket.begin();
    assert.equal(bucket.available(at(0)), 49);
    // While it lasts it cannot come back: DICT may take it at the very end.
    assert.equal(bucket.available(at(120_000)), 49);
    bucket.end(false, at(120_000));
    assert.equal(bucket.available(at(120_000)), 50);
  });

  it('believes what DICT says, except for calls that ended since it was asked', () => {
    const bucket = new TokenBucket(rates, 50, at(0));
    const endedBefore = bucket.ended;
    bucket.begin();
    bucket.end(true, at(0));
    bucket.prime({ ...rates, capacity: 100 }, 7, endedBefore, at(1000));
    assert.equal(bucket.available(at(1000)), 6);
    bucket.exhausted(at(2000));
    assert.equal(bucket.available(at(2000)), 0);
    assert.equal(bucket.available(at(62_000)), 10);
  });

  it('refuses rates that never fill', () => {
    assert.throws(() => new TokenBucket({ ...rates, refillTokens: 0 }, 0, at(0)), /never fills/);
  });

  it('never uses a token that DICT does not have, under either reading and any phase (R12)', () => {
    const steps = fc.array(fc.record({ gapMs: fc.nat(90_000), wish: fc.nat(30), lastsMs: fc.nat(5_000) }), { maxLength: 60 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 20 }),
        fc.nat(40),
        fc.nat(59_999),
        fc.boolean(),
        steps,
        (capacity, refillTokens, availableMost, phaseMs, even, plan) => {
          const bucketRates = { capacity, refillTokens, refillPeriodMs: 60_000 };
          const available = Math.min(availableMost, capacity);
          const server = even ? evenServer(bucketRates, available) : periodServer(bucketRates, available, phaseMs);
          const bucket = new TokenBucket(bucketRates, available, at(0));
          let nowMs = 0;
          for (const { gapMs, wish, lastsMs } of plan) {
            nowMs += gapMs;
            let begun = 0;
            for (; begun < wish && bucket.available(at(nowMs)) >= 1; begun += 1) bucket.begin();
            // DICT takes its tokens at the end of the calls.
            nowMs += lastsMs;
            for (; begun > 0; begun -= 1) {
              assert.ok(server.take(nowMs), 'DICT has the token');
              bucket.end(true, at(nowMs));
            }
            assert.ok(bucket.available(at(nowMs)) <= server.tokens(nowMs));
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('keeps up at least nine tenths of the published rate for ever, within bounded memory', () => {
    const entries = { capacity: 600, refillTokens: 600, refillPeriodMs: 60_000 };
    const bucket = new TokenBucket(entries, 600, at(0));
    let used = 0;
    const minutes = 150;
    for (let ms = 0; ms < minutes * 60_000; ms += 250) {
      while (bucket.available(at(ms)) >= 1) {
        bucket.begin();
        bucket.end(true, at(ms));
        used += 1;
      }
    }
    assert.ok(used >= 0.9 * 600 * minutes, `${used} tokens in ${minutes} minutes`);
  });
});
