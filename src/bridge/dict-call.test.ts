/** Tries, waits, limits and tokens of a call, against a DICT that fails in every way it can. */

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { answer, problem, type Script, type ScriptedDict, scriptedDict } from '../../test/support/scripted-dict.ts';
import type { DictApi } from '../dict/api.ts';
import { DictError } from '../dict/errors.ts';
import { participant } from '../dict/participant.ts';
import { type Clock, scaledClock } from '../platform/clock.ts';
import { createDictClient, type DictReadClientOptions } from './dict-client.ts';

const ispb = participant('12345678');
const other = participant('87654321');
const cid = 'ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb';
const stamp = '<ResponseTime>2020-01-10T10:00:00Z</ResponseTime><CorrelationId>a9f13566e19f5ca51329479a5bae60c5</CorrelationId>';
const request = { participant: ispb, keyType: 'CPF' } as const;
const verification = { ...request, participantSyncVerifier: cid };
const emptyPage = answer(
  200,
  `<ListCidSetEventsResponse>${stamp}<HasMoreElements>false</HasMoreElements><Participant>12345678</Participant><KeyType>CPF</KeyType></ListCidSetEventsResponse>`,
);
const silence: Script = () => undefined;
const hangUp: Script = (response) => void response.socket?.destroy();

interface Patient {
  readonly clock: Clock;
  /** Waits that were asked for, in ms. */
  readonly waits: number[];
}

/** A clock whose waits pass at once and are noted. */
function patientClock(): Patient {
  const waits: number[] = [];
  let nowMs = Date.UTC(2026, 0, 1);
  return {
    waits,
    clock: {
      now: () => new Date(nowMs),
      sleep: async (ms, signal) => {
        signal?.throwIfAborted();
        waits.push(ms);
        nowMs += ms;
      },
    },
  };
}

async function setUp(
  t: TestContext,
  more: Partial<DictReadClientOptions> = {},
): Promise<Patient & { dict: ScriptedDict; client: DictApi & { close(): Promise<void> } }> {
  const dict = await scriptedDict(t);
  const patient = patientClock();
  const client = createDictClient({
    apiUrl: dict.apiUrl,
    filesHosts: [dict.host],
    clock: patient.clock,
    random: () => 0.5,
    budget: { policies: 'configured' },
    limits: { callMs: 300 },
    ...more,
  });
  t.after(() => client.close());
  return { ...patient, dict, client };
}

const failsAs =
  (kind: string, status: number) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof DictError, String(error));
    assert.deepEqual([error.kind, error.status], [kind, status]);
    return true;
  };

describe('tries', () => {
  const passing: readonly [string, Script][] = [
    ['500', problem(500, 'InternalServerError')],
    ['503', problem(503, 'ServiceUnavailable')],
    ['a gateway without a problem document', answer(502, '<html/>', { 'content-type': 'text/html' })],
    ['429', problem(429, 'RateLimited')],
    ['silence', silence],
    ['a broken connection', hangUp],
  ];
  for (const [what, script] of passing) {
    it(`repeats a read after ${what}`, async (t) => {
      const { dict, client } = await setUp(t);
      dict.play(script, script, emptyPage);
      assert.deepEqual((await client.listCidSetEvents(request)).events, []);
      assert.equal(dict.received.length, 3);
    });
  }

  it('gives up after its bound, waiting longer each time', async (t) => {
    const { dict, client, waits } = await setUp(t);
    dict.play(problem(500, 'InternalServerError'));
    await assert.rejects(client.createSyncVerification(verification), failsAs('InternalServerError', 500));
    assert.equal(dict.received.length, 3);
    assert.deepEqual(waits, [187.5, 375]);
  });

  it('repeats nothing that cannot succeed', async (t) => {
    const { dict, client } = await setUp(t);
    for (const [status, kind] of [
      [400, 'BadRequest'],
      [403, 'Forbidden'],
      [404, 'NotFound'],
      [400, 'RequestSignatureInvalid'],
      [418, 'Teapot'],
    ] as const) {
      dict.play(problem(status, kind));
      await assert.rejects(client.listCidSetEvents(request), failsAs(kind, status));
    }
    assert.equal(dict.received.length, 5);
  });

  it('never repeats createCidSetFile, which costs one of few tokens', async (t) => {
    const { dict, client } = await setUp(t);
    for (const [script, kind, status] of [
      [hangUp, 'ConnectionLost', 0],
      [silence, 'Timeout', 0],
      [problem(503, 'ServiceUnavailable'), 'ServiceUnavailable', 503],
    ] as const) {
      dict.play(script);
      await assert.rejects(client.createCidSetFile(request), failsAs(kind, status));
    }
    assert.equal(dict.received.length, 3);
  });

  it('waits as long as DICT asks, but leaves long waits to whoever asked', async (t) => {
    const { dict, client, waits } = await setUp(t);
    dict.play(problem(503, 'ServiceUnavailable', '', { 'retry-after': '7' }), emptyPage);
    await client.listCidSetEvents(request);
    assert.equal(waits.length, 1);
    assert.ok((waits[0] ?? 0) >= 7_000 && (waits[0] ?? 0) < 8_000);
    dict.play(problem(503, 'ServiceUnavailable', '', { 'retry-after': '3600' }));
    await assert.rejects(client.listCidSetEvents(request), (error) => error instanceof DictError && error.retryAfterSec === 3600);
    dict.play(problem(503, 'ServiceUnavailable', '', { 'retry-after': 'Thu, 01 Jan 2026 01:00:00 GMT' }));
    await assert.rejects(client.listCidSetEvents(request), (error) => {
      return error instanceof DictError && (error.retryAfterSec ?? 0) > 3_500 && (error.retryAfterSec ?? 0) <= 3_600;
    });
    assert.equal(dict.received.length, 4);
  });

  it('says what DICT said: name, status, correlation, violations', async (t) => {
    const { dict, client } = await setUp(t);
    const more =
      '<correlationId>c-1</correlationId><violations><violation><reason>r</reason><value>61988887777</value><property>entry.key</property></violation><violation><reason>s</reason></violation></violations>';
    dict.play(problem(400, 'BadRequest', more));
    await assert.rejects(client.listCidSetEvents(request), (error) => {
      assert.ok(error instanceof DictError);
      assert.equal(error.correlationId, 'c-1');
      assert.deepEqual(error.violations, [
        { reason: 'r', value: '61988887777', property: 'entry.key' },
        { reason: 's', value: null, property: null },
      ]);
      assert.equal(error.message, 'listCidSetEvents: DICT answered 400 BadRequest');
      return true;
    });
  });
});

