/** Answers that have to be signed: what DICT signed is read, and everything else is refused with a named error. */

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { cid, ispb, setUp, stamp, vsync } from '../../test/support/scripted-client.ts';
import { answer, type Script } from '../../test/support/scripted-dict.ts';
import { dictKey, dictSide, participantSide } from '../../test/support/signed-sides.ts';
import { LARGE_SERIAL, signingKey } from '../../test/support/signing-keys.ts';
import { DictError } from '../dict/errors.ts';
import { parseXml } from '../platform/xml.ts';
import { xmlSigner } from '../platform/xml-signature.ts';
import { verifiedXml } from '../platform/xml-signature-verification.ts';
import type { Signatures } from './answer-signature.ts';

const question = { participant: ispb, keyType: 'CPF', participantSyncVerifier: vsync } as const;
const document = `<CreateSyncVerificationResponse>${stamp}<SyncVerification><Id>1</Id><Participant>${ispb}</Participant><KeyType>CPF</KeyType><ParticipantSyncVerifier>${vsync}</ParticipantSyncVerifier><Result>NOK</Result></SyncVerification></CreateSyncVerificationResponse>`;
const signed = dictSide.sign(document);
const stranger = signingKey({ serial: LARGE_SERIAL + 11n });
const thief = xmlSigner(stranger.privateKey, stranger.certificate);

const notFound =
  '<problem xmlns="urn:ietf:rfc:7807"><type>https://dict.pi.rsfn.net.br/api/v2/error/NotFound</type><title>x</title><status>404</status></problem>';
const problemXml = (body: string): Script => answer(404, body, { 'content-type': 'application/problem+xml' });

async function asked(t: TestContext, script: Script, demand: Partial<Signatures> = {}) {
  const { dict, client } = await setUp(t, { signatures: { ...participantSide, ...demand } });
  dict.play(script);
  return { dict, client };
}

const untrusted = (error: unknown): boolean => {
  assert.ok(error instanceof DictError, String(error));
  assert.equal(error.kind, 'AnswerSignatureInvalid');
  assert.equal(error.remedy, 'person');
  return true;
};

describe('an answer that has to be signed', () => {
  it('is read when DICT signed it, and the question went out signed', async (t) => {
    const { dict, client } = await asked(t, answer(201, signed));
    assert.equal((await client.createSyncVerification(question)).result, 'NOK');
    const sent = parseXml(dict.received[0]?.body ?? '');
    assert.equal(verifiedXml(sent, dictSide.trust, new Date()).root.name, 'CreateSyncVerificationRequest');
  });

  const refused: readonly [string, string][] = [
    ['is not signed', document],
    ['holds an empty placeholder', document.replace(stamp, `<Signature></Signature>${stamp}`)],
    ['was signed by somebody else', thief(document)],
    ['was changed', signed.replace('>NOK<', '>OK<')],
    [
      'has something added',
      signed.replace('</CreateSyncVerificationResponse>', '<Result>OK</Result></CreateSyncVerificationResponse>'),
    ],
    [
      'carries a signature over another document',
      document.replace(stamp, (/<ds:Signature .*<\/ds:Signature>/.exec(signed)?.[0] ?? '') + stamp.replace('2020', '2021')),
    ],
  ];
  for (const [what, body] of refused) {
    it(`is refused when it ${what}`, async (t) => {
      const { dict, client } = await asked(t, answer(201, body));
      await assert.rejects(client.createSyncVerification(question), untrusted);
      assert.equal(dict.received.length, 1, 'it is not asked for again');
    });
  }

  it('may come unsigned where the configuration says so, but never badly signed', async (t) => {
    const unsigned = await asked(t, answer(201, document), { answers: 'if-present' });
    assert.equal((await unsigned.client.createSyncVerification(question)).result, 'NOK');
    const changed = await asked(t, answer(201, signed.replace('>NOK<', '>OK<')), { answers: 'if-present' });
    await assert.rejects(changed.client.createSyncVerification(question), untrusted);
  });

  it('proves that no entry has a CID only when the error itself is signed', async (t) => {
    const genuine = await asked(t, problemXml(dictSide.sign(notFound)));
    assert.equal((await genuine.client.getEntryByCid({ participant: ispb, cid })).found, false);
    for (const forgery of [
      notFound,
      thief(notFound),
      dictSide.sign(notFound.replace('NotFound', 'Forbidden')).replace('Forbidden', 'NotFound'),
    ]) {
      const { client } = await asked(t, problemXml(forgery));
      await assert.rejects(client.getEntryByCid({ participant: ispb, cid }), untrusted);
    }
    const lenient = await asked(t, problemXml(notFound), { errors: 'if-present' });
    assert.equal((await lenient.client.getEntryByCid({ participant: ispb, cid })).found, false);
  });

  it('leaves what came from something in between as it is: a gateway signs nothing', async (t) => {
    const { client } = await asked(t, answer(502, '<html/>', { 'content-type': 'text/html' }));
    await assert.rejects(
      client.createSyncVerification(question),
      (error) => error instanceof DictError && error.kind === 'ServiceUnavailable',
    );
  });

  it('is not read once its certificate has expired', async (t) => {
    const old = new Date(Date.parse('2050-01-02T00:00:00Z'));
    const clock = { now: () => old, sleep: async () => {} };
    const { dict, client } = await setUp(t, { signatures: participantSide, clock });
    dict.play(answer(201, signed));
    await assert.rejects(client.createSyncVerification(question), untrusted);
    assert.ok(dictKey.certificate.validToDate < old);
  });
});
