/** Answers that are spoilt on their way: their bytes, their signature, their content; as one who does not use the product's client sees it. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { dictKey, dictSide } from '../../test/support/signed-sides.ts';
import { only, PSP, phones, SCOPE, started } from '../../test/support/simulator-calls.ts';
import { certificateStore } from '../platform/certificate.ts';
import { childOf, childrenOf, parseXml } from '../platform/xml.ts';
import { SignatureRefused, verifiedXml } from '../platform/xml-signature-verification.ts';
import type { SignatureFault } from './answer-mark.ts';

const ZERO = '0'.repeat(64);

/** The bytes that arrive, and how the reading ends: well, by an error, or not within that time. */
async function arriving(url: URL | string, waitMs: number) {
  const ending = new AbortController();
  const response = await fetch(url, {
    headers: { 'PI-RequestingParticipant': PSP, 'Accept-Encoding': 'identity' },
    signal: ending.signal,
  });
  const length = Number(response.headers.get('content-length') ?? -1);
  let bytes = 0;
  const reading = (async (): Promise<'whole' | 'broken'> => {
    try {
      for await (const chunk of response.body ?? []) bytes += chunk.length;
      return 'whole';
    } catch {
      return 'broken';
    }
  })();
  const end = await Promise.race([reading, wait(waitMs, 'silent' as const)]);
  ending.abort();
  await reading;
  return { end, bytes, length };
}

describe('bytes on their way', () => {
  it('stop after so many, and nothing more comes', async (t) => {
    const { state, simulator } = await started(t);
    state.addFault({ operation: 'listPolicies', times: 1, transfer: { kind: 'stall', afterBytes: 100 } });
    const { end, bytes, length } = await arriving(new URL('policies/', simulator.apiUrl), 300);
    assert.deepEqual([end, bytes, length > 100], ['silent', 100, true]);
    assert.equal((await arriving(new URL('policies/', simulator.apiUrl), 5_000)).end, 'whole');
  });

  it('end in a reset in the middle', async (t) => {
    const { state, simulator } = await started(t);
    state.addFault({ operation: 'listPolicies', times: 1, transfer: { kind: 'reset' } });
    const { end, bytes, length } = await arriving(new URL('policies/', simulator.apiUrl), 5_000);
    assert.equal(end, 'broken');
    assert.ok(bytes <= length / 2);
  });

  it('come one by one', async (t) => {
    const { state, simulator } = await started(t);
    state.addFault({ operation: 'getPolicy', times: 1, transfer: { kind: 'dribble', afterBytes: 1, pauseMs: 2 } });
    const { end, bytes, length } = await arriving(new URL('policies/POLICIES_READ', simulator.apiUrl), 20_000);
    assert.deepEqual([end, bytes], ['whole', length]);
    state.addFault({ operation: 'getPolicy', times: 1, transfer: { kind: 'dribble', afterBytes: 10, pauseMs: 100 } });
    const slow = await arriving(new URL('policies/POLICIES_READ', simulator.apiUrl), 350);
    assert.equal(slow.end, 'silent');
    assert.ok(slow.bytes > 10 && slow.bytes < slow.length, `${slow.bytes}`);
  });

  it('are more or fewer than Content-Length says', async (t) => {
    const { state, simulator } = await started(t);
    const url = new URL('policies/', simulator.apiUrl);
    const { bytes } = await arriving(url, 5_000);
    state.addFault({ operation: 'listPolicies', times: 1, transfer: { kind: 'wrong-length', byBytes: 10 } });
    assert.deepEqual(await arriving(url, 5_000), { end: 'broken', bytes, length: bytes + 10 });
    state.addFault({ operation: 'listPolicies', times: 1, transfer: { kind: 'wrong-length', byBytes: -10 } });
    const short = await arriving(url, 5_000);
    assert.deepEqual([short.bytes, short.length], [bytes - 10, bytes - 10]);
  });

  it('of a file fail in the same ways', async (t) => {
    const { dict, state, clock } = await started(t);
    state.seedEntries(phones(100));
    const id = (await dict.requestFile()).text('CidSetFile', 'Id');
    clock.move(5_000);
    const url = (await dict.get(`cids/files/${id}`)).text('CidSetFile', 'Url') ?? '';
    const endings: unknown[] = [];
    for (const kind of ['stall', 'reset', 'wrong-length'] as const) {
      state.addFault({ operation: 'downloadCidSetFile', times: 1, transfer: { kind } });
      const { end, bytes } = await arriving(url, kind === 'stall' ? 300 : 5_000);
      endings.push([kind, end, kind === 'reset' ? bytes <= 1_024 : bytes]);
    }
    assert.deepEqual(endings, [
      ['stall', 'silent', 1_024],
      ['reset', 'broken', true],
      ['wrong-length', 'broken', 6_500],
    ]);
  });
});

