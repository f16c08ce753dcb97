/** An event log that stands still, forgets, stutters, comes late or holds too much in one millisecond, under the whole product. */

import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import { type Expected, type FaultWorld, faultWorld, type Trial } from '../support/fault-world.ts';

const repaired: Expected = { status: 'COMPLETED', says: /^completed/, base: 'equal' };

/** CIDs of DICT's events about these keys, of their former states included. */
function cidsOf(world: FaultWorld): readonly string[] {
  return world.state.events(world.scope).map(({ cid }) => cid);
}

const trials: Readonly<Record<string, (world: FaultWorld) => Trial>> = {
  'stands still from before the changes on': (world) => ({
    prepare: () => world.state.freezeLog(world.scope, true),
    fault: () => assert.equal(world.state.events(world.scope).length > 0, true),
    mend: () => world.state.freezeLog(world.scope, false),
    expected: repaired,
  }),
  'goes on listing an old VSync': (world) => ({
    prepare: () => world.state.freezeVerifiers(world.scope, true),
    fault: () => undefined,
    mend: () => world.state.freezeVerifiers(world.scope, false),
    expected: repaired,
  }),
  'has lost the events of the changes': (world) => ({
    fault: () => assert.ok(world.state.dropEvents(world.scope, cidsOf(world)) > 0),
    expected: repaired,
  }),
  'has lost one event of each pair': (world) => ({
    fault: () => assert.ok(world.state.dropEvents(world.scope, cidsOf(world).slice(-4, -3)) > 0),
    expected: repaired,
  }),
  'lists every event twice': (world) => ({
    fault: () => assert.ok(world.state.repeatEvents(world.scope, cidsOf(world)) > 0),
    expected: repaired,
  }),
  'lists the events an hour late': () => ({ plant: 'late', fault: () => undefined, expected: repaired }),
  'is wrong about its own VSync, and says so in every event': (world) => ({
    prepare: () => world.state.corruptVSync(world.scope, 'ab'.repeat(32)),
    fault: () => undefined,
    mend: () => world.state.corruptVSync(world.scope, null),
    // The changes are found and repaired, for each is proved by itself. That DICT goes on saying NOK cannot be explained by such a log.
    expected: {
      status: 'PARTIAL',
      says: /not confirmed \(inconclusive: the event log has holes: its VSyncs do not chain\); 3 repaired, 0 left/,
      base: 'in part',
    },
  }),
  'is silent while DICT is wrong about its own VSync': (world) => ({
    plant: 'hidden',
    prepare: () => world.state.corruptVSync(world.scope, 'ab'.repeat(32)),
    fault: () => undefined,
    mend: () => world.state.corruptVSync(world.scope, null),
    // Of a log that contradicts DICT's own answers by CID nothing is concluded, DICT's inconsistency (rule R15) not either.
    expected: {
      status: 'PARTIAL',
      says: /not confirmed \(inconclusive: the event log is not up to date: DICT contradicts it about \d+ CIDs\); 3 repaired, 0 left/,
      base: 'in part',
    },
  }),
};

it('an event log that', { timeout: 900_000 }, async (t) => {
  const world = await faultWorld(t, { keys: 60 });
  for (const [what, trialOf] of Object.entries(trials)) {
    await t.test(what, async () => {
      const ended = await world.endure(trialOf(world));
      assert.ok(ended.words.length > 0);
    });
  }
});

it('a CID that is added, removed and added again is the one it was', { timeout: 300_000 }, async (t) => {
  const world = await faultWorld(t);
  const [kept] = world.first.slice(-1);
  assert.ok(kept);
  const cid = world.state.entryByKey(kept.entry.key)?.cid;
  const ended = await world.endure({
    fault: () => {
      for (let turn = 0; turn < 3; turn += 1) {
        world.state.remove(kept.entry.key, { log: true });
        world.state.insert(kept, { log: true });
      }
      world.pass(600_000);
      assert.equal(world.state.events(world.scope).filter((event) => event.cid === cid).length, 6);
    },
    expected: repaired,
  });
  assert.equal(ended.status, 'COMPLETED');
  assert.equal((await world.entry(kept.entry.key))?.status, 'ACTIVE');
});

/** 250 keys come to DICT in one millisecond; the base hears of all but the last few. Answers the keys it did not hear of. */
async function crammed(world: FaultWorld, unheard: number): Promise<readonly string[]> {
  const samples = world.take(250);
  const at = new Date(world.clock.now().getTime() + 1);
  for (const sample of samples) world.state.insert(sample, { log: true, at });
  world.pass(1_000);
  const heard = samples.slice(0, samples.length - unheard);
  await world.ingest(...heard.map((sample) => world.event('key.created', sample)));
  const [after] = world.take(1);
  assert.ok(after);
  world.state.insert(after, { log: true });
  await world.ingest(world.event('key.created', after));
  world.pass(600_000);
  return samples.slice(heard.length).map(({ entry }) => entry.key);
}

async function synchronisedAfter(t: TestContext, unheard: number) {
  const world = await faultWorld(t);
  const planted = await crammed(world, unheard);
  const before = await world.picture();
  const ended = await world.synchronise();
  await world.assertPromises(before, planted);
  return { world, ended };
}

it('R11: 250 events in one millisecond, of which the base has heard', { timeout: 600_000 }, async (t) => {
  await t.test('all: in sync, without a file', async (t) => {
    const { world, ended } = await synchronisedAfter(t, 0);
    assert.match(ended.outcome, /^in-sync/);
    await world.assertEqualSides();
  });

  await t.test('all but one: it is recovered and repaired', async (t) => {
    const { world, ended } = await synchronisedAfter(t, 1);
    assert.equal(ended.status, 'COMPLETED', ended.words);
    await world.assertEqualSides();
  });

  await t.test('all but three: the file shows them', async (t) => {
    const { world, ended } = await synchronisedAfter(t, 3);
    assert.equal(ended.status, 'COMPLETED', ended.words);
    assert.equal(world.state.counts()['createCidSetFile 201'], 1);
    await world.assertEqualSides();
  });
});
