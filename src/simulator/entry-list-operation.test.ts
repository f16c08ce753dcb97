/** GetKeys of the simulator as it is on the wire: what it refuses, each with its Fault, and pages that shift. */

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { participant } from '../dict/participant.ts';
import { sampleEntries } from '../dict/sample-entries.ts';
import { startSimulator } from './simulator.ts';

const psp = participant('00038166');

async function started(t: TestContext, count = 6) {
  const simulator = await startSimulator();
  t.after(() => simulator.close());
  const samples = [...sampleEntries({ seed: 1, participant: psp, keyType: 'PHONE', count })];
  simulator.state.seedEntries(samples);
  const post = async (body: string, headers: Record<string, string> = {}): Promise<{ status: number; text: string }> => {
    const answer = await fetch(simulator.listingUrl, {
      method: 'POST',
      headers: { 'content-type': 'text/xml; charset=utf-8', soapaction: '"GetKeys"', ...headers },
      body,
    });
    return { status: answer.status, text: await answer.text() };
  };
  return { ...simulator, samples, post };
}

const request = (fields: Readonly<Record<string, string>>): string => {
  const all = { ISPB: psp, Status: 'ACTIVE', Page: '1', PageSize: '2', ...fields };
  const inside = Object.entries(all).map(([name, value]) => `<${name}>${value}</${name}>`);
  return `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header/><s:Body><GetKeysRequest>${inside.join('')}</GetKeysRequest></s:Body></s:Envelope>`;
};

const keysOf = (text: string): string[] => [...text.matchAll(/<Key>([^<]*)<\/Key>/g)].map((match) => match[1] ?? '');

describe('GetKeys', () => {
  it('cuts its pages from the living set: a delete passes an entry over, a change brings one again', async (t) => {
    const { state, samples, post } = await started(t);
    const keys = samples.map(({ entry }) => entry.key);
    assert.deepEqual(keysOf((await post(request({ Page: '1' }))).text), keys.slice(0, 2));
    state.remove(keys[0] ?? '');
    assert.deepEqual(keysOf((await post(request({ Page: '2' }))).text), keys.slice(3, 5));
    state.alter(keys[1] ?? '', { accountNumber: '1' });
    const last = await post(request({ Page: '3' }));
    assert.deepEqual(keysOf(last.text), [keys[1]]);
    assert.match(last.text, /<TotalCount>5<\/TotalCount><HasNextPage>false<\/HasNextPage>/);
  });

  it('answers a page behind the last one with none', async (t) => {
    const { post } = await started(t);
    const { status, text } = await post(request({ Page: '9' }));
    assert.deepEqual([status, keysOf(text)], [200, []]);
    assert.match(text, /<TotalCount>6<\/TotalCount><HasNextPage>false<\/HasNextPage>/);
  });

  it('costs no token: no limit of it is published', async (t) => {
    const { post, counts } = await started(t).then((world) => ({ ...world, counts: world.state.counts }));
    for (let call = 0; call < 60; call++) await post(request({}));
    assert.equal(counts()['getKeys 200'], 60);
  });

  const refused: readonly (readonly [string, string, Record<string, string>, RegExp])[] = [
    ['a page size over 1000', request({ PageSize: '1001' }), {}, /<property>pageSize<\/property>/],
    ['page 0', request({ Page: '0' }), {}, /<property>page<\/property>/],
    ['another status', request({ Status: 'DELETED' }), {}, /<property>status<\/property>/],
    ['no participant', request({ ISPB: '' }), {}, /<property>ispb<\/property>/],
    ['a time that is none', request({ UpdatedSince: 'ontem' }), {}, /<property>updatedSince<\/property>/],
    ['another SOAPAction', request({}), { soapaction: 'GetClaims' }, /SOAPAction is not GetKeys/],
    [
      'the content type of REST',
      request({}),
      { 'content-type': 'application/xml; charset=utf-8' },
      /Content-Type is not text\/xml/,
    ],
    ['no envelope', '<GetKeysRequest/>', {}, /not one document in an envelope/],
    ['what is no XML', 'GetKeys', {}, /not one document in an envelope/],
  ];
  for (const [what, body, headers, why] of refused) {
    it(`refuses ${what} with a Fault of the client`, async (t) => {
      const { post } = await started(t, 1);
      const { status, text } = await post(body, headers);
      assert.equal(status, 500);
      assert.match(text, /<soap:Fault><faultcode>soap:Client<\/faultcode>/);
      assert.match(text, /<detail><problem xmlns="urn:ietf:rfc:7807"><type>[^<]*BadRequest<\/type>/);
      assert.match(text, why);
    });
  }
});
