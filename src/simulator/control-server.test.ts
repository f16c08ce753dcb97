/** The control interface over HTTP: the same as in process, and closed to everybody else. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { errorOf, OTHER, only, PSP, phones, SCOPE, started } from '../../test/support/simulator-calls.ts';
import { FILE_VARIANTS } from './file-variant.ts';
import { READINGS } from './options.ts';

async function controlled(t: TestContext) {
  const all = await started(t, { controlPort: 0 });
  const url = all.simulator.controlUrl ?? '';
  async function call(method: string, path: string, body?: unknown): Promise<{ status: number; value: unknown }> {
    const response = await fetch(`${url}${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    return { status: response.status, value: await response.json() };
  }
  return { ...all, url, call };
}

describe('control interface', () => {
  it('is off unless it is given a port', async (t) => {
    const { simulator } = await started(t);
    assert.equal(simulator.controlUrl, null);
  });

  it('seeds samples and entries of one’s own, and shows what DICT holds', async (t) => {
    const { call, state, url } = await controlled(t);
    assert.deepEqual(await call('POST', '/seed-samples', { ...SCOPE, count: 3 }), { status: 200, value: { seeded: 3 } });
    const own = phones(2);
    assert.deepEqual(await call('POST', '/seed-entries', { entries: own }), { status: 200, value: { seeded: 2 } });
    const query = `?participant=${PSP}&keyType=PHONE`;
    assert.deepEqual((await call('GET', `/vsync${query}`)).value, state.vsync(SCOPE));
    const lines = (await (await fetch(`${url}/entries${query}`)).text()).trimEnd().split('\n');
    assert.deepEqual(
      lines.map((line): unknown => JSON.parse(line)),
      [...state.activeEntries(SCOPE)],
    );
    const key = encodeURIComponent(own[0]?.entry.key ?? '');
    assert.deepEqual((await call('GET', `/entry?key=${key}`)).value, { entry: state.entryByKey(own[0]?.entry.key ?? '') });
  });

  it('alters, removes and inserts, told by the log or not', async (t) => {
    const { call, state } = await controlled(t);
    const created = only(phones(1));
    const { key } = created.entry;
    const inserted = await call('POST', '/insert', { created });
    assert.deepEqual(inserted, { status: 200, value: state.entryByKey(key) });
    const at = '2026-01-10T10:00:01.000Z';
    await call('POST', '/alter', { key, alteration: { name: 'Outra Pessoa' }, log: true, at });
    assert.equal(state.entryByKey(key)?.entry.owner.name, 'Outra Pessoa');
    await call('POST', '/remove', { key });
    assert.equal(state.entryByKey(key), null);
    const { value } = await call('GET', `/events?participant=${PSP}&keyType=PHONE`);
    assert.deepEqual(value, { events: [...state.events(SCOPE)] });
    assert.equal(state.events(SCOPE).length, 2);
  });

  it('opens and cancels claims, blocks entries and sets claim dates', async (t) => {
    const { call, state } = await controlled(t);
    const created = only(phones(1));
    state.insert(created);
    const { key } = created.entry;
    const claimer = { ...created.entry, account: { ...created.entry.account, participant: OTHER } };
    const { value } = await call('POST', '/register-claim', { type: 'OWNERSHIP', claimer });
    assert.notEqual(state.entryByKey(key)?.entry.openClaimCreationDate, null);
    assert.equal((await call('POST', '/cancel-claim', value)).status, 200);
    assert.equal(state.entryByKey(key)?.entry.openClaimCreationDate, null);
    await call('POST', '/set-open-claim', { key, since: '2026-01-01T00:00:00.000Z' });
    assert.equal(state.entryByKey(key)?.entry.openClaimCreationDate, '2026-01-01T00:00:00.000Z');
    await call('POST', '/set-open-claim', { key, since: null });
    assert.equal((await call('POST', '/set-blocked', { key, blocked: true })).status, 200);
  });

  it('sets faults, tokens, files and what the log hides', async (t) => {
    const { call, dict, state, clock } = await controlled(t);
    await call('POST', '/add-fault', { operation: 'listCidSetEvents', times: 1, error: 'ServiceUnavailable' });
    assert.equal(errorOf(await dict.events()), 'ServiceUnavailable');
    await call('POST', '/add-fault', { operation: 'any', times: 9, breakConnection: true });
    await call('POST', '/clear-faults', {});
    await call('POST', '/set-tokens', { participant: PSP, policy: 'CIDS_EVENTS_LIST', tokens: 0 });
    assert.equal((await dict.events()).status, 429);
    await call('POST', '/plan-file', { variant: 'error' });
    const id = (await dict.requestFile()).text('CidSetFile', 'Id');
    clock.move(5_000);
    assert.equal((await dict.get(`cids/files/${id}`)).text('CidSetFile', 'Status'), 'ERROR');
    assert.equal((await call('POST', '/freeze-log', { ...SCOPE, frozen: true })).status, 200);
    assert.equal((await call('POST', '/freeze-verifiers', { ...SCOPE, frozen: true })).status, 200);
    const { cid } = state.insert(only(phones(1)), { log: true });
    assert.deepEqual((await call('POST', '/drop-events', { ...SCOPE, cids: [cid] })).value, { dropped: 1 });
    await call('POST', '/corrupt-vsync', { ...SCOPE, mask: 'ff'.repeat(32) });
    assert.notEqual(state.vsync(SCOPE).vsync, cid);
    const { value } = await call('GET', '/counts');
    assert.deepEqual(value, state.counts());
  });

  const wrong: readonly (readonly [string, string, unknown, number, RegExp])[] = [
    ['POST', '/no-such', {}, 404, /there is no POST \/no-such/],
    ['DELETE', '/entries', undefined, 404, /there is no DELETE \/entries/],
    ['POST', '/remove', { key: '+5511' }, 400, /has no active entry/],
    ['POST', '/remove', {}, 400, /key/],
    ['POST', '/plan-file', { variant: 'odd' }, 400, /variant/],
    ['POST', '/add-fault', { operation: 'any', times: 1, error: 'Odd' }, 400, /error/],
    ['POST', '/seed-samples', { participant: '1', keyType: 'PHONE', count: 1 }, 400, /an ISPB has eight digits/],
    ['POST', '/seed-samples', { ...SCOPE, count: 1, extra: true }, 400, /extra/],
    ['GET', '/vsync?participant=00038166', undefined, 400, /keyType/],
  ];
  for (const [method, path, body, status, message] of wrong) {
    it(`refuses ${method} ${path} ${JSON.stringify(body)}, saying why`, async (t) => {
      const { call } = await controlled(t);
      const reply = await call(method, path, body);
      assert.equal(reply.status, status);
      assert.match(JSON.stringify(reply.value), message);
    });
  }

  it('has every path, reading and form of a file in its document', async (t) => {
    const { call } = await controlled(t);
    const { value } = await call('GET', '/no-such');
    assert.ok(typeof value === 'object' && value !== null && 'paths' in value && Array.isArray(value.paths));
    const text = await readFile(new URL('../../docs/simulator.md', import.meta.url), 'utf8');
    const variants = FILE_VARIANTS.filter((variant) => variant !== 'proper');
    for (const name of [...value.paths, ...Object.keys(READINGS), ...Object.values(READINGS).flat(), ...variants]) {
      assert.ok(text.includes(`\`${name}\``), `docs/simulator.md does not name ${name}`);
    }
  });

  it('refuses a body that is no JSON', async (t) => {
    const { url } = await controlled(t);
    assert.equal((await fetch(`${url}/remove`, { method: 'POST', body: '{' })).status, 400);
  });

  it('refuses what a web page could send', async (t) => {
    const { url } = await controlled(t);
    const statusWith = (headers: Record<string, string>): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        request(`${url}/counts`, { headers }, (response) => {
          response.resume();
          resolve(response.statusCode);
        })
          .on('error', reject)
          .end();
      });
    assert.equal(await statusWith({}), 200);
    assert.equal(await statusWith({ Host: 'attacker.example' }), 403);
    assert.equal(await statusWith({ Origin: 'https://attacker.example' }), 403);
  });
});
