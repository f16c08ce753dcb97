/** Entries, claims and tampering of the simulated API over HTTP, and what they leave in VSync and log. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  createXml,
  deleteXml,
  errorOf,
  handClock,
  OTHER,
  only,
  PSP,
  phones,
  SCOPE,
  started,
  updateXml,
} from '../../test/support/simulator-calls.ts';
import { sampleEntries } from '../dict/sample-entries.ts';
import { xorHex } from './oracle.ts';

const pathOf = (key: string): string => `entries/${encodeURIComponent(key)}`;

describe('creating an entry', () => {
  it('adds its CID to set and log, and repeats its answer for the same request', async (t) => {
    const { state, dict } = await started(t);
    const created = only(phones(1));
    const first = await dict.post('entries/', createXml(created));
    assert.equal(first.status, 201);
    assert.equal(first.text('Entry', 'Key'), created.entry.key);
    assert.equal(first.text('Entry', 'CreationDate'), '2026-01-10T10:00:00.000Z');
    const again = await dict.post('entries/', createXml(created));
    assert.equal(again.status, 201);
    assert.equal(state.vsync(SCOPE).keys, 1);
    assert.deepEqual(
      state.events(SCOPE).map(({ type }) => type),
      ['ADDED'],
    );
  });

  it('generates the key of an EVP, and the same one when the request is repeated', async (t) => {
    const { dict } = await started(t);
    const created = only([...sampleEntries({ seed: 1, participant: PSP, keyType: 'EVP', count: 1 })]);
    assert.equal(errorOf(await dict.post('entries/', createXml(created))), 'EntryInvalid');
    const first = await dict.post('entries/', createXml(created, false));
    assert.match(first.text('Entry', 'Key') ?? '', /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const again = await dict.post('entries/', createXml(created, false));
    assert.equal(again.text('Entry', 'Key'), first.text('Entry', 'Key'));
  });

  it('refuses what DICT refuses, by its names', async (t) => {
    const { state, dict } = await started(t);
    const [taken, fresh] = phones(2);
    assert.ok(taken !== undefined && fresh !== undefined);
    state.seedEntries([taken]);
    const post = async (created: typeof taken): Promise<string | undefined> =>
      errorOf(await dict.post('entries/', createXml(created)));
    const moved = { ...taken.entry, account: { ...taken.entry.account, participant: OTHER } };
    assert.equal(await post({ ...fresh, entry: taken.entry }), 'EntryAlreadyExists');
    assert.equal(await post({ ...fresh, entry: moved }), 'EntryKeyInCustodyOfDifferentParticipant');
    assert.equal(await post({ ...fresh, entry: { ...fresh.entry, key: taken.entry.key } }), 'EntryKeyOwnedByDifferentPerson');
    assert.equal(await post({ ...taken, entry: fresh.entry }), 'RequestIdAlreadyUsed');
    const cpf = only([...sampleEntries({ seed: 1, participant: PSP, keyType: 'CPF', count: 1 })]);
    assert.equal(await post({ ...cpf, entry: { ...cpf.entry, key: '00000000000' } }), 'EntryTaxIdNumberByDifferentOwner');
  });

  it('names every wrong field at once', async (t) => {
    const { dict } = await started(t);
    const { entry, requestId } = only(phones(1));
    const wrong = { ...entry, key: '61988887777', account: { ...entry.account, branch: '00001' } };
    const reply = await dict.post('entries/', createXml({ entry: wrong, requestId }));
    assert.equal(errorOf(reply), 'EntryInvalid');
    const violations = reply.root.children.find(({ name }) => name === 'violations')?.children ?? [];
    const properties = violations.map(({ children }) => children.find(({ name }) => name === 'property')?.text);
    assert.deepEqual(properties, ['entry.key', 'entry.account.branch']);
  });

  it('reads only XML in UTF-8, uncompressed and declared as such', async (t) => {
    const { dict } = await started(t);
    const xml = createXml(only(phones(1)));
    const refused = [
      await dict.post('entries/', xml, { 'Content-Type': 'application/json' }),
      await dict.post('entries/', xml, { 'Content-Type': 'application/xml; charset=ISO-8859-1' }),
      await dict.post('entries/', xml, { 'Content-Encoding': 'gzip' }),
      await dict.post('entries/', '<CreateEntryRequest>'),
      await dict.post('entries/', '<Other/>'),
    ];
    assert.deepEqual(
      refused.map(errorOf),
      Array.from({ length: 5 }, () => 'BadRequest'),
    );
  });
});

describe('updating an entry', () => {
  it('keeps the RequestId, and logs REMOVED and ADDED', async (t) => {
    const { state, dict } = await started(t);
    const created = only(phones(1));
    const before = state.insert(created);
    const entry = { ...created.entry, account: { ...created.entry.account, accountNumber: '0000000042' } };
    const reply = await dict.put(pathOf(entry.key), updateXml({ ...created, entry }));
    assert.equal(reply.status, 200);
    const after = state.entryByKey(entry.key);
    assert.equal(after?.requestId, created.requestId);
    assert.notEqual(after.cid, before.cid);
    assert.deepEqual(
      state.events(SCOPE).map(({ type, cid }) => [type, cid]),
      [
        ['REMOVED', before.cid],
        ['ADDED', after.cid],
      ],
    );
    assert.equal(state.vsync(SCOPE).vsync, after.cid);
  });

  it('that changes nothing logs one CID twice, or nothing where it is read so', async (t) => {
    const created = only(phones(1));
    for (const [unchangedUpdate, events] of [
      ['events', 2],
      ['silent', 0],
    ] as const) {
      const { state, dict } = await started(t, { readings: { unchangedUpdate } });
      const { cid } = state.insert(created);
      assert.equal((await dict.put(pathOf(created.entry.key), updateXml(created))).status, 200);
      assert.equal(state.events(SCOPE).length, events);
      assert.equal(state.vsync(SCOPE).vsync, cid);
    }
  });

  it('refuses another owner, another participant, an unknown key and reasons that do not fit', async (t) => {
    const { state, dict } = await started(t);
    const created = only(phones(1));
    const { entry } = created;
    const evp = only([...sampleEntries({ seed: 1, participant: PSP, keyType: 'EVP', count: 1 })]);
    state.seedEntries([created, evp]);
    const put = async (changed: typeof entry, reason?: string): Promise<string | undefined> =>
      errorOf(await dict.put(pathOf(changed.key), updateXml({ ...created, entry: changed }, reason)));
    const twin = only(phones(1, 1)).entry;
    assert.equal(await put({ ...entry, owner: { ...entry.owner, taxIdNumber: twin.owner.taxIdNumber } }), 'EntryInvalid');
    assert.equal(await put({ ...entry, account: { ...entry.account, participant: OTHER } }), 'Forbidden');
    assert.equal(await put(twin), 'NotFound');
    assert.equal(await put(entry, 'ACCOUNT_CLOSURE'), 'InvalidReason');
    assert.equal(await put(evp.entry, 'RECONCILIATION'), 'InvalidReason');
    assert.equal(await put(evp.entry, 'RFB_VALIDATION'), undefined);
    state.setBlocked(entry.key, true);
    assert.equal(await put(entry), 'EntryBlocked');
  });
});

describe('updating only the owner of an entry', () => {
  it('keeps the account, and costs a token of the participant that has the entry', async (t) => {
    const { state, dict } = await started(t);
    const created = only(phones(1));
    const { entry } = state.insert(created);
    const xml = updateXml(created).replace(/<Account>.*<\/Account>/, '');
    const named = await dict.put(pathOf(entry.key), xml.replace(/<Name>[^<]*</, '<Name>Outro Nome<'));
    assert.equal(named.text('Entry', 'Owner', 'Name'), 'Outro Nome');
    assert.equal(named.text('Entry', 'Account', 'AccountNumber'), entry.account.accountNumber);
    assert.equal((await dict.get('policies/ENTRIES_UPDATE')).text('Policy', 'AvailableTokens'), '599');
  });
});

describe('deleting and reading an entry', () => {
  it('takes its CID out of set and log', async (t) => {
    const { state, dict } = await started(t);
    const { entry } = state.insert(only(phones(1)));
    assert.equal(errorOf(await dict.post(`${pathOf(entry.key)}/delete`, deleteXml(entry.key, OTHER))), 'Forbidden');
    assert.equal(errorOf(await dict.post(`${pathOf('+5511')}/delete`, deleteXml(entry.key))), 'BadRequest');
    const reply = await dict.post(`${pathOf(entry.key)}/delete`, deleteXml(entry.key));
    assert.equal(reply.text('Key'), entry.key);
    assert.deepEqual(state.vsync(SCOPE), { vsync: '0'.repeat(64), keys: 0 });
    assert.deepEqual(
      state.events(SCOPE).map(({ type }) => type),
      ['REMOVED'],
    );
    assert.equal(errorOf(await dict.post(`${pathOf(entry.key)}/delete`, deleteXml(entry.key))), 'NotFound');
  });

  it('reads by key for a payer, and not when it is blocked', async (t) => {
    const { state, dict } = await started(t);
    const { entry } = state.insert(only(phones(1)));
    const payer = { 'PI-PayerId': '11122233300', 'PI-EndToEndId': 'E0003816620260110' };
    assert.equal(errorOf(await dict.get(pathOf(entry.key))), 'BadRequest');
    assert.equal((await dict.get(pathOf(entry.key), payer)).text('Entry', 'Owner', 'Name'), entry.owner.name);
    state.setBlocked(entry.key, true);
    assert.equal(errorOf(await dict.get(pathOf(entry.key), payer)), 'EntryBlocked');
  });
});

describe('a claim', () => {
  const confirmXml = (id: string, ispb: string): string =>
    `<ConfirmClaimRequest><ClaimId>${id}</ClaimId><Participant>${ispb}</Participant><Reason>USER_REQUESTED</Reason></ConfirmClaimRequest>`;
  const completeXml = (id: string, ispb: string, requestId: string): string =>
    `<CompleteClaimRequest><ClaimId>${id}</ClaimId><Participant>${ispb}</Participant><RequestId>${requestId}</RequestId></CompleteClaimRequest>`;

  it('takes the key from the donor when confirmed and gives it to the claimer when completed', async (t) => {
    const { state, dict } = await started(t);
    const created = only(phones(1));
    const { entry, cid } = state.insert(created);
    const claimer = { ...created.entry, account: { ...created.entry.account, participant: OTHER } };
    const id = state.registerClaim({ type: 'PORTABILITY', claimer });
    assert.equal((await dict.get(`cids/entries/${cid}`)).text('Entry', 'OpenClaimCreationDate'), '2026-01-10T10:00:00.000Z');
    assert.equal(errorOf(await dict.post(`${pathOf(entry.key)}/delete`, deleteXml(entry.key))), 'EntryLockedByClaim');

    const requestId = only(phones(1, 1)).requestId;
    const early = await dict.post(`claims/${id}/complete`, completeXml(id, OTHER, requestId));
    assert.equal(errorOf(early), 'ClaimOperationInvalid');
    const confirmed = await dict.post(`claims/${id}/confirm`, confirmXml(id, PSP));
    assert.equal(confirmed.text('Claim', 'Status'), 'CONFIRMED');
    assert.equal((await dict.post(`claims/${id}/confirm`, confirmXml(id, PSP))).status, 200);
    assert.deepEqual(
      state.events(SCOPE).map(({ type }) => type),
      ['REMOVED'],
    );

    const completed = await dict.post(`claims/${id}/complete`, completeXml(id, OTHER, requestId));
    assert.equal(completed.text('Claim', 'Status'), 'COMPLETED');
    assert.equal((await dict.post(`claims/${id}/complete`, completeXml(id, OTHER, requestId))).status, 200);
    const gained = state.entryByKey(entry.key);
    assert.equal(gained?.requestId, requestId);
    assert.equal(gained.entry.account.participant, OTHER);
    assert.deepEqual(state.vsync({ participant: OTHER, keyType: 'PHONE' }), { vsync: gained.cid, keys: 1 });
  });

  it('can be confirmed by the donor only, and not once it is cancelled', async (t) => {
    const { state, dict } = await started(t);
    const created = only(phones(1));
    state.insert(created);
    const claimer = { ...created.entry, account: { ...created.entry.account, participant: OTHER } };
    const id = state.registerClaim({ type: 'OWNERSHIP', claimer });
    assert.equal(errorOf(await dict.post(`claims/${id}/confirm`, confirmXml(id, OTHER))), 'Forbidden');
    state.cancelClaim(id);
    assert.equal(state.entryByKey(created.entry.key)?.entry.openClaimCreationDate, null);
    assert.equal(errorOf(await dict.post(`claims/${id}/confirm`, confirmXml(id, PSP))), 'ClaimOperationInvalid');
    const unknown = only(phones(1)).requestId;
    assert.equal(errorOf(await dict.post(`claims/${unknown}/confirm`, confirmXml(unknown, PSP))), 'NotFound');
  });
});

describe('tampering', () => {
  it('without a log event shows only in the VSync of the next event', async (t) => {
    const { state } = await started(t);
    const [hidden, next] = phones(2);
    assert.ok(hidden !== undefined && next !== undefined);
    const { cid } = state.insert(hidden);
    assert.equal(state.events(SCOPE).length, 0);
    const event = state.insert(next, { log: true });
    assert.equal(state.events(SCOPE)[0]?.vsync, xorHex(cid, event.cid));
  });

  it('alters attributes under the same RequestId, with or without an event', async (t) => {
    const { state } = await started(t);
    const before = state.insert(only(phones(1)));
    const hidden = state.alter(before.entry.key, { name: 'Outra Pessoa' });
    assert.equal(hidden.requestId, before.requestId);
    assert.notEqual(hidden.cid, before.cid);
    assert.equal(state.events(SCOPE).length, 0);
    const told = state.alter(before.entry.key, { accountNumber: '1' }, { log: true });
    assert.deepEqual(
      state.events(SCOPE).map(({ type, cid }) => [type, cid]),
      [
        ['REMOVED', hidden.cid],
        ['ADDED', told.cid],
      ],
    );
  });

  it('puts many changes into one millisecond, and never before the last event', async (t) => {
    const { state, dict, clock } = await started(t);
    const at = clock.now();
    clock.move(60_000);
    for (const created of phones(250)) state.insert(created, { log: true, at });
    clock.move(5_000);
    const page = await dict.events(`&StartTime=${at.toISOString()}&Limit=200`);
    assert.equal(page.text('HasMoreElements'), 'true');
    assert.equal(page.text('StartTime'), page.text('EndTime'));
    state.insert(only(phones(1, 250)), { log: true, at: new Date(0) });
    assert.equal(state.events(SCOPE).at(-1)?.atMs, at.getTime());
  });

  it('freezes the verifiers of the log, or makes DICT wrong about itself', async (t) => {
    const { state, dict } = await started(t);
    const [first, second] = phones(2);
    assert.ok(first !== undefined && second !== undefined);
    const { cid } = state.insert(first);
    state.freezeVerifiers(SCOPE, true);
    state.insert(second, { log: true });
    assert.equal(state.events(SCOPE)[0]?.vsync, cid);
    state.corruptVSync(SCOPE, 'ff'.repeat(32));
    const right = xorHex(state.vsync(SCOPE).vsync, 'ff'.repeat(32));
    assert.equal((await dict.verify(right)).text('SyncVerification', 'Result'), 'NOK');
    state.corruptVSync(SCOPE, null);
    assert.equal((await dict.verify(right)).text('SyncVerification', 'Result'), 'OK');
  });

  it('refuses keys it does not know or knows already, by name', async (t) => {
    const { state } = await started(t, { clock: handClock() });
    const created = only(phones(1));
    assert.throws(() => state.remove('+5511'), /key: "\+5511" has no active entry/);
    state.seedEntries([created]);
    assert.throws(() => state.insert(created), /is registered already/);
    assert.throws(() => state.corruptVSync(SCOPE, 'xyz'), /mask: "xyz"/);
  });
});