describe('limits', () => {
  it('does not wait for an answer without end', async (t) => {
    const { dict, client } = await setUp(t, { retry: { triesMax: 1 } });
    dict.play((response) => {
      response.writeHead(200, { 'content-type': 'application/xml' });
      const timer = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(timer));
    });
    await assert.rejects(client.listCidSetEvents(request), failsAs('Timeout', 0));
  });

  it('says when nobody listens', async (t) => {
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const address = closed.address();
    const port = typeof address === 'object' ? address?.port : 0;
    await new Promise((resolve) => closed.close(resolve));
    const { client, waits } = await setUp(t, { apiUrl: `http://127.0.0.1:${port}/api/v2` });
    await assert.rejects(client.listCidSetEvents(request), failsAs('Unreachable', 0));
    assert.equal(waits.length, 2);
  });

  it("ends with the caller's signal and its reason, at any point", async (t) => {
    const { dict, client } = await setUp(t, { clock: scaledClock(1), limits: { callMs: 5_000 } });
    const reason = new Error('changed my mind');
    const arrived = async (requests: number): Promise<void> => {
      while (dict.received.length < requests) await wait(1);
    };
    dict.play(silence);
    const controller = new AbortController();
    const asked = client.listCidSetEvents(request, { signal: controller.signal });
    void arrived(1).then(() => controller.abort(reason));
    await assert.rejects(asked, reason);
    await assert.rejects(client.listCidSetEvents(request, { signal: controller.signal }), reason);
    dict.play(problem(500, 'InternalServerError'));
    const waiting = new AbortController();
    const retried = client.listCidSetEvents(request, { signal: waiting.signal });
    void arrived(2).then(() => waiting.abort(reason));
    await assert.rejects(retried, reason);
    assert.equal(dict.received.length, 2);
  });

  it('refuses a base that is no URL', () => {
    const options = { filesHosts: [], clock: patientClock().clock, random: Math.random };
    for (const apiUrl of ['', 'dict.pi.rsfn.net.br', 'ftp://x/']) {
      assert.throws(() => createDictClient({ ...options, apiUrl }), /apiUrl: ".*" is not an http or https URL/);
    }
  });
});

