/** Faults by seed and by sentinel values: always the same ones, of every kind, and documented. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { dictKey, dictSide } from '../../test/support/signed-sides.ts';
import { createXml, errorOf, only, PSP, phones, started } from '../../test/support/simulator-calls.ts';
import { participant } from '../dict/participant.ts';
import { sampleEntries } from '../dict/sample-entries.ts';
import { certificateStore } from '../platform/certificate.ts';
import { childOf, parseXml } from '../platform/xml.ts';
import { verifiedXml } from '../platform/xml-signature-verification.ts';
import { DISTORTIONS, SIGNATURE_FAULTS, TRANSFER_FAULTS } from './answer-mark.ts';
import type { OperationCall } from './behaviour.ts';
import { FAULT_CATALOGUE } from './fault.ts';
import { type DrawnFault, type FaultPlan, parseFaultPlan, plannedFaults } from './fault-plan.ts';
import { FILE_VARIANTS, type FileVariant } from './file-variant.ts';
import { OPERATIONS, type Operation } from './operation.ts';
import { cidOf } from './oracle.ts';

const call = (operation: Operation): OperationCall => ({ operation, participant: PSP, path: '/', cid: null, key: null });

/** What a plan draws for that many calls of each operation, in that order of operations. */
async function draws(plan: FaultPlan, calls: number, operations: readonly Operation[] = OPERATIONS) {
  const files: FileVariant[] = [];
  const planned = plannedFaults((variant) => files.push(variant));
  planned.begin(plan);
  for (let index = 0; index < calls; index += 1) {
    for (const operation of operations) {
      const one = call(operation);
      await planned.before(one);
      await planned.after(one, { status: 200, headers: {}, body: '' });
    }
  }
  return { drawn: planned.drawn(), files };
}

const named = (drawn: readonly DrawnFault[]): string[] =>
  drawn.map(({ operation, call, fault }) => `${operation} ${call} ${fault}`);

describe('a plan of faults', () => {
  it('draws the same for the same seed, whatever the order of operations', async () => {
    const there = await draws({ seed: 7, rate: 0.2 }, 200);
    const back = await draws({ seed: 7, rate: 0.2 }, 200, OPERATIONS.toReversed());
    assert.deepEqual(named(there.drawn).toSorted(), named(back.drawn).toSorted());
    assert.notDeepEqual(named(there.drawn), named((await draws({ seed: 8, rate: 0.2 }, 200)).drawn));
  });

  it('meets about its share of calls', async () => {
    const { drawn } = await draws({ seed: 3, rate: 0.05 }, 1_000);
    const share = drawn.length / (1_000 * OPERATIONS.length);
    assert.ok(share > 0.04 && share < 0.06, `${share}`);
  });

  it('comes to every fault of the catalogue and every form of a file', async () => {
    const { drawn, files } = await draws({ seed: 1, rate: 1 }, 500, ['createCidSetFile', 'getEntryByCid', 'downloadCidSetFile']);
    const met = new Set(drawn.map(({ fault }) => fault));
    for (const { name } of FAULT_CATALOGUE) assert.ok(met.has(name), name);
    assert.deepEqual(new Set(files), new Set(FILE_VARIANTS));
  });

  it('lets a call have its effect first where the fault says so', async () => {
    const planned = plannedFaults(() => {});
    planned.begin({ seed: 2, rate: 1 });
    for (let index = 0; index < 200; index += 1) {
      const one = call('getPolicy');
      const before = await planned.before(one);
      const after = await planned.after(one, { status: 200, headers: {}, body: '' });
      const { fault } = planned.drawn().at(-1) ?? assert.fail('nothing drawn');
      const entry = FAULT_CATALOGUE.find(({ name }) => name === fault);
      assert.deepEqual([before, after], entry?.when === 'after' ? [null, entry.fault] : [entry?.fault, null]);
    }
  });

  it('is begun and ended over the control interface, and shows what it drew', async (t) => {
    const { state, simulator } = await started(t, { controlPort: 0 });
    const ask = () => fetch(new URL('policies/', simulator.apiUrl), { signal: AbortSignal.timeout(300) });
    const post = (path: string, body: unknown) =>
      fetch(`${simulator.controlUrl}${path}`, { method: 'POST', body: JSON.stringify(body) });
    assert.equal((await post('/plan-faults', { seed: 1, rate: 0 })).status, 400);
    assert.equal((await post('/plan-faults', { seed: 5, rate: 1 })).status, 200);
    for (let index = 0; index < 3; index += 1) await ask().catch(() => undefined);
    const shown = await (await fetch(`${simulator.controlUrl}/drawn-faults`)).json();
    assert.deepEqual(shown, { drawn: state.drawnFaults() });
    assert.equal(state.drawnFaults().length, 3);
    assert.equal((await post('/clear-faults', {})).status, 200);
    await ask();
    assert.equal(state.drawnFaults().length, 3);
    assert.throws(() => state.planFaults({ seed: -1 }), /the seed is -1/);
    assert.throws(() => state.planFaults({ seed: 1, rate: 2 }), /the rate is 2/);
  });

  it('is read from SEED or SEED:RATE', () => {
    assert.deepEqual(parseFaultPlan('7'), { seed: 7, rate: 0.05 });
    assert.deepEqual(parseFaultPlan('0:0.5'), { seed: 0, rate: 0.5 });
    for (const text of ['', '7:', 'x', '-1', '7:0', '7:1.1', '7:x', ' 7', '1e3']) assert.equal(parseFaultPlan(text), null, text);
  });
});

