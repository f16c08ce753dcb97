/**
 * The product under traffic: twenty changes a second reach DICT over its API, their events reach the base up to thirty seconds
 * later, reordered and some twice, while every participant and key type is verified again and again and things go wrong behind
 * our back. The clock is compressed; all ratios are kept. Judged against DICT entry by entry.
 */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { type TestContext, test } from 'node:test';
import { createDictClient } from '../../src/bridge/dict-client.ts';
import { createDictTrafficClient } from '../../src/bridge/dict-traffic-client.ts';
import { type Background, inBackground } from '../../src/demo/background.ts';
import { type EventFeed, eventFeed } from '../../src/demo/event-feed.ts';
import { compareSides } from '../../src/demo/final-comparison.ts';
import { loadBase } from '../../src/demo/loading.ts';
import { storyClock } from '../../src/demo/story-clock.ts';
import { type Traffic, traffic } from '../../src/demo/traffic.ts';
import { KEY_TYPES } from '../../src/dict/key-type.ts';
import { participant } from '../../src/dict/participant.ts';
import { type SampleEntry, sampleEntries } from '../../src/dict/sample-entries.ts';
import { RECONCILE_DEFAULTS } from '../../src/reconcile/reconciliation.ts';
import { runSynchronisation, type SynchronisationRunDeps } from '../../src/runner/synchronisation-run.ts';
import { runVerification } from '../../src/runner/verification-run.ts';
import { seededRandom } from '../../src/simulator/random.ts';
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts';
import { VERIFY_DEFAULTS } from '../../src/verify/settings.ts';
import type { Scope } from '../../src/vsync/scope.ts';
import { testDatabase } from '../support/database.ts';

const seed = Number(process.env['TEST_SEED'] ?? 20_260_301);
/** Seconds of the world's clock in one of ours. */
const scale = 8;
const headStartMs = 8 * 3_600_000;
const participants = ['00038166', '60746948', '90400888', '99999004'].map(participant);
const changesPerSecond = 20;
const keysOfScope = 60;
/** Of each scope; the rest is what goes wrong behind our back. */
const keysForTraffic = 45;
const verificationsBefore = 5;
const verificationsAfter = 5;
const deliveryMaxMs = 30_000;

interface World {
  readonly deps: SynchronisationRunDeps;
  readonly simulator: Simulator;
  readonly feed: EventFeed;
  readonly people: readonly Traffic[];
  readonly background: Background;
  readonly stopTraffic: AbortController;
  /** By scope, keys that no traffic touches. */
  readonly quietKeys: ReadonlyMap<string, readonly SampleEntry[]>;
}

const scopes: readonly Scope[] = participants.flatMap((each) => KEY_TYPES.map((keyType) => ({ participant: each, keyType })));
const nameOf = (scope: Scope): string => `${scope.participant} ${scope.keyType}`;

function silentLog() {
  const nothing = (): void => {};
  const log = { debug: nothing, info: nothing, warn: nothing, error: nothing, child: () => log };
  return log;
}

async function openWorld(t: TestContext): Promise<World> {
  const database = await testDatabase(t);
  const clock = storyClock(scale, headStartMs);
  const directory = await mkdtemp(path.join(tmpdir(), 'dict-vsync-traffic-'));
  const simulator = await startSimulator({ clock, seed });
  const random = seededRandom(seed);
  const dict = createDictClient({ apiUrl: simulator.apiUrl, filesHosts: ['127.0.0.1'], clock, random: Math.random });
  const channels = createDictTrafficClient({ apiUrl: simulator.apiUrl, clock, random: Math.random });
  const background = inBackground(new AbortController().signal);
  t.after(async () => {
    await background.stop();
    await channels.close();
    await dict.close();
    await simulator.close();
    await rm(directory, { recursive: true, force: true });
  });
  const feed = eventFeed(
    { database, clock, random },
    { origin: 'traffic', deliveryMaxMs, duplicateShare: 0.1, pumpMs: 1_000, batchEvents: 500 },
  );
  const quietKeys = new Map<string, readonly SampleEntry[]>();
  const busy = new Map<string, SampleEntry[]>(participants.map((each) => [each, []]));
  const all: SampleEntry[] = [];
  for (const scope of scopes) {
    const entries = [...sampleEntries({ seed: `${seed} ${nameOf(scope)}`, ...scope, count: keysOfScope })];
    all.push(...entries);
    busy.get(scope.participant)?.push(...entries.slice(0, keysForTraffic));
    quietKeys.set(nameOf(scope), entries.slice(keysForTraffic));
  }
  simulator.state.seedEntries(all);
  await loadBase({ database, clock, newId: randomUUID, directory, signal: background.signal }, all, clock.now(), () => {});
  const people = participants.map((each, index) =>
    traffic(
      { dict: channels, clock, random, push: feed.push },
      { participant: each, seed: seed + index, changesPerSecond: changesPerSecond / participants.length, concurrency: 4 },
      busy.get(each) ?? [],
    ),
  );
  const deps: SynchronisationRunDeps = {
    database,
    dict,
    clock,
    log: silentLog(),
    signal: background.signal,
    suspendOnWait: true,
    wakePollMs: 30_000,
    settings: RECONCILE_DEFAULTS,
    verify: VERIFY_DEFAULTS,
    detailsKeys: null,
    workDirectory: directory,
    newId: randomUUID,
  };
  return { deps, simulator, feed, people, background, stopTraffic: new AbortController(), quietKeys };
}

interface Seen {
  readonly scope: Scope;
  readonly outcome: string;
}

async function verify({ deps }: World, scope: Scope, seen: Seen[]): Promise<void> {
  const outcome = await runVerification({ ...deps, settings: deps.verify }, { runId: randomUUID(), ...scope, trigger: 'test' });
  seen.push({ scope, outcome: outcome.kind === 'in-sync' ? 'in-sync' : JSON.stringify(outcome) });
}

