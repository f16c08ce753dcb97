/** The scenarios that were asked for by name (docs/requirements.md), with their numbers, against the real simulator. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DictError } from '../src/dict/errors.ts';
import { reconcileWorld } from './support/reconcile-world.ts';

const minuteMs = 60_000;
const completed = { kind: 'ended', state: 'completed', reason: null };

describe('scenarios of VSYNC-workflow and INT-003', () => {
  it('1000 equal keys: in sync, nothing is read or changed', async (t) => {
    const world = await reconcileWorld(t, { keys: 1_000 });
    assert.equal((await world.verify()).kind, 'in-sync');
    assert.deepEqual(
      [world.state.counts()['getEntryByCid 200'], world.state.counts()['createCidSetFile 201']],
      [undefined, undefined],
    );
    assert.equal(await world.count(`FROM audit_log WHERE kind = 'correction'`), 0);
  });

  it('100 here and 120 at Bacen: exactly 20 are created', async (t) => {
    const world = await reconcileWorld(t, { keys: 100 });
    const missing = world.take(20);
    for (const sample of missing) world.state.insert(sample);
    world.pass(10 * minuteMs);
    assert.deepEqual((await world.reconcile()).outcome, completed);
    assert.equal(await world.count(`FROM audit_log WHERE action = 'VSYNC_CREATE_MISSING'`), 20);
    assert.equal(await world.count(`FROM audit_log WHERE kind = 'correction'`), 20);
    assert.equal(await world.count(`FROM dict_entries WHERE synced_from = 'VSYNC'`), 20);
    await world.assertEqualSides();
  });

  it('10 at Bacen and 5 here: 5 are created', async (t) => {
    const world = await reconcileWorld(t, { keys: 5 });
    for (const sample of world.take(5)) world.state.insert(sample, { log: true });
    world.pass(10 * minuteMs);
    assert.deepEqual((await world.reconcile()).outcome, completed);
    assert.equal(await world.count(`FROM audit_log WHERE action = 'VSYNC_CREATE_MISSING'`), 5);
    await world.assertEqualSides();
  });

  it('5 stale entries: 5 are updated from Bacen', async (t) => {
    const world = await reconcileWorld(t);
    for (const { entry } of world.first.slice(0, 5)) world.state.alter(entry.key, { accountNumber: '0099887766' });
    world.pass(10 * minuteMs);
    assert.deepEqual((await world.reconcile()).outcome, completed);
    assert.equal(await world.count(`FROM audit_log WHERE action = 'VSYNC_UPDATE_DATA'`), 5);
    await world.assertEqualSides();
  });

  it('3 entries missing at Bacen: 3 are flagged for review, none is deleted', async (t) => {
    const world = await reconcileWorld(t);
    for (const { entry } of world.first.slice(0, 3)) world.state.remove(entry.key);
    world.pass(10 * minuteMs);
    assert.deepEqual((await world.reconcile()).outcome, completed);
    assert.equal(await world.count(`FROM manual_review_queue WHERE status = 'PENDING' AND reason = 'orphaned'`), 3);
    assert.equal(await world.count(`FROM dict_entries WHERE status = 'ORPHANED' AND orphaned_at IS NOT NULL`), 3);
    assert.equal(await world.count(`FROM dict_entries WHERE status = 'DELETED'`), 0);
    await world.assertEqualSides();
  });

  it('some creations fail: partial, and the others are there', async (t) => {
    const world = await reconcileWorld(t);
    const missing = world.take(5);
    for (const sample of missing) world.state.insert(sample, { log: true });
    for (const { entry } of missing.slice(0, 2)) world.state.setBlocked(entry.key, true);
    world.pass(10 * minuteMs);
    const { outcome } = await world.reconcile();
    assert.ok(outcome.kind === 'ended' && outcome.state === 'partial', JSON.stringify(outcome));
    assert.equal(await world.count(`FROM audit_log WHERE action = 'VSYNC_CREATE_MISSING'`), 3);
  });

  it('Bacen down: unavailable, no word about the base, nothing changed', async (t) => {
    let down = false;
    const refuse = async (): Promise<never> => {
      throw new DictError('Unreachable', 0, 'nobody listens');
    };
    const world = await reconcileWorld(t, {
      dict: (dict) => ({
        ...dict,
        createSyncVerification: (request, options) => (down ? refuse() : dict.createSyncVerification(request, options)),
      }),
    });
    world.state.remove(world.first[0]?.entry.key ?? '');
    world.pass(10 * minuteMs);
    down = true;
    const outcome = await world.verify();
    assert.deepEqual(outcome, { kind: 'unavailable', reason: 'Unreachable after 3 tries: nobody listens' });
    assert.equal(await world.count(`FROM audit_log WHERE kind = 'correction'`), 0);
  });
});
