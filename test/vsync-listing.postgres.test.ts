/**
 * A listing is a hint (rule R17): pages that shift under changes while it runs, incremental listings, hostile directories.
 * Nothing is orphaned falsely, and what settles is not missed.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EntryListing, EntryPage } from '../src/dict/entry-listing.ts';
import { participant } from '../src/dict/participant.ts';
import { type Random, seededRandom } from '../src/simulator/random.ts';
import { meddledWorld, type VSyncWorld, vsyncWorld } from './support/vsync-world.ts';

const minuteMs = 60_000;
const pageSize = 10;

/** A world whose directory answers what the function makes of its true pages. */
function lyingWorld(t: Parameters<typeof vsyncWorld>[0], lie: (page: EntryPage, pageNumber: number) => EntryPage) {
  const listing = (real: EntryListing): EntryListing => ({
    listEntries: async (request, options) => lie(await real.listEntries(request, options), request.pageNumber),
  });
  return vsyncWorld(t, { listingSettings: { pageSize }, listing });
}

const orphans = (world: VSyncWorld): Promise<number> =>
  world.count(`FROM dict_entries WHERE status IN ('ORPHANED', 'PENDING', 'DELETED')`);

/** Tells the core's event of what DICT did, so that both sides stay equal. */
async function deleteOnBothSides(world: VSyncWorld, at: number): Promise<void> {
  const sample = world.first[at];
  assert.ok(sample);
  world.state.remove(sample.entry.key, { log: true });
  await world.ingest(world.event('key.deleted', sample));
}

describe('pages that shift while they are read', () => {
  it('make no orphan of the entries that a delete moves over the edge of a page', async (t) => {
    const world = await meddledWorld(t, async (meddled, pageNumber) => {
      if (pageNumber === 2) for (const at of [0, 1, 2, 3]) await deleteOnBothSides(meddled, at);
    });
    const result = await world.synced();
    assert.equal(result.Status, 'COMPLETED', result.ErrorMessage);
    assert.deepEqual([result.EntriesSynced, result.EntriesDeleted], [36, 0]);
    // Four entries were passed over: hints, which DICT's 200 by CID has refuted.
    assert.equal(
      await world.count(`FROM dict_divergences WHERE found_by = 'listing' AND side = 'local' AND state = 'dropped'`),
      4,
    );
    assert.equal(await world.count(`FROM manual_review_queue`), 0);
    await world.assertEqualSides();
  });

  it('make no orphan of an entry that was changed at DICT and passed over by every page', async (t) => {
    // The tenth key is altered silently, which moves it to the end, and the pages end before it.
    const world = await lyingWorld(t, (page) => {
      return { ...page, entries: page.entries.filter(({ account }) => account.accountNumber !== '0099887766') };
    });
    const key = world.first[9]?.entry.key ?? '';
    world.state.alter(key, { accountNumber: '0099887766' });
    world.pass(10 * minuteMs);
    const result = await world.synced();
    assert.deepEqual([result.Status, result.EntriesUpdated, result.EntriesDeleted], ['COMPLETED', 1, 0], result.ErrorMessage);
    assert.equal(await world.count(`FROM event_outbox WHERE payload ->> 'alert' = 'orphans-found'`), 0);
    assert.equal(await orphans(world), 0);
    await world.assertEqualSides();
  });

  it('miss nothing that settles: what a page passed over and we do not have is found all the same', async (t) => {
    let hidden = '';
    const world = await meddledWorld(t, async (meddled, pageNumber) => {
      if (pageNumber === 2) await deleteOnBothSides(meddled, 0);
    });
    const [silent] = world.take(1);
    assert.ok(silent);
    // It stands at the end: the delete before moves it from the fifth page, which is then empty, to the end of the fourth.
    world.state.insert(silent);
    hidden = silent.entry.key;
    world.pass(10 * minuteMs);
    const result = await world.synced();
    assert.deepEqual([result.Status, result.EntriesCreated], ['COMPLETED', 1], result.ErrorMessage);
    assert.equal((await world.entry(hidden))?.status, 'ACTIVE');
    await world.assertEqualSides();
  });

  it('count an entry once however often changes bring it back', async (t) => {
    const world = await meddledWorld(t, async (meddled, pageNumber) => {
      if (pageNumber > 3) return;
      // Changed on both sides: it moves from the page just read to the end.
      const sample = meddled.first[pageNumber - 1];
      assert.ok(sample);
      const account = { ...sample.entry.account, accountNumber: `005500000${pageNumber}` };
      meddled.state.alter(sample.entry.key, { accountNumber: account.accountNumber }, { log: true });
      await meddled.ingest(meddled.event('key.updated', { ...sample, entry: { ...sample.entry, account } }));
    });
    const result = await world.synced();
    assert.equal(result.Status, 'COMPLETED', result.ErrorMessage);
    assert.equal(result.EntriesDeleted, 0);
    assert.ok(result.EntriesSynced <= 40, `${result.EntriesSynced} of 40 keys`);
    await world.assertEqualSides();
  });

  it('leave what the core has told meanwhile to the core: nothing is created twice or taken back', async (t) => {
    let created = false;
    const world = await meddledWorld(t, async (meddled, pageNumber) => {
      if (pageNumber !== 3 || created) return;
      created = true;
      for (const sample of meddled.take(5)) {
        meddled.state.insert(sample, { log: true });
        await meddled.ingest(meddled.event('key.created', sample));
      }
    });
    const result = await world.synced();
    assert.equal(result.Status, 'COMPLETED', result.ErrorMessage);
    assert.deepEqual([result.EntriesCreated, result.EntriesDeleted], [0, 0]);
    await world.assertEqualSides();
  });
});

