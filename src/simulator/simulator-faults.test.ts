/** Limits, readings, faults and refusals of the simulated API over HTTP. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { errorOf, OTHER, only, PSP, phones, SCOPE, started } from '../../test/support/simulator-calls.ts';
import { childOf, childrenOf } from '../platform/xml.ts';

const ZERO = '0'.repeat(64);

describe('rate limits', () => {
  it('answer 429 without Retry-After once the bucket is empty, and show its true state', async (t) => {
    const { dict, clock, state } = await started(t);
    for (let index = 0; index < 50; index += 1) assert.equal((await dict.verify(ZERO)).status, 201);
    const refused = await dict.verify(ZERO);
    assert.equal(refused.status, 429);
    assert.equal(errorOf(refused), 'RateLimited');
    assert.equal(refused.headers.get('retry-after'), null);
    clock.move(12_000);
    const policy = await dict.get('policies/SYNC_VERIFICATIONS_WRITE');
    assert.equal(policy.text('Policy', 'AvailableTokens'), '2');
    assert.equal(policy.text('Policy', 'Capacity'), '50');
    assert.equal(policy.text('Policy', 'RefillTokens'), '10');
    assert.equal(policy.text('Policy', 'RefillPeriodSec'), '60');
    assert.equal(state.counts()['createSyncVerification 429'], 1);
    assert.equal(errorOf(await dict.get('policies/NO_SUCH_POLICY')), 'NotFound');
  });

  it('belong to each participant, count refusals too, and can be set or switched off', async (t) => {
    const { dict, state } = await started(t);
    state.setTokens(PSP, 'CIDS_EVENTS_LIST', 1);
    assert.equal((await dict.events('&Limit=0')).status, 400);
    assert.equal((await dict.events()).status, 429);
    const listed = await dict.get('policies/', { 'PI-RequestingParticipant': OTHER });
    const policies = childrenOf(childOf(listed.root, 'Policies') ?? listed.root, 'Policy');
    const events = policies.find((policy) => childOf(policy, 'Name')?.text === 'CIDS_EVENTS_LIST');
    assert.equal(events && childOf(events, 'AvailableTokens')?.text, '100');
    const free = await started(t, { policies: null });
    for (let index = 0; index < 60; index += 1) assert.equal((await free.dict.verify(ZERO)).status, 201);
  });
});

describe('readings', () => {
  it('of an empty event list', async (t) => {
    const echo = await started(t);
    const { cid } = echo.state.insert(only(phones(1)));
    const listed = await echo.dict.events('&StartTime=2026-01-01T00:00:00Z&EndTime=2026-01-02T00:00:00.000Z');
    assert.equal(listed.text('StartTime'), '2026-01-01T00:00:00.000Z');
    assert.equal(listed.text('EndTime'), '2026-01-02T00:00:00.000Z');
    assert.equal(listed.text('SyncVerifierStart'), cid);
    const absent = await started(t, { readings: { emptyEventList: 'absent' } });
    assert.equal((await absent.dict.events()).text('SyncVerifierStart'), undefined);
  });

  it('of a limit over 200, and refuses limits and times that are none', async (t) => {
    const refused = await started(t);
    assert.equal(errorOf(await refused.dict.events('&Limit=201')), 'BadRequest');
    assert.equal(errorOf(await refused.dict.events('&Limit=ten')), 'BadRequest');
    assert.equal(errorOf(await refused.dict.events('&StartTime=yesterday')), 'BadRequest');
    assert.equal(errorOf(await refused.dict.events('&EndTime=2026-13-45T00:00:00Z')), 'BadRequest');
    const clamped = await started(t, { readings: { limitOver200: 'clamped' } });
    for (const created of phones(201)) clamped.state.insert(created, { log: true });
    clamped.clock.move(5_000);
    const page = await clamped.dict.events('&Limit=1000');
    assert.equal(childrenOf(childOf(page.root, 'CidSetEvents') ?? page.root, 'CidSetEvent').length, 200);
  });

  it('of somebody else’s entry or file', async (t) => {
    for (const [foreign, error] of [
      ['forbidden', 'Forbidden'],
      ['not-found', 'NotFound'],
    ] as const) {
      const { state, dict } = await started(t, { readings: { foreign } });
      const { cid } = state.insert(only(phones(1)));
      const other = { 'PI-RequestingParticipant': OTHER };
      assert.equal(errorOf(await dict.get(`cids/entries/${cid}`, other)), error);
      const id = (await dict.requestFile()).text('CidSetFile', 'Id');
      assert.equal(errorOf(await dict.get(`cids/files/${id}`, other)), error);
    }
  });

  it('of ids, of the order of elements and of the case of hex digits', async (t) => {
    const small = await started(t);
    const first = await small.dict.verify(ZERO);
    assert.equal(first.text('SyncVerification', 'Id'), '1001');
    assert.deepEqual(
      first.root.children.map(({ name }) => name),
      ['ResponseTime', 'CorrelationId', 'SyncVerification'],
    );
    const other = await started(t, { readings: { ids: 'above-2^53', elementOrder: 'schema', hexCase: 'upper' } });
    const second = await other.dict.verify(ZERO);
    assert.equal(second.text('SyncVerification', 'Id'), '9007199254740993');
    assert.deepEqual(
      second.root.children.map(({ name }) => name),
      ['SyncVerification', 'ResponseTime', 'CorrelationId'],
    );
    const { cid } = other.state.insert(only(phones(1)));
    assert.equal((await other.dict.get(`cids/entries/${cid}`)).text('Cid'), cid.toUpperCase());
    const file = other.state.vsync(SCOPE);
    assert.equal(file.vsync, cid);
  });

  it('lets only the named participants in', async (t) => {
    const { dict } = await started(t, { participants: [OTHER] });
    assert.equal(errorOf(await dict.verify(ZERO)), 'Forbidden');
  });
});

describe('faults', () => {
  it('answer errors for as many calls as they are set for, 503 with Retry-After', async (t) => {
    const { dict, state } = await started(t);
    state.addFault({ operation: 'createSyncVerification', times: 2, error: 'ServiceUnavailable' });
    const first = await dict.verify(ZERO);
    assert.equal(first.status, 503);
    assert.equal(first.headers.get('retry-after'), '30');
    assert.equal((await dict.events()).status, 200);
    assert.equal((await dict.verify(ZERO)).status, 503);
    assert.equal((await dict.verify(ZERO)).status, 201);
  });

  it('let calls pass first, cost a token unless they are a 500, and can be cleared', async (t) => {
    const { dict, state } = await started(t);
    state.addFault({ operation: 'any', times: 2, skip: 1, error: 'InternalServerError' });
    assert.equal((await dict.verify(ZERO)).status, 201);
    assert.equal((await dict.verify(ZERO)).status, 500);
    state.clearFaults();
    assert.equal((await dict.verify(ZERO)).status, 201);
    const policy = await dict.get('policies/SYNC_VERIFICATIONS_WRITE');
    assert.equal(policy.text('Policy', 'AvailableTokens'), '48');
    assert.throws(() => state.addFault({ operation: 'any', times: 0 }), /times is 0/);
  });

  it('after the effect lose the answer, not the effect', async (t) => {
    const { dict, state, simulator } = await started(t);
    state.addFault({ operation: 'createCidSetFile', times: 1, when: 'after', breakConnection: true });
    await assert.rejects(dict.requestFile());
    assert.equal(state.counts()['createCidSetFile 0'], 1);
    const policy = await dict.get('policies/CIDS_FILES_WRITE');
    assert.equal(policy.text('Policy', 'AvailableTokens'), '199');
    assert.ok(simulator.apiUrl.endsWith('/api/v2/'));
  });

  it('delay on the simulator’s clock', async (t) => {
    const { dict, state, clock } = await started(t);
    state.addFault({ operation: 'listCidSetEvents', times: 1, delayMs: 30_000 });
    const before = clock.now().getTime();
    assert.equal((await dict.events()).status, 200);
    assert.equal(clock.now().getTime() - before, 30_000);
  });

  it('come from a behaviour of one’s own too, with any answer', async (t) => {
    const html = { status: 404, headers: { 'Content-Type': 'text/html' }, body: '<html><body>proxy</body></html>' };
    const behaviour = {
      before: ({ operation }: { operation: string }) => (operation === 'getEntryByCid' ? { answer: html } : null),
    };
    const { dict } = await started(t, { behaviour });
    const reply = await dict.get(`cids/entries/${ZERO}`);
    assert.equal(reply.root.name, 'html');
    assert.equal((await dict.events()).status, 200);
  });

  it('break a download off, or answer it with an error', async (t) => {
    const { dict, state, clock } = await started(t);
    state.seedEntries(phones(100));
    const id = (await dict.requestFile()).text('CidSetFile', 'Id');
    clock.move(5_000);
    const url = (await dict.get(`cids/files/${id}`)).text('CidSetFile', 'Url') ?? '';
    state.addFault({ operation: 'downloadCidSetFile', times: 1, when: 'after', breakConnection: true });
    await assert.rejects(async () => (await fetch(url)).text());
    state.addFault({ operation: 'downloadCidSetFile', times: 1, error: 'ServiceUnavailable' });
    assert.equal((await fetch(url)).status, 503);
    assert.equal((await fetch(url, { method: 'POST' })).status, 404);
    const plain = await fetch(url, { headers: { 'Accept-Encoding': 'identity' } });
    assert.equal(plain.headers.get('content-encoding'), null);
    const packed = await fetch(url, { headers: { 'Accept-Encoding': 'gzip' } });
    assert.equal(packed.headers.get('content-encoding'), 'gzip');
    assert.equal(await packed.text(), await plain.text());
  });
});

describe('what is no operation', () => {
  it('is answered as not found', async (t) => {
    const { dict } = await started(t);
    for (const path of ['nothing', 'sync-verifications', 'cids/files/', '../v1/policies/']) {
      assert.equal(errorOf(await dict.get(path)), 'NotFound');
    }
    assert.equal(errorOf(await dict.get('cids/files/one')), 'BadRequest');
    assert.equal(errorOf(await dict.get('cids/files/77')), 'NotFound');
  });

  it('is refused without the requesting participant', async (t) => {
    const { dict } = await started(t);
    const reply = await dict.get('policies/', { 'PI-RequestingParticipant': '123' });
    assert.equal(errorOf(reply), 'BadRequest');
    assert.equal(reply.text('violations', 'violation', 'property'), 'PI-RequestingParticipant');
  });
});

describe('options', () => {
  it('that make no sense are refused by name', async (t) => {
    await assert.rejects(started(t, { logLagMs: -1 }), /logLagMs: -1/);
    await assert.rejects(started(t, { file: { snapshotAt: 2 } }), /file\.snapshotAt: 2/);
  });

  it('frees its ports when one of them cannot be had', async (t) => {
    const { simulator } = await started(t);
    const port = Number(new URL(simulator.apiUrl).port);
    await assert.rejects(started(t, { port }), /EADDRINUSE/);
  });
});
