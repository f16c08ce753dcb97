/** The demo from its first stage to its last: what happens in which order. What each part does stands in its own file. */

import type { Io } from '../cli/io.ts';
import { KEY_TYPES } from '../dict/key-type.ts';
import { seededRandom } from '../simulator/random.ts';
import { type Background, inBackground } from './background.ts';
import { type EventFeed, eventFeed } from './event-feed.ts';
import { compareSides } from './final-comparison.ts';
import { loadBase } from './loading.ts';
import { type Planted, plant } from './planting.ts';
import { type Population, populate } from './population.ts';
import { reconcileAll } from './reconciliation-round.ts';
import { DEMO, type DemoOptions, OURS } from './settings.ts';
import type { StageOutput } from './stage-output.ts';
import { type Traffic, traffic } from './traffic.ts';
import { showVerified, verifyAll } from './verification-round.ts';
import { type DemoWorld, openWorld } from './world.ts';

export const STAGES = 9;

interface Story {
  readonly options: DemoOptions;
  readonly world: DemoWorld;
  readonly output: StageOutput;
  readonly background: Background;
  readonly feed: EventFeed;
  readonly population: Population;
  readonly traffic: Traffic;
  /** Ends the traffic alone: deliveries go on. */
  readonly stopTraffic: AbortController;
}

/** Tells the story; true where it ends well. Rejects with the signal's reason when interrupted, having closed everything. */
export async function tellStory(io: Io, options: DemoOptions, output: StageOutput): Promise<boolean> {
  output.stage('An empty base and a simulated DICT');
  const world = await openWorld(io, options);
  const background = inBackground(io.signal);
  try {
    return await background.guard(tell(world, background, options, output));
  } finally {
    await background.stop();
    await world.close();
  }
}

async function tell(world: DemoWorld, background: Background, options: DemoOptions, output: StageOutput): Promise<boolean> {
  output.line('Base    embedded PostgreSQL (from npm), schema up to date');
  output.line(`DICT    ${world.simulator.apiUrl}  with the real rate limits; its event log lags 5 s`);
  output.line(`Clock   ${DEMO.scale} times as fast for everybody: a grace of 5 minutes takes ${300 / DEMO.scale} s`);
  const story = await register(world, background, options, output);
  await load(story);
  await verifyUnderTraffic(story);
  const planted = await goWrong(story);
  await verifyAgain(story);
  await reconcile(story);
  await scan(story);
  await endTraffic(story);
  void planted;
  return compare(story);
}

const count = (value: number): string => value.toLocaleString('en-US');

async function register(world: DemoWorld, background: Background, options: DemoOptions, output: StageOutput): Promise<Story> {
  output.stage(`${count(options.keys)} keys of participant ${OURS} registered at DICT`);
  const bar = output.progress('registering', options.keys);
  const population = await populate(world.simulator.state, options, (keys) => bar.at(keys)).finally(() => bar.end());
  for (const keyType of KEY_TYPES) {
    const { keys, vsync } = world.simulator.state.vsync({ participant: OURS, keyType });
    output.line(`${keyType.padEnd(5)} ${count(keys).padStart(9)} keys  VSync ${vsync.slice(0, 12)}…`);
  }
  const random = seededRandom(options.seed);
  const { deliveryMaxMs, duplicateShare, changesPerSecond } = DEMO;
  const feed = eventFeed(
    { ...world.base, random },
    { origin: 'demo:core', deliveryMaxMs, duplicateShare, pumpMs: 2_000, batchEvents: 500 },
  );
  const people = traffic(
    { dict: world.channels, clock: world.clock, random, push: feed.push },
    { participant: OURS, seed: options.seed, changesPerSecond, concurrency: 8 },
    population.forTraffic,
  );
  return { options, world, output, background, feed, population, traffic: people, stopTraffic: new AbortController() };
}

async function load(story: Story): Promise<void> {
  const { world, output, population, options } = story;
  output.stage('The base is loaded, and DICT is asked for the first time');
  const asOf = world.clock.now();
  const startMs = performance.now();
  const bar = output.progress('loading', options.keys);
  await loadBase(world, population.all, asOf, (keys) => bar.at(keys), story.background.signal).finally(() => bar.end());
  const seconds = (performance.now() - startMs) / 1_000;
  output.line(`${count(options.keys)} keys loaded in ${seconds.toFixed(1)} s, CIDs and VSyncs computed`);
  showVerified(output, await verifyAll(world, output, story.background.signal));
}

async function verifyUnderTraffic(story: Story): Promise<void> {
  const { world, output, background, feed } = story;
  output.stage('People change their keys from now on, and DICT is asked again');
  background.start((signal) => feed.run(signal));
  background.start((signal) => story.traffic.run(AbortSignal.any([signal, story.stopTraffic.signal])));
  output.line(
    `Traffic ${DEMO.changesPerSecond} changes a second over DICT’s API; events reach us 0 to ${DEMO.deliveryMaxMs / 1_000} s later, reordered, ${DEMO.duplicateShare * 100} % twice`,
  );
  await world.clock.sleep(60_000, background.signal);
  showVerified(output, await verifyAll(world, output, background.signal));
}

async function goWrong({ world, output, options, population, feed }: Story): Promise<readonly Planted[]> {
  output.stage(`${options.divergences} things go wrong behind our back`);
  const { state } = world.simulator;
  const planted = await plant({ state, database: world.base.database, clock: world.clock, push: feed.push }, options, population);
  return planted;
}

async function verifyAgain({ world, output, background }: Story): Promise<void> {
  output.stage('Verification of all key types: NOK, and where');
  showVerified(output, await verifyAll(world, output, background.signal));
}

async function reconcile({ world, output, background }: Story): Promise<void> {
  output.stage('Reconciliation: the cheapest proof first, each repair proved by DICT');
  for (const one of await reconcileAll(world, output, background.signal, null)) output.line(JSON.stringify(one));
}

async function scan({ world, output, background }: Story): Promise<void> {
  output.stage('What no verification can see: every row recomputed');
  for (const one of await reconcileAll(world, output, background.signal, 'scan')) output.line(JSON.stringify(one));
}

async function endTraffic(story: Story): Promise<void> {
  const { world, output, background, feed } = story;
  output.stage('Traffic ends, and DICT is asked for the last time');
  story.stopTraffic.abort();
  await world.clock.sleep(1_000, background.signal);
  await feed.drained(background.signal);
  const { counts } = feed;
  output.line(
    `${count(story.traffic.made)} changes by people; ${count(counts.delivered)} events delivered, ${count(counts.duplicate)} of them twice, ${counts.dead} refused`,
  );
  showVerified(output, await verifyAll(world, output, background.signal));
}

async function compare({ world, output }: Story): Promise<boolean> {
  output.stage('Base and DICT, entry by entry');
  let same = true;
  for (const keyType of KEY_TYPES) {
    const compared = await compareSides(world.base.database, world.simulator.state, { participant: OURS, keyType });
    same &&= compared.same;
    output.line(JSON.stringify(compared));
  }
  return same;
}
