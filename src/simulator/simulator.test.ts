/** The reconciliation operations of the simulated API over HTTP. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { createXml, errorOf, OTHER, only, phones, SCOPE, started } from '../../test/support/simulator-calls.ts';
import { childrenOf } from '../platform/xml.ts';

describe('sync verification', () => {
  it('says OK to the VSync of the active entries and NOK to any other', async (t) => {
    const { state, dict } = await started(t);
    state.seedEntries(phones(20));
    const { vsync } = state.vsync(SCOPE);
    const ok = await dict.verify(vsync.toUpperCase());
    assert.equal(ok.status, 201);
    assert.equal(ok.text('SyncVerification', 'Result'), 'OK');
    assert.equal((await dict.verify('0'.repeat(64))).text('SyncVerification', 'Result'), 'NOK');
    assert.equal((await dict.verify('0'.repeat(64), 'EMAIL')).text('SyncVerification', 'Result'), 'OK');
  });

  it('refuses a verifier that is no hex digest, naming it', async (t) => {
    const { dict } = await started(t);
    const reply = await dict.verify('abc');
    assert.equal(reply.status, 400);
    assert.equal(errorOf(reply), 'BadRequest');
    assert.equal(reply.text('violations', 'violation', 'property'), 'syncVerification.participantSyncVerifier');
    assert.equal(reply.headers.get('content-type'), 'application/problem+xml; charset=UTF-8');
  });
});

describe('event log', () => {
  it('lists an event only after the lag, with the VSyncs after the first and the last event', async (t) => {
    const { state, dict, clock } = await started(t);
    const [first, second] = phones(2);
    assert.ok(first !== undefined && second !== undefined);
    assert.equal((await dict.post('entries/', createXml(first))).status, 201);
    const afterFirst = state.vsync(SCOPE).vsync;
    clock.move(10);
    assert.equal((await dict.post('entries/', createXml(second))).status, 201);
    clock.move(4_990);
    const early = await dict.events();
    assert.equal(childrenOf(early.root.children.at(-1) ?? early.root, 'CidSetEvent').length, 1);
    clock.move(10);
    const page = await dict.events();
    assert.equal(page.text('SyncVerifierStart'), afterFirst);
    assert.equal(page.text('SyncVerifierEnd'), state.vsync(SCOPE).vsync);
    assert.equal(page.text('StartTime'), '2026-01-10T10:00:00.000Z');
    assert.equal(page.text('EndTime'), '2026-01-10T10:00:00.010Z');
    assert.equal(page.text('HasMoreElements'), 'false');
  });
});

describe('CID set file', () => {
  it('is generated after a while and shows the instant in between', async (t) => {
    const { state, dict, clock } = await started(t);
    state.seedEntries(phones(50));
    const requested = await dict.requestFile();
    assert.equal(requested.status, 201);
    const id = requested.text('CidSetFile', 'Id') ?? '';
    clock.move(2_000);
    const early = state.insert(only(phones(1, 50)));
    clock.move(1_000);
    const late = state.insert(only(phones(1, 51)));
    assert.equal((await dict.get(`cids/files/${id}`)).text('CidSetFile', 'Status'), 'PROCESSING');
    clock.move(2_000);
    const available = await dict.get(`cids/files/${id}`);
    assert.equal(available.text('CidSetFile', 'Status'), 'AVAILABLE');
    const content = await (await fetch(available.text('CidSetFile', 'Url') ?? '')).text();
    assert.equal(createHash('sha256').update(content).digest('hex'), available.text('CidSetFile', 'Sha256'));
    assert.equal(String(Buffer.byteLength(content)), available.text('CidSetFile', 'Bytes'));
    assert.match(content, /^([0-9a-f]{64}\n){51}$/);
    assert.ok(content.includes(early.cid));
    assert.ok(!content.includes(late.cid));
  });
});

describe('entry by CID', () => {
  it('answers for active entries only, and refuses those of others', async (t) => {
    const { state, dict } = await started(t);
    const created = only(phones(1));
    const { cid } = state.insert(created);
    const found = await dict.get(`cids/entries/${cid}`);
    assert.equal(found.status, 200);
    assert.equal(found.text('RequestId'), created.requestId);
    assert.equal(found.text('Entry', 'Owner', 'Name'), created.entry.owner.name);
    const foreign = await dict.get(`cids/entries/${cid}`, { 'PI-RequestingParticipant': OTHER });
    assert.equal(errorOf(foreign), 'Forbidden');
    state.remove(created.entry.key);
    const gone = await dict.get(`cids/entries/${cid}`);
    assert.equal(gone.status, 404);
    assert.equal(errorOf(gone), 'NotFound');
  });
});
