/** The demo from its first stage to its last: what happens in which order. What each part does stands in its own file. */

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { Io } from '../cli/io.ts';
import { KEY_TYPES } from '../dict/key-type.ts';
import { seededRandom } from '../simulator/random.ts';
import { type Background, inBackground } from './background.ts';
import { type EventFeed, eventFeed } from './event-feed.ts';
import { compareSides } from './final-comparison.ts';
import { loadBase } from './loading.ts';
import { showBeforeAndAfter, showPlanted, showReconciled, showRepairs } from './outcome-tables.ts';
import { type Planted, plant } from './planting.ts';
import { type Population, populate } from './population.ts';
import { type Reconciled, reconcileAll } from './reconciliation-round.ts';
import { readRepairs } from './repairs.ts';
import { DEMO, type DemoOptions, OURS } from './settings.ts';
import type { StageOutput } from './stage-output.ts';
import { type Traffic, traffic } from './traffic.ts';
import { showVerified, type Verified, verifyAll } from './verification-round.ts';
import { type DemoWorld, openWorld } from './world.ts';

export const STAGES = 11;

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
    const endedWell = await background.guard(tell(world, background, options, output));
    await background.stop();
    if (options.keep !== null) await leaveRunning(world, output, io.signal);
    return endedWell;
  } finally {
    await background.stop();
    await world.close();
  }
}

async function tell(world: DemoWorld, background: Background, options: DemoOptions, output: StageOutput): Promise<boolean> {
  output.line('Base    embedded PostgreSQL (from npm), schema up to date');
  output.line(`DICT    ${world.simulator.apiUrl}  with the real rate limits; its event log lags 5 s`);
  output.line('Path    signed XML both ways over mutual TLS, token buckets on both sides, as in production');
  output.line(`Clock   ${DEMO.scale} times as fast for everybody: a grace of 5 minutes takes ${300 / DEMO.scale} s`);
  const story = await register(world, background, options, output);
  await load(story);
  await verifyUnderTraffic(story);
  const planted = await goWrong(story);
  const before = await verifyAgain(story);
  const repairing = await reconcile(story);
  const scanning = await scan(story);
  const after = await endTraffic(story);
  const equal = await compare(story);
  const repairs = await readRepairs(world.base.database, planted);
  output.stage('What it came to');
  showBeforeAndAfter(output, before, after);
  output.line('');
  showRepairs(output, repairs);
  showWhatIsNext(story, [...repairing, ...scanning]);
  const refused = Object.entries(world.simulator.state.counts()).filter(([name]) => name.endsWith(' 429'));
  if (refused.length > 0) output.line(output.toned('bad', `DICT refused calls for their number: ${JSON.stringify(refused)}`));
  const repaired = repairs.planted.every((one) => one.repaired) && repairs.needless === 0;
  const endedWell = equal && repaired && after.every(({ answer }) => answer === 'OK');
  output.line('');
  output.line(
    endedWell
      ? output.toned('good', 'DICT says OK for every key type, and base and DICT are equal entry by entry.')
      : output.toned('bad', 'Base and DICT did not end equal, or not everything that went wrong was found and repaired.'),
  );
  return endedWell;
}

function showWhatIsNext({ options, output }: Story, runs: readonly Reconciled[]): void {
  output.line('');
  output.line('Reports of these runs:');
  for (const { keyType, reportId, status } of runs) output.line(`  ${reportId}  ${keyType.padEnd(5)} ${status}`);
  if (options.keep !== null) return;
  output.line('Orphans are set aside, out of the VSync, until a person decides about each (dict-vsync review).');
  output.line('"npm run demo -- --keep DIRECTORY" leaves all of it running to look into.');
}