describe('false signatures', () => {
  const trust = certificateStore([dictKey.certificate]);
  const refusals: readonly (readonly [SignatureFault, RegExp])[] = [
    ['unsigned', /not signed/],
    ['altered', /not what was signed/],
    ['unknown-certificate', /not in the trust store/],
    ['other-signer', /not that of the certificate it names/],
    ['other-body', /not what was signed/],
  ];
  for (const [signature, why] of refusals) {
    it(`${signature}: refused for that reason, on answers and on errors`, async (t) => {
      const { state, simulator, clock } = await started(t, { signatures: dictSide });
      const read = async (path: string) => {
        const response = await fetch(new URL(path, simulator.apiUrl), { headers: { 'PI-RequestingParticipant': PSP } });
        return parseXml(await response.text());
      };
      for (const path of ['policies/', `cids/entries/${ZERO}`, `cids/events?Participant=${PSP}&KeyType=PHONE`]) {
        state.addFault({ operation: 'any', times: 1, signature });
        const root = await read(path);
        assert.throws(
          () => verifiedXml(root, trust, clock.now()),
          (error) => error instanceof SignatureRefused && why.test(error.message),
        );
        assert.equal(verifiedXml(await read(path), trust, clock.now()).root.name, root.name);
      }
    });
  }
});

describe('content that is unusual or wrong', () => {
  it('has fields that no contract knows, in every section', async (t) => {
    const { dict, state } = await started(t);
    const { cid } = state.insert(only(phones(1)));
    state.addFault({ operation: 'getEntryByCid', times: 1, distortion: 'unknown-fields' });
    const { root } = await dict.get(`cids/entries/${cid}`);
    const entry = childOf(root, 'Entry');
    for (const section of [root, entry, entry && childOf(entry, 'Account')]) {
      assert.ok(section);
      assert.equal(section.attributes['versao'], '2.99');
      assert.equal(childrenOf(section, 'NovoCampo').length, 1);
      assert.equal(childOf(section, 'Extra')?.namespace, 'urn:example:dict:2030');
    }
  });

  it('has values that no enumeration has', async (t) => {
    const { dict, state, clock } = await started(t);
    const { cid } = state.insert(only(phones(1)), { log: true });
    clock.move(10_000);
    state.addFault({ operation: 'any', times: 4, distortion: 'unknown-values' });
    assert.equal((await dict.verify(ZERO)).text('SyncVerification', 'Result'), 'MAYBE');
    assert.equal((await dict.events()).text('CidSetEvents', 'CidSetEvent', 'Type'), 'TOUCHED');
    assert.equal((await dict.requestFile()).text('CidSetFile', 'Status'), 'ARCHIVED');
    assert.equal((await dict.get(`cids/entries/${cid}`)).text('Entry', 'Account', 'AccountType'), 'CRPT');
  });

  it('does not hash to the CID', async (t) => {
    const { dict, state } = await started(t);
    const { cid, entry } = state.insert(only(phones(1)));
    state.addFault({ operation: 'any', times: 2, distortion: 'wrong-attributes' });
    assert.equal((await dict.get(`cids/entries/${cid}`)).text('Entry', 'Owner', 'Name'), `${entry.owner.name} Outra`);
    assert.equal((await dict.get('policies/POLICIES_READ')).text('Policy', 'Name'), 'POLICIES_READ');
  });

  it('is a problem under a prefix of its own', async (t) => {
    const { dict, state } = await started(t);
    state.addFault({ operation: 'any', times: 1, error: 'Forbidden', distortion: 'prefixed-problem' });
    const { root } = await dict.events();
    assert.deepEqual([root.prefix, root.namespace, childOf(root, 'status')?.text], ['err', 'urn:ietf:rfc:7807', '403']);
  });

  it('comes with whatever Retry-After is asked for, or none', async (t) => {
    const { dict, state } = await started(t);
    for (const retryAfter of ['7', 'Fri, 06 Nov 2026 08:50:38 GMT', 'soon', null]) {
      state.addFault({ operation: 'any', times: 1, error: 'ServiceUnavailable', retryAfter });
      assert.equal((await dict.events()).headers.get('retry-after'), retryAfter);
    }
    state.addFault({ operation: 'any', times: 1, error: 'RateLimited', retryAfter: '5' });
    assert.equal((await dict.events()).headers.get('retry-after'), '5');
  });
});

describe('the event log', () => {
  it('lists a late event only after its time, between others', async (t) => {
    const { dict, state, clock } = await started(t);
    const [first, late, last] = phones(3);
    assert.ok(first && late && last);
    state.insert(first, { log: true });
    state.insert(late, { log: true, listedAfterMs: 60_000 });
    state.insert(last, { log: true });
    clock.move(10_000);
    const listed = async () => {
      const { root } = await dict.events();
      return childrenOf(childOf(root, 'CidSetEvents') ?? root, 'CidSetEvent').map((event) => childOf(event, 'Cid')?.text);
    };
    const cids = state.events(SCOPE).map(({ cid }) => cid);
    assert.deepEqual(await listed(), [cids[0], cids[2]]);
    clock.move(60_000);
    assert.deepEqual(await listed(), cids);
  });

  it('lists events twice', async (t) => {
    const { state } = await started(t);
    const [first, last] = phones(2);
    assert.ok(first && last);
    const { cid } = state.insert(first, { log: true });
    state.insert(last, { log: true });
    assert.equal(state.repeatEvents(SCOPE, [cid]), 1);
    assert.deepEqual(
      state.events(SCOPE).map((event) => event.cid === cid),
      [true, true, false],
    );
  });
});