describe('a listing under traffic', () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    it(`finds what was planted, and nothing else, whatever both sides change between its pages (seed ${seed})`, async (t) => {
      const random = seededRandom(seed);
      let silent: ReadonlySet<string> = new Set();
      const world = await meddledWorld(t, (meddled) => traffic(meddled, random, silent));
      const added = world.take(3);
      const [altered, removed] = [world.first.slice(0, 3), world.first.slice(3, 5)];
      silent = new Set([...added, ...altered, ...removed].map(({ entry }) => entry.key));
      for (const sample of added) world.state.insert(sample);
      for (const { entry } of altered) world.state.alter(entry.key, { accountNumber: '0099887766' });
      for (const { entry } of removed) world.state.remove(entry.key);
      world.pass(10 * minuteMs);
      const result = await world.synced();
      assert.deepEqual(
        [result.Status, result.EntriesCreated, result.EntriesUpdated, result.EntriesDeleted],
        ['COMPLETED', 3, 3, 2],
        result.ErrorMessage,
      );
      assert.equal(await world.count(`FROM audit_log WHERE kind = 'correction'`), 8);
      await world.assertEqualSides();
    });
  }
});

/** Four changes that DICT makes and the core tells of at once, none of them of a key that something was planted on. */
async function traffic(world: VSyncWorld, random: Random, silent: ReadonlySet<string>): Promise<void> {
  for (let change = 0; change < 4; change++) {
    // Two updates of one key in one millisecond have no order that the core could tell.
    world.clock.move(2);
    const active = [...world.state.activeEntries(world.scope)].filter(({ entry }) => !silent.has(entry.key));
    const chosen = active[random.below(active.length)];
    const kind = random.below(3);
    if (kind === 0 || chosen === undefined) {
      const [sample] = world.take(1);
      assert.ok(sample);
      world.state.insert(sample, { log: true });
      await world.ingest(world.event('key.created', sample));
    } else if (kind === 1) {
      const accountNumber = `00${random.below(1_000_000)}`;
      const { entry, requestId } = world.state.alter(chosen.entry.key, { accountNumber }, { log: true });
      await world.ingest(world.event('key.updated', { entry, requestId }));
    } else {
      world.state.remove(chosen.entry.key, { log: true });
      await world.ingest(world.event('key.deleted', chosen));
    }
  }
}

describe('an incremental listing', () => {
  it('lists what has changed, repairs it, and never flags a key as missing at Bacen', async (t) => {
    const world = await vsyncWorld(t);
    assert.equal((await world.synced()).Status, 'COMPLETED');
    world.pass(60 * minuteMs);
    for (const { entry } of world.first.slice(0, 2)) world.state.alter(entry.key, { accountNumber: '0099887766' });
    world.pass(10 * minuteMs);
    const result = await world.synced({ type: 'INCREMENTAL' });
    assert.deepEqual([result.Status, result.EntriesSynced, result.EntriesUpdated], ['COMPLETED', 2, 2], result.ErrorMessage);
    const { rows } = await world.database.query<{ total: number | null }>(
      'SELECT total_keys_bacen AS total FROM sync_reports WHERE id = $1',
      [result.ReportID],
    );
    assert.equal(rows[0]?.total, null);
    await world.assertEqualSides();
  });

  it('leaves keys that Bacen does not have alone, says that something differs, and a full one flags them', async (t) => {
    const world = await vsyncWorld(t);
    for (const { entry } of world.first.slice(0, 3)) world.state.remove(entry.key, { log: true });
    world.pass(10 * minuteMs);
    const since = new Date(world.clock.now().getTime() - 30 * minuteMs);
    const result = await world.synced({ type: 'INCREMENTAL', since });
    assert.deepEqual([result.Status, result.EntriesDeleted], ['PARTIAL', 0]);
    assert.match(result.ErrorMessage, /a FULL synchronisation/);
    assert.equal(await orphans(world), 0);
    assert.equal(world.state.counts()['createCidSetFile 201'], undefined);
    const full = await world.synced();
    assert.deepEqual([full.Status, full.EntriesDeleted], ['COMPLETED', 3], full.ErrorMessage);
    await world.assertEqualSides();
  });

  it('needs a time, or an earlier synchronisation that completed', async (t) => {
    const world = await vsyncWorld(t);
    const outcome = await world.sync({ type: 'INCREMENTAL' });
    assert.ok(outcome.kind === 'refused');
    assert.match(outcome.reason, /say since when, or begin with FULL/);
  });
});