/** Until interrupted. The commands find this base and this DICT by two variables. */
async function leaveRunning(world: DemoWorld, output: StageOutput, signal: AbortSignal): Promise<void> {
  world.clock.catchUp();
  output.line('');
  output.line('Everything goes on running until Ctrl+C. In another terminal:');
  output.line('');
  for (const [name, value] of Object.entries(world.env)) output.line(`  export ${name}='${value}'`);
  for (const [command, about] of [
    ['status', 'where every key type stands'],
    ['report list', 'the runs of this story; "report show ID" has what each found'],
    ['review list', 'the orphans that wait for a person'],
    ['verify', 'ask DICT again'],
    [`audit list --participant ${OURS}`, 'who changed what, hash-chained'],
  ]) {
    output.line(`  npm run dict-vsync -- ${(command ?? '').padEnd(33)} # ${about}`);
  }
  if (!signal.aborted) await once(signal, 'abort');
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
  const { directory, base } = world;
  const deps = { ...base, directory, newId: randomUUID, signal: story.background.signal };
  await loadBase(deps, population.all, asOf, (keys) => bar.at(keys)).finally(() => bar.end());
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
  const deps = { state, database: world.base.database, clock: world.clock, push: feed.push };
  const planted = await plant(deps, options, population);
  showPlanted(output, planted);
  return planted;
}

/** Steps of the bar. */
const passing = 40;

async function verifyAgain({ world, output, background }: Story): Promise<Verified[]> {
  output.stage('Verification of all key types: NOK, and where');
  // Sooner, a verification might rightly prove a moment before things went wrong, and call what differs since in flight.
  const bar = output.progress('five minutes pass', passing);
  for (let part = 1; part <= passing; part++) {
    await world.clock.sleep(DEMO.graceMs / passing, background.signal);
    bar.at(part);
  }
  bar.end();
  output.line('Five minutes have passed: what differs now is not on its way any more.');
  const verified = await verifyAll(world, output, background.signal);
  showVerified(output, verified);
  return verified;
}

async function reconcile({ world, output, background }: Story): Promise<Reconciled[]> {
  output.stage('Reconciliation: the cheapest proof first, each repair proved by DICT');
  const runs = await reconcileAll(world, output, background.signal, null);
  await showReconciled(world.base.database, output, runs);
  return runs;
}

async function scan({ world, output, background }: Story): Promise<Reconciled[]> {
  output.stage('What no verification can see: every row recomputed');
  const runs = await reconcileAll(world, output, background.signal, 'scan');
  await showReconciled(world.base.database, output, runs);
  return runs;
}

async function endTraffic(story: Story): Promise<Verified[]> {
  const { world, output, background, feed } = story;
  output.stage('Traffic ends, and DICT is asked for the last time');
  story.stopTraffic.abort();
  await world.clock.sleep(1_000, background.signal);
  await feed.drained(background.signal);
  const { counts } = feed;
  output.line(
    `${count(story.traffic.made)} changes by people; ${count(counts.delivered)} events delivered, ${count(counts.duplicate)} of them twice, ${counts.dead} refused`,
  );
  const verified = await verifyAll(world, output, background.signal);
  showVerified(output, verified);
  return verified;
}

async function compare({ world, output }: Story): Promise<boolean> {
  output.stage('Base and DICT, entry by entry: attributes, RequestId, CID, and VSyncs computed anew');
  let same = true;
  for (const keyType of KEY_TYPES) {
    const compared = await compareSides(world.base.database, world.simulator.state, { participant: OURS, keyType });
    same &&= compared.same;
    const { equal, different, onlyHere, onlyAtDict, vsyncEqual } = compared;
    const verdict = compared.same
      ? output.toned('good', 'equal')
      : output.toned(
          'bad',
          `${different} different, ${onlyHere} only here, ${onlyAtDict} only at DICT, VSyncs ${vsyncEqual ? '' : 'un'}equal`,
        );
    output.line(`${keyType.padEnd(5)} ${count(equal).padStart(9)} entries  VSync ${compared.vsync.slice(0, 12)}…  ${verdict}`);
  }
  return same;
}
