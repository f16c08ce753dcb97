/** Retries, time limits and suspension of the in-process runner, on a clock that does not run. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DictError } from '../dict/errors.ts';
import type { Clock } from '../platform/clock.ts';
import { DatabaseUnavailable } from '../platform/postgres/errors.ts';
import { FlowSuspended, inProcessContext, type RunnerDeps } from './in-process-runner.ts';
import { StepTimedOut } from './step-policy.ts';

const going = new AbortController().signal;

/** A clock whose sleeps return at once and are written down; those of a time limit (which bring a signal of their own) never end. */
function recordingClock(): { clock: Clock; slept: number[] } {
  const slept: number[] = [];
  const clock: Clock = {
    now: () => new Date(0),
    sleep: (ms, signal) => {
      if (signal !== going) return new Promise(() => {});
      slept.push(ms);
      return Promise.resolve();
    },
  };
  return { clock, slept };
}

function depsWith(clock: Clock, signal = going): RunnerDeps {
  const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  const log = { ...silent, child: () => log };
  return { clock, log, signal, suspendOnWait: false, wakePollMs: 1_000 };
}

function failing(times: number, failure: Error): () => Promise<string> {
  let left = times;
  return () => {
    left -= 1;
    return left >= 0 ? Promise.reject(failure) : Promise.resolve('done');
  };
}

const rateLimited = new DictError('RateLimited', 429, 'too many requests');

describe('the in-process runner', () => {
  it('tries a retryable failure again with doubling waits', async () => {
    const { clock, slept } = recordingClock();
    const { steps } = inProcessContext(depsWith(clock), { ask: failing(3, rateLimited) }, { ask: 'dict' });
    assert.equal(await steps.ask(), 'done');
    assert.deepEqual(slept, [1_000, 2_000, 4_000]);
  });

  it('gives up after the policy’s tries with the failure itself', async () => {
    const { clock, slept } = recordingClock();
    const { steps } = inProcessContext(depsWith(clock), { ask: failing(99, rateLimited) }, { ask: 'dict' });
    await assert.rejects(steps.ask(), rateLimited);
    assert.equal(slept.length, 9);
  });

  it('waits as long as DICT asks, be it longer than the policy would', async () => {
    const { clock, slept } = recordingClock();
    const busy = new DictError('ServiceUnavailable', 503, 'in maintenance', { retryAfterSec: 600 });
    const { steps } = inProcessContext(depsWith(clock), { ask: failing(2, busy) }, { ask: 'dict' });
    assert.equal(await steps.ask(), 'done');
    assert.deepEqual(slept, [600_000, 600_000]);
  });

  it('gives up at once where DICT asks for longer than a flow sits out', async () => {
    const { clock, slept } = recordingClock();
    const closed = new DictError('ServiceUnavailable', 503, 'closed', { retryAfterSec: 3_601 });
    const { steps } = inProcessContext(depsWith(clock), { ask: failing(1, closed) }, { ask: 'dict' });
    await assert.rejects(steps.ask(), closed);
    assert.deepEqual(slept, []);
  });

  it('waits for a lost database for as long as it takes', async () => {
    const { clock, slept } = recordingClock();
    const lost = new DatabaseUnavailable(new Error('connection refused'));
    const { steps } = inProcessContext(depsWith(clock), { read: failing(50, lost) }, { read: 'database' });
    assert.equal(await steps.read(), 'done');
    assert.equal(slept.length, 50);
    assert.equal(Math.max(...slept), 30_000);
  });

  it('never repeats what DICT refused for good', async () => {
    const { clock, slept } = recordingClock();
    const refused = new DictError('Forbidden', 403, 'not yours');
    const { steps } = inProcessContext(depsWith(clock), { ask: failing(1, refused) }, { ask: 'dict' });
    await assert.rejects(steps.ask(), refused);
    assert.deepEqual(slept, []);
  });

  it('never repeats a fault of its own', async () => {
    const { clock } = recordingClock();
    const { steps } = inProcessContext(depsWith(clock), { ask: failing(1, new TypeError('x is undefined')) }, { ask: 'dict' });
    await assert.rejects(steps.ask(), TypeError);
  });

  it('gives a step up after its time limit and tries again', async () => {
    const clock: Clock = { now: () => new Date(0), sleep: () => Promise.resolve() };
    const never = (): Promise<string> => new Promise(() => {});
    const { steps } = inProcessContext(depsWith(clock), { never }, { never: 'dict' });
    await assert.rejects(steps.never(), StepTimedOut);
  });

  it('limits a step by the clock of its limits, however fast the flow’s own runs', async () => {
    const fast: Clock = { now: () => new Date(0), sleep: () => Promise.resolve() };
    const { clock: limitClock } = recordingClock();
    const late = (): Promise<string> => new Promise((resolve) => setImmediate(resolve, 'done'));
    const { steps } = inProcessContext({ ...depsWith(fast), limitClock }, { late }, { late: 'dict' });
    assert.equal(await steps.late(), 'done');
  });

  it('begins no step once the process is to stop', async () => {
    const { clock } = recordingClock();
    const stopping = AbortSignal.abort(new Error('stopping'));
    const { steps } = inProcessContext(depsWith(clock, stopping), { ask: failing(0, rateLimited) }, { ask: 'dict' });
    await assert.rejects(steps.ask(), /stopping/);
  });

  it('suspends instead of waiting for a person where asked to', async () => {
    const { clock } = recordingClock();
    const context = inProcessContext({ ...depsWith(clock), suspendOnWait: true }, {}, {});
    await assert.rejects(context.waitForWake(60_000), FlowSuspended);
  });
});
