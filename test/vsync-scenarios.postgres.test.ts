/**
 * The scenarios that VSYNC-workflow and INT-003 ask for by name, at entry level: FULL synchronisations over the paged listing of the real
 * simulator, by SOAP, signed on both sides (docs/requirements.md).
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { findReport } from '../src/report/sync-report.ts';
import { type VSyncWorld, vsyncWorld } from './support/vsync-world.ts';

const minuteMs = 60_000;

describe('VSYNC-workflow over the paged listing', () => {
  it('1000 equal keys: nothing is created, updated or flagged, and the report says how many both have', async (t) => {
    const world = await vsyncWorld(t, { keys: 1_000, listingSettings: { pageSize: 300 } });
    const result = await world.synced();
    assert.deepEqual(
      [result.Status, result.EntriesSynced, result.EntriesCreated, result.EntriesUpdated, result.EntriesDeleted],
      ['COMPLETED', 1_000, 0, 0, 0],
    );
    assert.deepEqual([result.Discrepancies, result.ErrorMessage], [0, '']);
    assert.equal(await world.count(`FROM audit_log WHERE kind = 'correction'`), 0);
    assert.equal(world.state.counts()['getKeys 200'], 4);
    assert.equal(world.state.counts()['createCidSetFile 201'], undefined);
    const report = await findReport(world.database, result.ReportID);
    assert.deepEqual(
      [report?.syncType, report?.keyType, report?.figures?.totalKeysLocal, report?.figures?.totalKeysBacen, report?.keysInSync],
      ['FULL', 'ALL', 1_000, 1_000, 1_000],
    );
  });

  it('100 local and 120 at Bacen: exactly 20 are created', async (t) => {
    const world = await vsyncWorld(t, { keys: 100, listingSettings: { pageSize: 50 } });
    for (const sample of world.take(20)) world.state.insert(sample);
    world.pass(10 * minuteMs);
    const result = await world.synced();
    assert.deepEqual(
      [result.Status, result.EntriesSynced, result.EntriesCreated, result.Discrepancies],
      ['COMPLETED', 120, 20, 20],
    );
    assert.equal(await world.count(`FROM audit_log WHERE action = 'VSYNC_CREATE_MISSING'`), 20);
    assert.equal(await world.count(`FROM audit_log WHERE kind = 'correction'`), 20);
    assert.equal(await world.count(`FROM dict_entries WHERE synced_from = 'VSYNC'`), 20);
    await world.assertEqualSides();
  });

  it('10 at Bacen and 5 here: 5 are created', async (t) => {
    const world = await vsyncWorld(t, { keys: 5 });
    for (const sample of world.take(5)) world.state.insert(sample, { log: true });
    world.pass(10 * minuteMs);
    const result = await world.synced();
    assert.deepEqual([result.Status, result.EntriesSynced, result.EntriesCreated], ['COMPLETED', 10, 5]);
    await world.assertEqualSides();
  });

  it('5 stale entries: 5 are updated, by the CID of what is listed and our RequestId, without any file', async (t) => {
    const world = await vsyncWorld(t);
    for (const { entry } of world.first.slice(0, 5)) world.state.alter(entry.key, { accountNumber: '0099887766' });
    world.pass(10 * minuteMs);
    const result = await world.synced();
    assert.deepEqual([result.Status, result.EntriesUpdated, result.Discrepancies], ['COMPLETED', 5, 5]);
    assert.equal(await world.count(`FROM dict_divergences WHERE found_by = 'listing' AND state = 'applied'`), 5);
    assert.equal(world.state.counts()['createCidSetFile 201'], undefined);
    await world.assertEqualSides();
  });

  it('3 entries missing at Bacen: 3 are flagged for review after DICT’s own 404, none is deleted', async (t) => {
    const world = await vsyncWorld(t);
    for (const { entry } of world.first.slice(0, 3)) world.state.remove(entry.key);
    world.pass(10 * minuteMs);
    const result = await world.synced();
    assert.deepEqual([result.Status, result.EntriesDeleted, result.Discrepancies], ['COMPLETED', 3, 3]);
    assert.equal(await world.count(`FROM manual_review_queue WHERE status = 'PENDING' AND reason = 'orphaned'`), 3);
    assert.equal(await world.count(`FROM dict_entries WHERE status = 'ORPHANED' AND orphaned_at IS NOT NULL`), 3);
    assert.equal(await world.count(`FROM dict_entries WHERE status = 'DELETED'`), 0);
    await world.assertEqualSides();
  });

  it('some creations fail: PARTIAL, the others are there, and the next run tries again', async (t) => {
    const world = await vsyncWorld(t);
    const missing = world.take(5);
    for (const sample of missing) world.state.insert(sample, { log: true });
    const blocked = missing.slice(0, 2);
    for (const { entry } of blocked) world.state.setBlocked(entry.key, true);
    world.pass(10 * minuteMs);
    const first = await world.synced();
    assert.deepEqual([first.Status, first.EntriesCreated], ['PARTIAL', 3]);
    assert.match(first.ErrorMessage, /EMAIL: partial/);
    assert.equal(await world.count(`FROM audit_log WHERE action = 'VSYNC_CREATE_MISSING'`), 3);
    for (const { entry } of blocked) world.state.setBlocked(entry.key, false);
    world.pass(10 * minuteMs);
    const second = await world.synced();
    assert.deepEqual([second.Status, second.EntriesCreated], ['COMPLETED', 2]);
    await world.assertEqualSides();
  });

  it('Bacen down: FAILED after three tries five and ten seconds apart, with an alert, and nothing changed', async (t) => {
    const world = await vsyncWorld(t);
    world.state.remove(world.first[0]?.entry.key ?? '');
    world.pass(10 * minuteMs);
    world.state.addFault({ operation: 'getKeys', times: 100, breakConnection: true });
    const before = world.clock.now().getTime();
    const result = await world.synced();
    assert.equal(result.Status, 'FAILED');
    assert.match(result.ErrorMessage, /the connection broke/);
    assert.equal(world.clock.now().getTime() - before, 15_000);
    assert.equal(world.state.counts()['getKeys 0'], 3);
    await assertNothingChanged(world);
    assert.equal(
      await world.count(`FROM event_outbox WHERE type = 'br.dict.vsync.AlertRaised'
        AND payload ->> 'alert' = 'synchronisation-failed'`),
      1,
    );
    world.state.clearFaults();
    assert.equal((await world.synced()).Status, 'COMPLETED');
  });

  it('Bacen busy: its Retry-After is waited for, and the page is read then', async (t) => {
    const world = await vsyncWorld(t);
    world.state.addFault({ operation: 'getKeys', times: 2, error: 'ServiceUnavailable' });
    const before = world.clock.now().getTime();
    const result = await world.synced();
    assert.deepEqual([result.Status, world.state.counts()['getKeys 503']], ['COMPLETED', 2], result.ErrorMessage);
    assert.equal(world.clock.now().getTime() - before, 60_000);
  });
});

async function assertNothingChanged(world: VSyncWorld): Promise<void> {
  assert.equal(await world.count(`FROM audit_log WHERE kind = 'correction'`), 0);
  assert.equal(await world.count(`FROM dict_entries WHERE status <> 'ACTIVE'`), 0);
}