describe('sentinel values', () => {
  /** Answer of a policy read by that participant, or the kind of its breaking. */
  async function answered(url: string, ispb: string): Promise<string> {
    const patience = AbortSignal.timeout(400);
    try {
      const response = await fetch(new URL('policies/POLICIES_READ', url), {
        headers: { 'PI-RequestingParticipant': ispb },
        signal: patience,
      });
      const text = await response.text();
      return `${response.status} ${/error\/(\w+)</.exec(text)?.[1] ?? /^<html/.exec(text)?.[0] ?? 'answered'}`;
    } catch {
      return patience.aborted ? 'silent' : 'broken';
    }
  }

  const outcomes: Readonly<Record<string, string>> = {
    '001': '200 answered',
    '002': 'broken',
    '003': 'broken',
    '004': 'silent',
    '005': 'broken',
    '006': 'silent',
    '007': 'broken',
    '020': '200 answered',
    '400': '400 BadRequest',
    '403': '403 Forbidden',
    '404': '404 <html',
    '429': '429 RateLimited',
    '500': '500 InternalServerError',
    '502': '502 <html',
    '503': '503 ServiceUnavailable',
    '504': '503 ServiceUnavailable',
    '505': '503 ServiceUnavailable',
    '506': '500 InternalServerError',
    '999': '200 answered',
  };
  it('of a participant provoke the fault in each of its calls, and in nobody else’s', async (t) => {
    const { simulator, clock } = await started(t);
    for (const [code, outcome] of Object.entries(outcomes)) {
      const before = clock.now().getTime();
      assert.equal(await answered(simulator.apiUrl, `99997${code}`), outcome, code);
      assert.equal(clock.now().getTime() - before, code === '001' ? 5_000 : 0);
      assert.equal(await answered(simulator.apiUrl, PSP), '200 answered');
    }
  });

  it('of a CID provoke it when that CID is read, an entry that does not hash to it included', async (t) => {
    const { dict } = await started(t);
    const sentinel = (code: string): string => '0'.repeat(61) + code;
    assert.equal((await dict.get(`cids/entries/${sentinel('429')}`)).status, 429);
    assert.equal(errorOf(await dict.get(`cids/entries/${sentinel('403')}`)), 'Forbidden');
    assert.equal(errorOf(await dict.get(`cids/entries/${sentinel('999')}`)), 'NotFound');
    const wrong = await dict.get(`cids/entries/${sentinel('022')}`);
    assert.deepEqual([wrong.status, wrong.text('Cid')], [200, sentinel('022')]);
    assert.equal(wrong.text('Entry', 'Account', 'Participant'), PSP);
    assert.match(wrong.text('RequestId') ?? '', /^[0-9a-f-]{36}$/);
  });

  it('of a key provoke it in every call about that key', async (t) => {
    const { dict } = await started(t);
    const [sample] = sampleEntries({ seed: 1, participant: participant(PSP), keyType: 'EMAIL', count: 1 });
    assert.ok(sample);
    for (const key of ['fault-503@example.com', '00000000-0000-4000-8000-000000000503']) {
      const reply = await dict.post('entries/', createXml({ ...sample, entry: { ...sample.entry, key } }));
      assert.equal(reply.status, 503);
      assert.equal((await dict.get(`entries/${encodeURIComponent(key)}`)).status, 503);
    }
    assert.equal((await dict.post('entries/', createXml(only(phones(1))))).status, 201);
  });

  it('of a participant’s files make them come out in that form', async (t) => {
    const { simulator, state, clock } = await started(t);
    const forms: Record<string, string> = {
      '001': 'AVAILABLE 0',
      '014': 'UNAVAILABLE',
      '015': 'ERROR',
      '016': 'PROCESSING',
      '000': 'AVAILABLE 130',
    };
    for (const [number, form] of Object.entries(forms)) {
      const ispb = `99998${number}`;
      state.seedEntries(sampleEntries({ seed: number, participant: participant(ispb), keyType: 'PHONE', count: 2 }));
      const headers = { 'PI-RequestingParticipant': ispb, 'Content-Type': 'application/xml; charset=UTF-8' };
      const asked = await fetch(new URL('cids/files/', simulator.apiUrl), {
        method: 'POST',
        headers,
        body: `<CreateCidSetFileRequest><Participant>${ispb}</Participant><KeyType>PHONE</KeyType></CreateCidSetFileRequest>`,
      });
      const id = /<Id>(\d+)</.exec(await asked.text())?.[1];
      clock.move(60_000);
      const text = await (await fetch(new URL(`cids/files/${id}`, simulator.apiUrl), { headers })).text();
      const bytes = /<Bytes>(\d+)</.exec(text)?.[1];
      assert.equal(`${/<Status>(\w+)</.exec(text)?.[1]}${bytes === undefined ? '' : ` ${bytes}`}`, form);
    }
  });

  it('are signed as any other answer where they are DICT’s word', async (t) => {
    const { simulator, clock } = await started(t, { signatures: dictSide });
    const response = await fetch(new URL('policies/', simulator.apiUrl), { headers: { 'PI-RequestingParticipant': '99997403' } });
    const { root } = verifiedXml(parseXml(await response.text()), certificateStore([dictKey.certificate]), clock.now());
    assert.match(childOf(root, 'type')?.text ?? '', /Forbidden$/);
  });

  it('are no values that anything else could have', () => {
    for (const keyType of ['EVP', 'EMAIL', 'PHONE'] as const) {
      for (const { entry, requestId } of sampleEntries({ seed: 1, participant: participant(PSP), keyType, count: 200 })) {
        assert.doesNotMatch(entry.key, /^(00000000-|fault-)/);
        const { account, owner } = entry;
        const flat = { ...account, ...owner, key: entry.key, keyType: entry.keyType, ownerType: owner.type };
        assert.doesNotMatch(cidOf(flat, requestId), /^0{61}/);
      }
    }
  });
});

describe('docs/simulator.md', () => {
  it('has every fault with its code, every field and every kind', async () => {
    const text = await readFile(new URL('../../docs/simulator.md', import.meta.url), 'utf8');
    for (const { code, name } of FAULT_CATALOGUE) assert.match(text, new RegExp(`\\| ${code} \\| \`${name}\``), name);
    for (const kind of [...SIGNATURE_FAULTS, ...DISTORTIONS]) assert.ok(text.includes(`\`${kind}\``), kind);
    for (const kind of TRANSFER_FAULTS) assert.ok(text.includes(`"${kind}"`), kind);
    const codes = FAULT_CATALOGUE.map(({ code }) => code);
    assert.equal(new Set(codes).size, codes.length);
  });
});