/** What goes wrong in a scope: by turns something the log tells of, something it hides, several hidden things, or nothing. */
const deeds = ['nothing', 'told', 'one hidden', 'several hidden'] as const;
type Deed = (typeof deeds)[number];

/** Does it and answers which keys differ for it. */
function tamper({ simulator, quietKeys }: World, scope: Scope, deed: Deed): string[] {
  const { state } = simulator;
  const [altered, removed, other, more] = quietKeys.get(nameOf(scope)) ?? [];
  assert.ok(altered && removed && other && more);
  const fresh = sampleEntries({ seed: `${seed} inserted`, ...scope, count: 1, first: 5_000_000 }).next().value;
  assert.ok(fresh);
  switch (deed) {
    case 'nothing':
      return [];
    case 'told':
      state.alter(altered.entry.key, { accountNumber: '0099887766' }, { log: true });
      state.remove(removed.entry.key, { log: true });
      state.insert(fresh, { log: true });
      return [altered, removed, fresh].map(({ entry }) => entry.key);
    case 'one hidden':
      state.remove(removed.entry.key, { log: false });
      return [removed.entry.key];
    case 'several hidden':
      state.alter(altered.entry.key, { accountNumber: '0099887766' }, { log: false });
      state.alter(other.entry.key, { branch: '4321' }, { log: false });
      state.remove(removed.entry.key, { log: false });
      state.insert(fresh, { log: false });
      return [altered, other, removed, fresh].map(({ entry }) => entry.key);
  }
}

/** The keys that were repaired in a scope, one for each repair. */
async function repairsOf({ deps }: World, scope: Scope): Promise<string[]> {
  const { rows } = await deps.database.query<{ key: string }>(
    `SELECT key FROM dict_divergences WHERE participant = $1 AND key_type = $2 AND state = 'applied'`,
    [scope.participant, scope.keyType],
  );
  return rows.map(({ key }) => key);
}

async function live(world: World, scope: Scope, deed: Deed, seen: Seen[]): Promise<void> {
  const { deps } = world;
  for (let round = 0; round < verificationsBefore; round++) await verify(world, scope, seen);
  const planted = tamper(world, scope, deed);
  if (planted.length > 0) {
    // Past the grace: before it, a difference might still be on its way.
    await deps.clock.sleep(deps.verify.inFlightGraceMs + deps.verify.logLagMs, deps.signal);
    const result = await runSynchronisation(deps, {
      syncId: randomUUID(),
      owner: randomUUID(),
      ...scope,
      requestedBy: { name: 'test', authenticated: false },
      fromRung: null,
    });
    const ended = result.kind === 'ended' ? `${result.status} ${result.outcome}` : result.kind;
    assert.equal(ended, 'COMPLETED completed', `${nameOf(scope)}, ${deed}`);
  }
  const repaired = await repairsOf(world, scope);
  assert.deepEqual(
    repaired.toSorted(),
    planted.toSorted(),
    `${nameOf(scope)}, ${deed}: what went wrong is repaired, and nothing else`,
  );
  for (let round = 0; round < verificationsAfter; round++) await verify(world, scope, seen);
}

test('under twenty changes a second no verification errs, and everything that goes wrong is found and repaired', async (t) => {
  const world = await openWorld(t);
  const { background, feed, people, simulator, stopTraffic, deps } = world;
  background.start((signal) => feed.run(signal));
  for (const one of people) background.start((signal) => one.run(AbortSignal.any([signal, stopTraffic.signal])));
  const seen: Seen[] = [];
  const startedMs = deps.clock.now().getTime();
  await background.guard(
    Promise.all(scopes.map((scope, index) => live(world, scope, deeds[index % deeds.length] ?? 'nothing', seen))),
  );
  const seconds = (deps.clock.now().getTime() - startedMs) / 1_000;
  stopTraffic.abort();
  const [made, called] = [people.reduce((sum, one) => sum + one.made, 0), people.reduce((sum, one) => sum + one.called, 0)];
  await deps.clock.sleep(2_000, background.signal);
  await feed.drained(background.signal);
  t.diagnostic(`TEST_SEED=${seed}`);
  t.diagnostic(`${made} changes in ${Math.round(seconds)} s of the world's clock, ${Math.round(made / seconds)} a second`);
  t.diagnostic(`${seen.length} verifications; the longest a due event waited for ingest: ${Math.round(feed.longestWaitMs)} ms`);

  await t.test('the machine kept up, so that what follows says something', () => {
    assert.ok(made >= 0.9 * called, `${made} of ${called} changes were made: this machine is too slow for the scale ${scale}`);
    assert.ok(feed.longestWaitMs < 60_000, `a due event waited ${feed.longestWaitMs} ms for ingest`);
    assert.ok(made / seconds >= 0.9 * changesPerSecond);
  });

  await t.test('at least 200 verifications, none diverged, none left inconclusive', () => {
    assert.ok(seen.length >= 200, `${seen.length}`);
    const wrong = seen.filter(({ outcome }) => outcome !== 'in-sync').map(({ scope, outcome }) => `${nameOf(scope)}: ${outcome}`);
    assert.deepEqual(wrong, []);
  });

  await t.test('DICT was never asked more than it allows', () => {
    const refused = Object.entries(simulator.state.counts()).filter(([name]) => name.endsWith(' 429'));
    assert.deepEqual(refused, []);
  });

  for (const scope of scopes) {
    await t.test(`${nameOf(scope)}: base and DICT are equal entry by entry`, async () => {
      const compared = await compareSides(deps.database, simulator.state, scope);
      assert.equal(compared.same, true, JSON.stringify(compared));
    });
  }
});
