/** The ladder of a reconciliation, rung by rung, against the real simulator and a real database. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { reconcileWorld } from './support/reconcile-world.ts';

describe('the ladder', () => {
  it('repairs what the log shows without any file: missing, outdated and orphaned', async (t) => {
    const world = await reconcileWorld(t);
    const [changed, gone] = world.first;
    const [missing] = world.take(1);
    assert.ok(changed && gone && missing);
    world.state.alter(changed.entry.key, { accountNumber: '0099887766' }, { log: true });
    world.state.remove(gone.entry.key, { log: true });
    world.state.insert(missing, { log: true });
    world.pass(600_000);
    const { runId, outcome } = await world.reconcile();
    assert.deepEqual(outcome, { kind: 'ended', state: 'completed', reason: null });
    const found = await world.divergences(runId);
    assert.deepEqual(
      found
        .filter(({ state }) => state === 'applied')
        .map(({ kind }) => kind)
        .toSorted(),
      ['missing_local', 'orphaned', 'outdated_local'],
    );
    assert.equal(world.state.counts()['createCidSetFile 201'] ?? 0, 0);
    await world.assertEqualSides();
    assert.equal((await world.entry(gone.entry.key))?.status, 'ORPHANED');
  });

  it('finds by the CID set file what DICT changed without an event', async (t) => {
    const world = await reconcileWorld(t);
    const [changed, gone, other] = world.first;
    const [missing] = world.take(1);
    assert.ok(changed && gone && missing && other);
    world.state.alter(changed.entry.key, { accountNumber: '0099887766' });
    world.state.alter(other.entry.key, {
      ownerType: 'LEGAL_PERSON',
      name: 'Padaria & Filhos Ltda',
      taxIdNumber: '11222333000181',
    });
    world.state.remove(gone.entry.key);
    world.state.insert(missing);
    world.pass(600_000);
    const { runId, outcome } = await world.reconcile();
    assert.deepEqual(outcome, { kind: 'ended', state: 'completed', reason: null });
    const found = await world.divergences(runId);
    assert.ok(found.every(({ found_by }) => found_by === 'file'));
    assert.equal(found.filter(({ state }) => state === 'applied').length, 4);
    assert.equal(world.state.counts()['createCidSetFile 201'], 1);
    await world.assertEqualSides();
  });

  it('finds rows altered under their CID even while DICT says OK', async (t) => {
    const world = await reconcileWorld(t);
    const [row, lost] = world.first;
    assert.ok(row && lost);
    await world.database.query(`UPDATE dict_entries SET account_number = '666' WHERE key = $1`, [row.entry.key]);
    await world.database.query(`DELETE FROM dict_entries WHERE key = $1`, [lost.entry.key]);
    assert.equal((await world.verify()).kind, 'in-sync');
    const { runId, outcome } = await world.reconcileFrom('scan');
    assert.deepEqual(outcome, { kind: 'ended', state: 'completed', reason: null });
    assert.deepEqual(
      (await world.divergences(runId)).map(({ kind, state }) => [kind, state]),
      [
        ['altered', 'applied'],
        ['altered', 'applied'],
      ],
    );
    await world.assertEqualSides();
  });

  it('gives a key without RequestId its CID by DICT’s answer', async (t) => {
    const world = await reconcileWorld(t);
    const [sample] = world.take(1);
    assert.ok(sample);
    world.state.insert(sample, { log: true });
    await world.ingest(world.event('key.updated', sample, world.clock.now(), { request_id: undefined }));
    assert.equal((await world.entry(sample.entry.key))?.status, 'UNRESOLVED');
    world.pass(600_000);
    const { runId, outcome } = await world.reconcile();
    assert.deepEqual(outcome, { kind: 'ended', state: 'completed', reason: null });
    assert.deepEqual(
      (await world.divergences(runId)).map(({ kind }) => kind),
      ['unresolved'],
    );
    await world.assertEqualSides();
  });

  it('repairs with the events of a live core still arriving', async (t) => {
    const world = await reconcileWorld(t);
    const [changed] = world.first;
    assert.ok(changed);
    world.state.alter(changed.entry.key, { accountNumber: '0099887766' });
    const [late] = world.take(1);
    assert.ok(late);
    world.pass(600_000);
    // In flight: DICT has it, the core's event comes while the run waits.
    world.state.insert(late, { log: true });
    const event = world.event('key.created', late);
    const opening = await world.open({ fromRung: 'file' });
    assert.ok(opening.kind === 'opened');
    let delivered = false;
    const outcome = await world.run(opening.runId, {
      ...world.steps,
      applyRepairs: async (input) => {
        if (!delivered) await world.ingest(event);
        delivered = true;
        return world.steps.applyRepairs(input);
      },
    });
    assert.deepEqual(outcome, { kind: 'ended', state: 'completed', reason: null });
    assert.equal((await world.entry(late.entry.key))?.syncedFrom, null);
    assert.equal((await world.divergences(opening.runId)).filter(({ state }) => state === 'applied').length, 1);
    await world.assertEqualSides();
  });
});
