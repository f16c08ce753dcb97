/** Entry-level synchronisations that are interrupted, paused or met by others: one report, one of them at a time. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import type { EntryListing } from '../src/dict/entry-listing.ts';
import { DictError } from '../src/dict/errors.ts';
import { decideApproval } from '../src/reconcile/approval.ts';
import { claimListing } from '../src/reconcile/listing-claiming.ts';
import { createListingSteps } from '../src/reconcile/listing-steps.ts';
import { readOpenListing, setListingPaused } from '../src/reconcile/listing-store.ts';
import { FlowSuspended } from '../src/runner/in-process-runner.ts';
import { meddledWorld, type VSyncWorld, vsyncWorld } from './support/vsync-world.ts';

const minuteMs = 60_000;
const pageSize = 10;

describe('a synchronisation whose process ends in the middle', () => {
  it('goes on with the page after the last one that was committed, under the same report', async (t) => {
    let died = false;
    const dying = (real: EntryListing): EntryListing => ({
      listEntries: (request, options) => {
        if (request.pageNumber === 3 && !died) {
          died = true;
          throw new Error('the process dies');
        }
        return real.listEntries(request, options);
      },
    });
    const world = await vsyncWorld(t, { listingSettings: { pageSize }, listing: dying });
    for (const sample of world.take(3)) world.state.insert(sample, { log: true });
    world.pass(10 * minuteMs);
    await assert.rejects(world.sync(), /the process dies/);
    const open = await readOpenListing(world.database, world.scope.participant);
    assert.deepEqual([open?.state, open?.pages, open?.entriesListed], ['listing', 2, 20]);
    const result = await world.synced();
    assert.equal(result.ReportID, open?.id);
    assert.deepEqual([result.Status, result.EntriesSynced, result.EntriesCreated], ['COMPLETED', 43, 3], result.ErrorMessage);
    assert.equal(world.state.counts()['getKeys 200'], 5);
    assert.equal(await world.count(`FROM sync_reports WHERE sync_type = 'FULL'`), 1);
    assert.equal(await world.count('FROM entry_listing_keys'), 0);
    await world.assertEqualSides();
  });

  it('carries to the next run what a reconciliation that failed had found', async (t) => {
    const world = await vsyncWorld(t);
    for (const { entry } of world.first.slice(0, 5)) world.state.alter(entry.key, { accountNumber: '0099887766' });
    world.pass(10 * minuteMs);
    const dict = world.vsyncDeps.dict;
    const getEntryByCid = (): Promise<never> => Promise.reject(new Error('the process dies'));
    const dead = await world.sync({ deps: { dict: { ...dict, getEntryByCid } } });
    assert.ok(dead.kind === 'ended' && dead.result.Status === 'FAILED', JSON.stringify(dead));
    const result = await world.synced();
    assert.deepEqual([result.Status, result.EntriesUpdated], ['COMPLETED', 5], result.ErrorMessage);
    await world.assertEqualSides();
  });

  it('lets nobody write who slept through its lease', async (t) => {
    let sleeper: Promise<unknown> | null = null;
    const waking = Promise.withResolvers<void>();
    const asleep = Promise.withResolvers<void>();
    let first = true;
    const world = await vsyncWorld(t, {
      listingSettings: { pageSize },
      listing: (real) => ({
        listEntries: async (request, options) => {
          const page = await real.listEntries(request, options);
          if (request.pageNumber === 2 && first) {
            first = false;
            asleep.resolve();
            await waking.promise;
          }
          return page;
        },
      }),
    });
    sleeper = world.sync();
    await asleep.promise;
    world.pass(11 * minuteMs);
    const result = await world.synced();
    assert.deepEqual([result.Status, result.EntriesSynced], ['COMPLETED', 40], result.ErrorMessage);
    waking.resolve();
    assert.deepEqual(await sleeper, { kind: 'elsewhere', listingId: result.ReportID });
    assert.equal(await world.count('FROM entry_listings'), 1);
  });

  it('stops when it is paused, and goes on when it is resumed', async (t) => {
    const world = await meddledWorld(t, async (meddled, pageNumber) => {
      const open = await readOpenListing(meddled.database, meddled.scope.participant);
      if (pageNumber === 2 && open?.pausedAt === null) await pause(meddled, open.id, true);
    });
    await assert.rejects(world.sync(), FlowSuspended);
    const open = await readOpenListing(world.database, world.scope.participant);
    assert.deepEqual([open?.state, open?.pages], ['listing', 2]);
    await assert.rejects(world.sync(), FlowSuspended);
    await pause(world, open?.id ?? '', false);
    assert.equal((await world.synced()).Status, 'COMPLETED');
  });

  async function pause(world: VSyncWorld, id: string, paused: boolean): Promise<void> {
    const now = world.clock.now();
    const done = await world.database.transaction((tx) => setListingPaused(tx, id, paused ? now : null, now));
    assert.ok(done, 'the listing is open and was not so already');
  }
});

/** A world's database in which something happens right before the first transaction. */
function meddledDatabase({ database }: VSyncWorld, meddle: () => Promise<unknown>): VSyncWorld['vsyncDeps']['database'] {
  let meddled = false;
  return {
    ...database,
    transaction: async (work, options) => {
      if (!meddled) {
        meddled = true;
        await meddle();
      }
      return database.transaction(work, options);
    },
  };
}

