/** Errors under the whole product: signed falsely, unsigned where that is allowed and where not, and of names that nobody knows. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { SIGNATURE_FAULTS } from '../../src/simulator/answer-mark.ts';
import { faultWorld } from '../support/fault-world.ts';
import { participantSide } from '../support/signed-sides.ts';

const always = 1_000_000;

it('a NotFound that is not DICT’s own makes no orphan (R2)', { timeout: 600_000 }, async (t) => {
  const world = await faultWorld(t, { keys: 40 });
  for (const signature of SIGNATURE_FAULTS) {
    await t.test(`signature: ${signature}`, async () => {
      const ended = await world.endure({
        fault: () => world.state.addFault({ operation: 'getEntryByCid', times: always, error: 'NotFound', signature }),
        expected: { status: 'PARTIAL', says: /open: DICT answered AnswerSignatureInvalid \(404\)/, base: 'untouched' },
      });
      assert.doesNotMatch(ended.words, /NotFound/);
    });
  }
});

it('a NotFound of DICT’s own for every CID touches nothing but what differs', { timeout: 300_000 }, async (t) => {
  const world = await faultWorld(t, { keys: 40 });
  const ended = await world.endure({
    fault: () => world.state.addFault({ operation: 'getEntryByCid', times: always, error: 'NotFound' }),
    expected: null,
  });
  assert.notEqual(ended.status, 'COMPLETED', 'DICT goes on saying NOK');
});

it('an unsigned error', { timeout: 300_000 }, async (t) => {
  const unsigned = { operation: 'createSyncVerification', times: 1, error: 'ServiceUnavailable', signature: 'unsigned' } as const;

  await t.test('is refused where errors have to be signed', async (t) => {
    const world = await faultWorld(t);
    const ended = await world.endure({
      fault: () => world.state.addFault(unsigned),
      expected: { status: 'FAILED', says: /^unavailable: AnswerSignatureInvalid \(HTTP 503\) after 1 try/, base: 'untouched' },
    });
    assert.match(ended.words, /the document is not signed/);
  });

  await t.test('is taken for what it says where they need not be', async (t) => {
    const world = await faultWorld(t, { signatures: { ...participantSide, errors: 'if-present' } });
    const ended = await world.endure({
      fault: () => world.state.addFault(unsigned),
      expected: { status: 'COMPLETED', base: 'equal' },
    });
    assert.match(ended.outcome, /^completed/);
  });

  await t.test('signed by somebody else is refused even there', async (t) => {
    const world = await faultWorld(t, { signatures: { ...participantSide, errors: 'if-present' } });
    const ended = await world.endure({
      fault: () => world.state.addFault({ ...unsigned, signature: 'other-signer' }),
      expected: { status: 'FAILED', says: /^unavailable: AnswerSignatureInvalid \(HTTP 503\)/, base: 'untouched' },
    });
    assert.match(ended.words, /not that of the certificate it names/);
  });
});

it('an error of a name that nobody knows is judged by its status', { timeout: 300_000 }, async (t) => {
  const world = await faultWorld(t);
  const problem = (status: number, name: string) => ({
    status,
    headers: { 'Content-Type': 'application/problem+xml; charset=UTF-8' },
    body: `<q:problem xmlns:q="urn:ietf:rfc:7807" xmlns:z="urn:z"><q:type>https://dict.pi.rsfn.net.br/api/v3/error/${name}</q:type><z:since>2030</z:since><q:status>${status}</q:status><q:correlationId>c-9</q:correlationId></q:problem>`,
  });

  await t.test('429: asked again', async () => {
    const answer = problem(429, 'TooEager');
    const ended = await world.endure({
      fault: () => world.state.addFault({ operation: 'any', times: 2, answer }),
      expected: { status: 'COMPLETED', base: 'equal' },
    });
    assert.match(ended.outcome, /^completed/);
  });

  await t.test('400: left open under that name', async () => {
    const answer = problem(400, 'EntryFrozenSince2030');
    const ended = await world.endure({
      fault: () => world.state.addFault({ operation: 'getEntryByCid', times: always, answer }),
      expected: { status: 'PARTIAL', says: /open: DICT answered EntryFrozenSince2030 \(400\)/, base: 'untouched' },
    });
    assert.match(ended.outcome, /^partial/);
  });

  await t.test('403: said to a person, with the correlation id', async () => {
    const answer = problem(403, 'NotWelcome');
    const ended = await world.endure({
      fault: () => world.state.addFault({ operation: 'createSyncVerification', times: 1, answer }),
      expected: {
        status: 'FAILED',
        says: /^unavailable: NotWelcome \(HTTP 403\) after 1 try: .*\(correlation id c-9\)/,
        base: 'untouched',
      },
    });
    assert.match(ended.outcome, /^unavailable/);
  });
});
