/** Verification and reconciliation where everything is signed, both ways, and where DICT's signature cannot be trusted. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { certificateStore } from '../src/platform/certificate.ts';
import { reconcileWorld } from './support/reconcile-world.ts';
import { dictSide, participantSide } from './support/signed-sides.ts';
import { signingKey } from './support/signing-keys.ts';

describe('with signatures on both sides', () => {
  it('verifies, reconciles by log and by file, and ends equal', async (t) => {
    const world = await reconcileWorld(t, { simulator: { signatures: dictSide }, signatures: participantSide });
    const [changed, gone, hidden] = world.first;
    const [missing] = world.take(1);
    assert.ok(changed && gone && hidden && missing);
    world.state.alter(changed.entry.key, { name: 'João & Maria <Conceição> \u2028' }, { log: true });
    world.state.remove(gone.entry.key, { log: true });
    world.state.insert(missing, { log: true });
    world.pass(600_000);
    assert.deepEqual((await world.reconcile()).outcome, { kind: 'ended', state: 'completed', reason: null });
    world.state.alter(hidden.entry.key, { accountNumber: '0099887766' });
    world.state.alter(missing.entry.key, { accountNumber: '0099887767' });
    world.pass(600_000);
    assert.deepEqual((await world.reconcile()).outcome, { kind: 'ended', state: 'completed', reason: null });
    assert.ok((world.state.counts()['createCidSetFile 201'] ?? 0) > 0, 'the file was needed');
    await world.assertEqualSides();
  });

  it('says unavailable, and repairs nothing, while DICT’s answers cannot be trusted', async (t) => {
    const answers = { ...participantSide, trust: participantSide.trust };
    const world = await reconcileWorld(t, { simulator: { signatures: dictSide }, signatures: answers });
    const [gone] = world.first;
    assert.ok(gone);
    world.state.remove(gone.entry.key, { log: true });
    world.pass(600_000);
    // DICT changes its certificate, and nobody told us: from here on the same client trusts another one.
    Object.assign(answers, { trust: certificateStore([signingKey({ serial: 5n }).certificate]) });
    const outcome = await world.verify();
    assert.equal(outcome.kind, 'unavailable');
    assert.match(JSON.stringify(outcome), /not in the trust store|AnswerSignatureInvalid/);
    assert.equal((await world.entry(gone.entry.key))?.status, 'ACTIVE');
  });
});
