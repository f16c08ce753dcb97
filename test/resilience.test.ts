/** The bridge and a DICT that is not well: who is left alone, who waits, who is not kept waiting, and what it costs. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { type CallObserver, SILENT_OBSERVER } from '../src/bridge/call-observer.ts';
import { createDictClient, type DictReadClientOptions } from '../src/bridge/dict-client.ts';
import { DictError } from '../src/dict/errors.ts';
import { participant } from '../src/dict/participant.ts';
import { sampleEntries } from '../src/dict/sample-entries.ts';
import { scaledClock, systemClock } from '../src/platform/clock.ts';
import { startSimulator } from '../src/simulator/simulator.ts';
import { steppedClock } from './support/stepped-clock.ts';

const psp = participant('00038166');
const events = { participant: psp, keyType: 'CPF' } as const;
const verification = { ...events, participantSyncVerifier: '00'.repeat(32) };
const byCid = { participant: psp, cid: 'ab'.repeat(32) };
const minuteMs = 60_000;

async function setUp(t: TestContext, more: Partial<DictReadClientOptions> = {}) {
  const clock = steppedClock();
  const { state, apiUrl, close } = await startSimulator({ clock: more.clock ?? clock, policies: null });
  const circuits: string[] = [];
  const retries: string[] = [];
  const calls: string[] = [];
  const observer: CallObserver = {
    ...SILENT_OBSERVER,
    circuitChanged: (_, changed) => circuits.push(changed),
    retried: (operation, kind) => retries.push(`${operation} ${kind}`),
    called: (operation, outcome) => calls.push(`${operation} ${outcome}`),
  };
  const client = createDictClient({
    apiUrl,
    filesHosts: ['127.0.0.1'],
    clock,
    random: () => 0.5,
    retry: { triesMax: 1 },
    budget: { policies: 'configured' },
    circuit: { failuresMax: 3, openMs: minuteMs },
    observer,
    ...more,
  });
  t.after(async () => {
    await client.close();
    await close();
  });
  return { clock, state, client, circuits, retries, calls };
}

const failsAs =
  (kind: string) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof DictError, String(error));
    assert.equal(error.kind, kind);
    return true;
  };

describe('a circuit', () => {
  it('opens after failures in a row, sends nothing meanwhile, and closes with one call that succeeds', async (t) => {
    const { clock, state, client, circuits } = await setUp(t);
    state.addFault({ operation: 'any', times: 4, breakConnection: true });
    for (let count = 0; count < 3; count++) await assert.rejects(client.listCidSetEvents(events), failsAs('ConnectionLost'));
    for (let count = 0; count < 5; count++) {
      await assert.rejects(client.createSyncVerification(verification), (error) => {
        assert.ok(error instanceof DictError && error.kind === 'CircuitOpen' && error.remedy === 'retry', String(error));
        assert.equal(error.retryAfterSec, 60);
        assert.match(error.message, /127\.0\.0\.1:\d+ failed 3 times in a row and is left alone until 2026-01-10T10:01:00/);
        return true;
      });
    }
    assert.equal(state.counts()['createSyncVerification 0'], undefined, 'nothing was sent while it was open');
    clock.move(minuteMs);
    await assert.rejects(client.listCidSetEvents(events), failsAs('ConnectionLost'));
    await assert.rejects(client.listCidSetEvents(events), failsAs('CircuitOpen'));
    clock.move(minuteMs);
    await client.listCidSetEvents(events);
    await client.createSyncVerification(verification);
    assert.deepEqual(circuits, ['open', 'half-open', 'open', 'half-open', 'closed']);
  });

  it('lets one call try, whoever else waits', async (t) => {
    const { clock, state, client } = await setUp(t);
    state.addFault({ operation: 'any', times: 4, error: 'ServiceUnavailable' });
    for (let count = 0; count < 3; count++) await assert.rejects(client.listCidSetEvents(events), failsAs('ServiceUnavailable'));
    clock.move(minuteMs);
    const ends = await Promise.allSettled(Array.from({ length: 8 }, () => client.listCidSetEvents(events)));
    const kinds = ends.map((end) =>
      end.status === 'rejected' && end.reason instanceof DictError ? end.reason.kind : 'answered',
    );
    assert.deepEqual(kinds.toSorted(), [...Array.from({ length: 7 }, () => 'CircuitOpen'), 'ServiceUnavailable']);
    assert.equal(state.counts()['listCidSetEvents 503'], 4);
    clock.move(minuteMs);
    await Promise.all(Array.from({ length: 8 }, () => client.listCidSetEvents(events)));
  });

  it('stays closed over answers that DICT gives while it is well', async (t) => {
    const { state, client, circuits } = await setUp(t);
    for (const error of ['NotFound', 'Forbidden', 'BadRequest', 'RateLimited'] as const) {
      state.addFault({ operation: 'any', times: 5, error });
      for (let count = 0; count < 5; count++) {
        // One after a 429 has no token left.
        const asking = { ...events, participant: participant(`1234567${count}`) };
        await assert.rejects(client.listCidSetEvents(asking), failsAs(error));
      }
    }
    // Failures that are not in a row.
    for (let count = 0; count < 6; count++) {
      state.addFault({ operation: 'any', times: 1, error: count % 3 === 2 ? 'NotFound' : 'InternalServerError' });
      await assert.rejects(client.listCidSetEvents(events), DictError);
    }
    await client.listCidSetEvents(events);
    assert.deepEqual(circuits, []);
  });

  it('is not closed by a try that was given up', async (t) => {
    const { clock, state, client, circuits } = await setUp(t);
    state.addFault({ operation: 'any', times: 3, breakConnection: true });
    for (let count = 0; count < 3; count++) await assert.rejects(client.listCidSetEvents(events), failsAs('ConnectionLost'));
    clock.move(minuteMs);
    state.addFault({ operation: 'any', times: 1, delayMs: 10 * minuteMs });
    const reason = new Error('changed my mind');
    const controller = new AbortController();
    const asked = client.listCidSetEvents(events, { signal: controller.signal });
    setTimeout(() => controller.abort(reason), 100);
    await assert.rejects(asked, reason);
    await assert.rejects(client.listCidSetEvents(events), failsAs('CircuitOpen'));
    assert.deepEqual(circuits, ['open', 'half-open', 'open']);
  });

  it('costs no token, nor does DICT out of reach', async (t) => {
    const rates = { CIDS_EVENTS_LIST: { capacity: 5, refillTokens: 1, refillPeriodMs: 1_000 * minuteMs } };
    const { clock, state, client } = await setUp(t, { budget: { policies: 'configured', rates, waitMaxMs: 0 } });
    state.addFault({ operation: 'any', times: 3, breakConnection: true });
    const options = { priority: 'person' } as const;
    for (let count = 0; count < 3; count++) {
      await assert.rejects(client.listCidSetEvents(events, options), failsAs('ConnectionLost'));
    }
    for (let count = 0; count < 10; count++) {
      await assert.rejects(client.listCidSetEvents(events, options), failsAs('CircuitOpen'));
    }
    clock.move(minuteMs);
    await client.listCidSetEvents(events, options);
    await client.listCidSetEvents(events, options);
    await assert.rejects(client.listCidSetEvents(events, options), failsAs('NoTokens'));
  });

  it('is waited for by a call that may, within what it waits for Retry-After', async (t) => {
    const { state, client, retries, calls } = await setUp(t, {
      clock: systemClock,
      circuit: { failuresMax: 2, openMs: 900 },
      retry: { triesMax: 4, firstWaitMs: 1 },
    });
    state.addFault({ operation: 'any', times: 2, breakConnection: true });
    await client.listCidSetEvents(events);
    assert.deepEqual(retries, [
      'listCidSetEvents ConnectionLost',
      'listCidSetEvents ConnectionLost',
      'listCidSetEvents CircuitOpen',
    ]);
    assert.deepEqual(calls, ['listCidSetEvents ok']);
  });
});

describe('bulkheads', () => {
  /** How many are under way and wait, by policy, now and at most. */
  function counting() {
    const now = { underWay: new Map<string, number>(), queued: new Map<string, number>() };
    const most = new Map<string, number>();
    const observer: CallObserver = {
      ...SILENT_OBSERVER,
      queued: (policy, change) => void now.queued.set(policy, (now.queued.get(policy) ?? 0) + change),
      underWay: (policy, change) => {
        const count = (now.underWay.get(policy) ?? 0) + change;
        now.underWay.set(policy, count);
        most.set(policy, Math.max(most.get(policy) ?? 0, count));
      },
    };
    return { now, most, observer };
  }

  it('leave a verification its connection however many by-CID reads hang', async (t) => {
    const { observer, now, most } = counting();
    const { state, client } = await setUp(t, {
      clock: systemClock,
      limits: { connections: 6 },
      bulkhead: { callsMax: 20, reservedConnections: 2 },
      observer,
    });
    state.addFault({ operation: 'getEntryByCid', times: 20, delayMs: 600 });
    let answered = 0;
    const reads = Array.from({ length: 20 }, () => client.getEntryByCid(byCid).then(() => (answered += 1)));
    await client.createSyncVerification(verification, { priority: 'verification' });
    // A person does not wait behind the rest of the kind either.
    await client.getEntryByCid(byCid, { priority: 'person' });
    assert.ok(answered < 20, `${answered} reads were answered before`);
    assert.ok((now.queued.get('CIDS_ENTRIES_READ') ?? 0) > 0);
    await Promise.all(reads);
    // Four in the pool and the person's.
    assert.equal(most.get('CIDS_ENTRIES_READ'), 5);
    assert.deepEqual([now.underWay.get('CIDS_ENTRIES_READ'), now.queued.get('CIDS_ENTRIES_READ')], [0, 0]);
  });

  it('give each participant places of its own', async (t) => {
    const { state, client } = await setUp(t, { clock: systemClock, bulkhead: { callsMax: 2 } });
    state.addFault({ operation: 'listCidSetEvents', times: 4, delayMs: 1_500 });
    let answered = 0;
    const others = Array.from({ length: 4 }, () => client.listCidSetEvents(events).then(() => (answered += 1)));
    await client.createSyncVerification(verification);
    await client.listCidSetEvents({ participant: participant('12345678'), keyType: 'CPF' });
    await Promise.all(others);
    assert.equal(answered, 4);
  });

  it('refuse by name what would wait behind too many, and let go who gives up waiting; neither costs a token', async (t) => {
    const { observer, now } = counting();
    const rates = { CIDS_EVENTS_LIST: { capacity: 5, refillTokens: 1, refillPeriodMs: 1_000 * minuteMs } };
    const { state, client } = await setUp(t, {
      clock: systemClock,
      bulkhead: { callsMax: 1, queueMax: 1 },
      budget: { policies: 'configured', rates, waitMaxMs: 0 },
      observer,
    });
    state.addFault({ operation: 'listCidSetEvents', times: 1, delayMs: 1_000 });
    const options = { priority: 'person' } as const;
    const first = client.listCidSetEvents(events, options);
    const controller = new AbortController();
    const second = client.listCidSetEvents(events, { ...options, signal: controller.signal });
    await assert.rejects(client.listCidSetEvents(events, options), failsAs('BulkheadFull'));
    const reason = new Error('changed my mind');
    controller.abort(reason);
    await assert.rejects(second, reason);
    await first;
    assert.equal(state.counts()['listCidSetEvents 200'], 1);
    for (let count = 0; count < 4; count++) await client.listCidSetEvents(events, options);
    await assert.rejects(client.listCidSetEvents(events, options), failsAs('NoTokens'));
    assert.deepEqual([now.underWay.get('CIDS_EVENTS_LIST'), now.queued.get('CIDS_EVENTS_LIST')], [0, 0]);
  });
});