describe('a directory that answers badly', () => {
  it('and says for ever that more follows is given up, and nothing is orphaned', async (t) => {
    const world = await lyingWorld(t, (page) => ({ ...page, hasNextPage: true }));
    const result = await world.synced();
    assert.equal(result.Status, 'PARTIAL');
    assert.match(result.ErrorMessage, /does not end: given up after page 7/);
    assert.deepEqual([result.EntriesSynced, await orphans(world)], [40, 0]);
  });

  it('and repeats one page for ever is given up, and the keys of the others are no orphans', async (t) => {
    let first: EntryPage | null = null;
    const world = await lyingWorld(t, (page) => {
      first ??= { ...page, hasNextPage: true };
      return first;
    });
    const result = await world.synced();
    assert.equal(result.Status, 'PARTIAL');
    assert.match(
      result.ErrorMessage,
      /does not end: given up after page 4; 30 of 40 keys were not listed, which is not believed/,
    );
    assert.equal(await orphans(world), 0);
  });

  it('and lists nothing although the base is full is not believed', async (t) => {
    const world = await lyingWorld(t, (page) => ({ ...page, entries: [], totalCount: 0, hasNextPage: false }));
    const result = await world.synced();
    assert.equal(result.Status, 'PARTIAL');
    assert.match(result.ErrorMessage, /40 of 40 keys were not listed, which is not believed/);
    assert.equal(world.state.counts()['getEntryByCid 200'], undefined);
    assert.equal(await orphans(world), 0);
  });

  it('and speaks of more entries than it lists is told of in the report', async (t) => {
    const world = await lyingWorld(t, (page) => ({ ...page, totalCount: 4_000_000 }));
    const result = await world.synced();
    assert.equal(result.Status, 'PARTIAL');
    assert.match(result.ErrorMessage, /showed 40 of the 4000000 entries it spoke of/);
  });

  it('and lists entries of others, entries twice and entries that never were changes nothing here', async (t) => {
    const other = participant('12345678');
    const world = await lyingWorld(t, (page, pageNumber) => {
      const [entry] = page.entries;
      if (entry === undefined || pageNumber > 1) return page;
      const foreign = { ...entry, key: 'alguem@outro.example', account: { ...entry.account, participant: other } };
      const invented = { ...entry, key: 'ninguem@nenhum.example' };
      const altered = { ...entry, owner: { ...entry.owner, name: 'Outra Pessoa' } };
      return { ...page, entries: [...page.entries, foreign, invented, altered, altered] };
    });
    const result = await world.synced();
    assert.equal(result.Status, 'COMPLETED', result.ErrorMessage);
    assert.deepEqual([result.EntriesCreated, result.EntriesUpdated, result.EntriesDeleted], [0, 0, 0]);
    assert.equal(await world.entry('alguem@outro.example'), null);
    assert.equal(await world.entry('ninguem@nenhum.example'), null);
    await world.assertEqualSides();
  });

  it('and breaks off twice is asked again, and the page is read at the third try', async (t) => {
    const world = await vsyncWorld(t, { listingSettings: { pageSize } });
    world.state.addFault({ operation: 'getKeys', times: 2, skip: 2, breakConnection: true });
    const result = await world.synced();
    assert.deepEqual([result.Status, result.EntriesSynced], ['COMPLETED', 40], result.ErrorMessage);
    assert.equal(world.state.counts()['getKeys 0'], 2);
  });

  it('and refuses for good is not asked again', async (t) => {
    const world = await vsyncWorld(t);
    world.state.addFault({ operation: 'getKeys', times: 9, error: 'Forbidden' });
    const result = await world.synced();
    assert.deepEqual([result.Status, world.state.counts()['getKeys 403']], ['FAILED', 1]);
    assert.match(result.ErrorMessage, /Forbidden/);
  });
});