describe('a synchronisation beside others', () => {
  it('that was faster begins nothing of its own, and says so nowhere', async (t) => {
    const world = await vsyncWorld(t);
    const { participant } = world.scope;
    const requestedBy = { name: 'ana', authenticated: false };
    const asked = { participant, syncType: 'FULL', lastSyncDate: null, requestedBy } as const;
    const faster = { ...asked, listingId: randomUUID(), owner: 'faster' };
    const database = meddledDatabase(world, () => claimListing(world.vsyncDeps, faster));
    const slower = { ...asked, listingId: randomUUID(), owner: 'slower' };
    const claim = await claimListing({ ...world.vsyncDeps, database }, slower);
    assert.deepEqual([claim.kind, claim.kind === 'held' && claim.listingId], ['held', faster.listingId]);
    const { rows } = await world.database.query<{ begun: string }>(
      `SELECT correlation_id AS begun FROM audit_log WHERE action = 'LISTING_BEGUN'`,
    );
    assert.deepEqual(rows, [{ begun: faster.listingId }], 'the audit log tells of the listing that there is');
  });

  it('opens no reconciliation that runs on while it is paused, however late the pause comes', async (t) => {
    const world = await vsyncWorld(t);
    const { participant, keyType } = world.scope;
    const listingId = randomUUID();
    const requestedBy = { name: 'ana', authenticated: false };
    const claimed = await claimListing(world.vsyncDeps, {
      ...{ listingId, participant, syncType: 'FULL', lastSyncDate: null, owner: 'first', requestedBy },
    });
    assert.equal(claimed.kind, 'claimed');
    const now = world.clock.now();
    const database = meddledDatabase(world, () => world.database.transaction((tx) => setListingPaused(tx, listingId, now, now)));
    const opening = await createListingSteps({ ...world.vsyncDeps, database }).openListed({ listingId, keyType });
    assert.equal(opening.kind, 'opened');
    assert.equal(await world.count('FROM dict_reconciliations WHERE listing_id IS NOT NULL AND paused_at IS NOT NULL'), 1);
  });

  it('puts repairs above the threshold before a person, and goes on once they are approved', async (t) => {
    const world = await vsyncWorld(t, { settings: { approvalThreshold: 2 } });
    for (const { entry } of world.first.slice(0, 5)) world.state.alter(entry.key, { accountNumber: '0099887766' });
    world.pass(10 * minuteMs);
    await assert.rejects(world.sync(), FlowSuspended);
    assert.equal(await world.count(`FROM dict_entries WHERE account_number = '0099887766'`), 0);
    const { rows } = await world.database.query<{ runId: string }>(
      'SELECT reconciliation_id AS "runId" FROM reconciliation_approvals WHERE decision IS NULL AND divergences = 5',
    );
    const actor = { name: 'bea', authenticated: false };
    const decision = { decision: 'approved', actor, reason: 'planted', digest: null } as const;
    const decided = await decideApproval(world.vsyncDeps, { runId: rows[0]?.runId ?? '', ...decision });
    assert.equal(decided.kind, 'decided');
    const result = await world.synced();
    assert.deepEqual([result.Status, result.EntriesUpdated], ['COMPLETED', 5], result.ErrorMessage);
  });

  it('sees another open reconciliation of the key type to its end first', async (t) => {
    const world = await vsyncWorld(t);
    for (const sample of world.take(2)) world.state.insert(sample, { log: true });
    world.pass(10 * minuteMs);
    const opening = await world.open({ fromRung: 'file' });
    assert.equal(opening.kind, 'opened');
    const result = await world.synced();
    assert.equal(result.Status, 'COMPLETED', result.ErrorMessage);
    assert.equal(await world.count(`FROM dict_reconciliations WHERE ended_at IS NOT NULL AND state = 'completed'`), 2);
    await world.assertEqualSides();
  });

  it('does not begin where another process lists the same participant', async (t) => {
    const world = await vsyncWorld(t);
    const never: EntryListing = { listEntries: () => Promise.reject(new DictError('Unreachable', 0, 'unused')) };
    const held = { ...world.vsyncDeps, listing: never };
    await world.database.query(
      `INSERT INTO entry_listings (id, participant, sync_type, state, pages, barren_pages, entries_listed, foreign_entries, unreadable,
         missing, outdated, unresolved, unlisted, compared_keys, fencing_token, lease_owner, lease_until, requested_by, authenticated,
         started_at, updated_at)
       VALUES ($1, $2, 'FULL', 'listing', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'another', $3, 'bea', false, $4, $4)`,
      [randomUUID(), world.scope.participant, new Date(world.clock.now().getTime() + 1e9), world.clock.now()],
    );
    const { signal } = world.vsyncDeps;
    // The other process prolongs its lease however long we wait.
    const sleep = (_: number, by?: AbortSignal): Promise<void> => (by === signal ? Promise.resolve() : new Promise(() => {}));
    const clock = { now: () => world.clock.now(), sleep };
    const outcome = await world.sync({ deps: { ...held, clock } });
    assert.equal(outcome.kind, 'elsewhere');
  });
});