describe('tokens', () => {
  const policies = (available: number): Script =>
    answer(
      200,
      `<ListPoliciesResponse>${stamp}<Policies><Policy><AvailableTokens>${available}</AvailableTokens><Capacity>100</Capacity>
<RefillTokens>20</RefillTokens><RefillPeriodSec>60</RefillPeriodSec><Name>CIDS_EVENTS_LIST</Name></Policy></Policies></ListPoliciesResponse>`,
    );

  it('asks DICT for its buckets once per participant and keeps within what they hold (R12)', async (t) => {
    const { dict, client, clock } = await setUp(t, { budget: {} });
    dict.play(policies(22), emptyPage);
    await client.listCidSetEvents(request, { priority: 'person' });
    const before = clock.now();
    // Two tokens above what is kept back from routine.
    await client.listCidSetEvents(request);
    assert.deepEqual(
      dict.received.map(({ path, headers }) => [path.replace(/\?.*/, ''), headers['pi-requestingparticipant']]),
      [
        ['/api/v2/policies/', '12345678'],
        ['/api/v2/cids/events', undefined],
        ['/api/v2/cids/events', undefined],
      ],
    );
    dict.play(policies(20), emptyPage);
    await client.listCidSetEvents(request);
    assert.ok(clock.now().getTime() - before.getTime() >= 30_000, 'it waited for tokens');
    dict.play(policies(100), emptyPage);
    await assert.rejects(client.listCidSetEvents({ ...request, participant: other }), /Participant is not the one/);
    assert.equal(dict.received.at(-2)?.headers['pi-requestingparticipant'], '87654321');
  });

  it('assumes half a bucket when DICT does not say, and gives up with NoTokens at the deadline', async (t) => {
    const { dict, client } = await setUp(t, {
      budget: {
        waitMaxMs: 5_000,
        rates: { CIDS_EVENTS_LIST: { capacity: 10, refillTokens: 4, refillPeriodMs: 60_000 } },
      },
    });
    dict.play(problem(503, 'ServiceUnavailable'), emptyPage);
    // Five, of which two are kept back from routine.
    await client.listCidSetEvents(request);
    await client.listCidSetEvents(request);
    await client.listCidSetEvents(request);
    await assert.rejects(client.listCidSetEvents(request), failsAs('NoTokens', 0));
  });

  it('believes a 429 over its own count', async (t) => {
    const { dict, client, clock } = await setUp(t, { budget: { policies: 'configured' } });
    dict.play(problem(429, 'RateLimited'), emptyPage);
    const before = clock.now();
    await client.listCidSetEvents(request);
    assert.ok(clock.now().getTime() - before.getTime() >= 60_000, 'one period passed before the next try');
  });

  it('tells an observer of each bucket once which one it is, and of every 429', async (t) => {
    const told: string[] = [];
    const { dict, client } = await setUp(t, {
      budget: {
        policies: 'configured',
        observers: ({ participant: whose, policy }) => {
          told.push(`${whose} ${policy}`);
          return {
            onExhausted: () => told.push(`${policy}: 429`),
            onWait: ({ priority }) => told.push(`${policy}: ${priority}`),
          };
        },
      },
      retry: { triesMax: 1 },
    });
    dict.play(emptyPage, problem(429, 'RateLimited'));
    await client.listCidSetEvents(request);
    await assert.rejects(client.listCidSetEvents(request, { priority: 'person' }), failsAs('RateLimited', 429));
    assert.deepEqual(told, [
      '12345678 CIDS_EVENTS_LIST',
      'CIDS_EVENTS_LIST: routine',
      'CIDS_EVENTS_LIST: person',
      'CIDS_EVENTS_LIST: 429',
    ]);
  });

  it('does not count what DICT does not charge', async (t) => {
    const { dict, client } = await setUp(t, {
      budget: {
        policies: 'configured',
        waitMaxMs: 1_000,
        rates: { CIDS_EVENTS_LIST: { capacity: 2, refillTokens: 1, refillPeriodMs: 3_600_000 } },
      },
    });
    dict.play(problem(500, 'InternalServerError'));
    await assert.rejects(client.listCidSetEvents(request), failsAs('InternalServerError', 500));
    dict.play(emptyPage);
    await client.listCidSetEvents(request);
    await client.listCidSetEvents(request);
    await assert.rejects(client.listCidSetEvents(request), failsAs('NoTokens', 0));
  });

  it('is not led astray by buckets of no size', async (t) => {
    const { dict, client } = await setUp(t, { budget: {} });
    const zero =
      '<Policy><AvailableTokens>0</AvailableTokens><Capacity>0</Capacity><RefillTokens>0</RefillTokens><RefillPeriodSec>0</RefillPeriodSec>';
    dict.play(
      answer(
        200,
        `<ListPoliciesResponse><Policies>${zero}<Name>CIDS_EVENTS_LIST</Name></Policy>${zero}<Name>constructor</Name></Policy></Policies></ListPoliciesResponse>`,
      ),
      emptyPage,
    );
    await client.listCidSetEvents(request);
    assert.equal(dict.received.length, 2);
  });
});
