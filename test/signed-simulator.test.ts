/** A simulator with certificates: whom it listens to, and that what it says is signed, errors included. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DictError } from '../src/dict/errors.ts';
import { xmlSigner } from '../src/platform/xml-signature.ts';
import { startSimulator } from '../src/simulator/simulator.ts';
import { cid, ispb, setUp, vsync } from './support/scripted-client.ts';
import { dictSide, participantSide } from './support/signed-sides.ts';
import { signingKey } from './support/signing-keys.ts';

const question = { participant: ispb, keyType: 'CPF', participantSyncVerifier: vsync } as const;
const stranger = signingKey({ serial: 12n });

describe('a simulator with certificates', () => {
  it('refuses bodies that are unsigned or signed by a stranger, in a signed error', async (t) => {
    const simulator = await startSimulator({ signatures: dictSide });
    t.after(() => simulator.close());
    for (const sign of [null, xmlSigner(stranger.privateKey, stranger.certificate)]) {
      const { client } = await setUp(t, { apiUrl: simulator.apiUrl, signatures: { ...participantSide, sign } });
      await assert.rejects(
        client.createSyncVerification(question),
        (error) => error instanceof DictError && error.kind === 'RequestSignatureInvalid' && error.status === 400,
      );
    }
    const { client } = await setUp(t, { apiUrl: simulator.apiUrl, signatures: participantSide });
    assert.equal((await client.createSyncVerification(question)).result, 'NOK');
    assert.equal((await client.getEntryByCid({ participant: ispb, cid })).found, false);
  });

  it('signs what a fault makes it answer', async (t) => {
    const simulator = await startSimulator({ signatures: dictSide });
    t.after(() => simulator.close());
    simulator.state.addFault({ operation: 'getEntryByCid', times: 9, error: 'ServiceUnavailable' });
    const { client } = await setUp(t, { apiUrl: simulator.apiUrl, signatures: participantSide, retry: { triesMax: 1 } });
    await assert.rejects(
      client.getEntryByCid({ participant: ispb, cid }),
      (error) => error instanceof DictError && error.kind === 'ServiceUnavailable' && error.retryAfterSec === 30,
    );
  });
});