describe('a CID set file that the simulator cuts', () => {
  it('is downloaded whole by Range, whether it came compressed or not, and told', async (t) => {
    const clock = scaledClock(600);
    const resumed: string[] = [];
    let bytes = 0;
    const observer: CallObserver = {
      ...SILENT_OBSERVER,
      downloadResumed: (kind) => resumed.push(kind),
      downloaded: (count) => {
        bytes += count;
      },
    };
    const { state, client } = await setUp(t, { clock, observer, retry: { triesMax: 3 } });
    state.seedEntries(sampleEntries({ seed: 5, ...events, count: 7_000 }));
    const { id } = await client.createCidSetFile(events);
    const looked = { participant: psp, id };
    let file = await client.getCidSetFile(looked);
    for (let looks = 0; file.status !== 'AVAILABLE' && looks < 1_000; looks++) {
      await clock.sleep(5_000);
      file = await client.getCidSetFile(looked);
    }
    assert.ok(file.url !== null && file.bytes !== null && file.sha256 !== null, file.status);
    // The first breaks a compressed answer, which has no parts, the second the rest of it.
    state.addFault({ operation: 'downloadCidSetFile', times: 2, when: 'after', breakConnection: true });
    const hash = createHash('sha256');
    for await (const chunk of client.downloadCidSetFile({ url: file.url, bytesMax: file.bytes })) hash.update(chunk);
    assert.deepEqual([bytes, hash.digest('hex')], [file.bytes, file.sha256]);
    assert.deepEqual(resumed, ['ConnectionLost', 'ConnectionLost']);
  });
});
