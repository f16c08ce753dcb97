/** R12: budgets. In ordinary work DICT never has to refuse for want of tokens, whichever way it refills its buckets. */

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { RESERVED_SHARE } from '../src/bridge/bucket-store.ts';
import { createDictClient } from '../src/bridge/dict-client.ts';
import { DictError } from '../src/dict/errors.ts';
import { participant } from '../src/dict/participant.ts';
import { type Clock, scaledClock } from '../src/platform/clock.ts';
import { READINGS } from '../src/simulator/options.ts';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import { steppedClock } from './support/stepped-clock.ts';

const psp = participant('00038166');
const other = participant('12345678');
const events = { participant: psp, keyType: 'CPF' } as const;

// A minute takes 100 ms.
const FACTOR = 600;

/** What of a full bucket of 100 is for routine. */
const SERVED_OF_100 = 100 * (1 - RESERVED_SHARE.routine);

type Refill = (typeof READINGS.refill)[number];

function clientOf(t: TestContext, simulator: Simulator, clock: Clock, waitMaxMs = 3_600_000) {
  const client = createDictClient({
    apiUrl: simulator.apiUrl,
    filesHosts: [],
    clock,
    random: Math.random,
    retry: { triesMax: 1 },
    budget: { waitMaxMs },
  });
  t.after(() => client.close());
  return client;
}

async function setUp(t: TestContext, refill: Refill, factor = FACTOR): Promise<{ simulator: Simulator; clock: Clock }> {
  const clock = scaledClock(factor);
  const simulator = await startSimulator({ clock, readings: { refill } });
  t.after(() => simulator.close());
  return { simulator, clock };
}

for (const refill of READINGS.refill) {
  describe(`R12: tokens that come back ${refill}`, () => {
    it('are never overdrawn by a burst and the steady work after it, nor by a restart', async (t) => {
      const { simulator, clock } = await setUp(t, refill);
      for (let runs = 0; runs < 2; runs += 1) {
        const client = clientOf(t, simulator, clock);
        await Promise.all(Array.from({ length: 150 }, () => client.listCidSetEvents(events)));
      }
      const counts = simulator.state.counts();
      assert.equal(counts['listCidSetEvents 200'], 300);
      assert.equal(counts['listCidSetEvents 429'], undefined);
      assert.equal(counts['listPolicies 429'], undefined);
    });

    it('are kept back for verifications and people while routine uses up the rest', { timeout: 60_000 }, async (t) => {
      // Time stands still under the burst. Where it passes, DICT is asked anew how many tokens there are once half a minute is over, and what
      // ends while that question is under way counts twice (token-bucket.ts): on the fast clock half a minute is 50 ms, which a busy machine
      // needs for the first question alone, and the tokens kept back were gone with the rest.
      const clock = steppedClock();
      const simulator = await startSimulator({ clock, readings: { refill } });
      t.after(() => simulator.close());
      const client = clientOf(t, simulator, clock, 2_000);
      const asked = Promise.allSettled(Array.from({ length: 100 }, () => client.listCidSetEvents(events)));
      while ((simulator.state.counts()['listCidSetEvents 200'] ?? 0) < SERVED_OF_100)
        await wait(5, undefined, { signal: t.signal });
      clock.move(2_000);
      const routine = await asked;
      const refused = routine.filter((result) => result.status === 'rejected');
      assert.ok(refused.length > 0, 'routine had to wait');
      for (const { reason } of refused) assert.equal(reason instanceof DictError && reason.kind, 'NoTokens');
      await client.listCidSetEvents(events, { priority: 'verification' });
      await client.listCidSetEvents(events, { priority: 'person' });
      assert.equal(simulator.state.counts()['listCidSetEvents 429'], undefined);
    });

    it('of one participant are not used up by another', async (t) => {
      const { simulator, clock } = await setUp(t, refill);
      const client = clientOf(t, simulator, clock, 0);
      simulator.state.setTokens(other, 'CIDS_EVENTS_LIST', 0);
      await assert.rejects(client.listCidSetEvents({ ...events, participant: other }), /no token of DICT's rate limit/);
      await client.listCidSetEvents(events);
    });

    it('that another program used are missed once, not twice', async (t) => {
      // The call has to arrive before the next token does: on the faster clock that is 5 ms, too short for a busy machine.
      const { simulator, clock } = await setUp(t, refill, FACTOR / 10);
      const client = clientOf(t, simulator, clock);
      await client.listCidSetEvents(events);
      simulator.state.setTokens(psp, 'CIDS_EVENTS_LIST', 0);
      await assert.rejects(
        client.listCidSetEvents(events),
        (error) => error instanceof DictError && error.kind === 'RateLimited',
      );
      await client.listCidSetEvents(events);
      assert.equal(simulator.state.counts()['listCidSetEvents 429'], 1);
    });
  });
}
