/**
 * The synchronisation test of Instrução Normativa BCB 508 against a simulated DICT, from the registration of the keys to DICT's OK: which
 * step follows which. What the rehearsal is judged by stands in verdict.ts.
 */

import type { Io } from '../../cli/io.ts';
import { type SampleEntry, sampleEntries } from '../../dict/sample-entries.ts';
import { seededRandom } from '../../simulator/random.ts';
import { synchronisationDeps } from '../../wire.ts';
import { type Background, inBackground } from '../background.ts';
import { type EventFeed, eventFeed } from '../event-feed.ts';
import { compareSides } from '../final-comparison.ts';
import { freshEntries, type Plan, type Planted, plantEach } from '../planting.ts';
import { type Reconciled, reconcile } from '../reconciliation-round.ts';
import { readRepairs } from '../repairs.ts';
import { OURS } from '../settings.ts';
import { type Verified, verify } from '../verification-round.ts';
import { type DemoWorld, openWorld } from '../world.ts';
import { type Claims, claims } from './claims.ts';
import { type RecordedDict, recordedDict } from './recorded-dict.ts';
import type { RehearsalLog } from './rehearsal-log.ts';
import { watchRun } from './run-watch.ts';
import { OTHER, type RehearsalOptions, scaleFor, TEST } from './settings.ts';
import { type Rehearsed, verdictOf } from './verdict.ts';

export const STEPS = 6;

interface Rehearsal {
  readonly options: RehearsalOptions;
  readonly world: DemoWorld;
  readonly dict: RecordedDict;
  readonly log: RehearsalLog;
  readonly background: Background;
  readonly feed: EventFeed;
  readonly ours: readonly SampleEntry[];
  readonly claims: Claims;
  /** Ends the claims alone: deliveries go on. */
  readonly stopClaims: AbortController;
}

/** Rehearses it, and says what came of it. Rejects with the signal's reason when interrupted, having closed and removed everything. */
export async function rehearse(
  io: Io,
  options: RehearsalOptions,
  logOf: (clock: DemoWorld['clock']) => RehearsalLog,
): Promise<Rehearsed> {
  // The keys are registered as fast as this machine can: a slow one must not spend the test's minutes on them.
  const { keys, seed } = options;
  const pace = { scale: 1, headStartMs: TEST.headStartMs };
  const world = await openWorld(io, { keys, seed, divergences: TEST.altered + TEST.inserted, keep: null }, pace);
  const background = inBackground(io.signal);
  try {
    const log = logOf(world.clock);
    const rehearsed = await background.guard(rehearseIn(world, background, options, log));
    await background.stop();
    return rehearsed;
  } finally {
    await background.stop();
    await world.close();
  }
}

async function rehearseIn(
  world: DemoWorld,
  background: Background,
  options: RehearsalOptions,
  log: RehearsalLog,
): Promise<Rehearsed> {
  const beganAt = world.clock.now();
  log.step('An empty base and a simulated DICT');
  log.line('base    embedded PostgreSQL, schema up to date');
  log.line(`DICT    ${world.simulator.apiUrl}  mutual TLS, signed both ways, the real rate limits; its event log lags 5 s`);
  const rehearsal = begin(world, background, options, log);
  const registered = await register(rehearsal);
  await claimsBegin(rehearsal, scaleFor(registered.keyMs));
  const testBeganAt = world.clock.now();
  const countsBefore = { dict: world.simulator.state.counts(), claims: { ...rehearsal.claims.counts } };
  const planted = await change(rehearsal);
  const reconciled = await synchronise(rehearsal);
  const { asked, okAt } = await askUntilOk(rehearsal);
  const endedAt = world.clock.now();
  const claimed = await endClaims(rehearsal);
  const { simulator, base } = world;
  return verdictOf({
    options,
    registered,
    reconciled,
    asked,
    okAt,
    times: { beganAt, testBeganAt, endedAt },
    repairs: await readRepairs(base.database, planted),
    countsBefore,
    countsAfter: { dict: simulator.state.counts(), claims: claimed },
    comparison: await compareSides(base.database, simulator.state, scopeOf(options)),
    calls: rehearsal.dict.calls,
    log: log.lines,
  });
}

function scopeOf({ keyType }: RehearsalOptions) {
  return { participant: OURS, keyType };
}

/** Keys of ours that claims may take; what the Central Bank alters comes from the rest. */
const claimedShare = 0.5;

function begin(world: DemoWorld, background: Background, options: RehearsalOptions, log: RehearsalLog): Rehearsal {
  const { seed, keyType, keys } = options;
  const { clock, base } = world;
  const random = seededRandom(seed);
  const dict = recordedDict(world.dict, clock, ({ operation, correlationId, says }) => {
    if (operation !== 'listCidSetEvents' && operation !== 'getEntryByCid')
      log.line(`${operation}  ${says}  correlation ${correlationId}`);
  });
  const feed = eventFeed(
    { ...base, random },
    {
      origin: 'homologation:core',
      deliveryMaxMs: TEST.deliveryMaxMs,
      duplicateShare: TEST.duplicateShare,
      pumpMs: 500,
      batchEvents: 500,
    },
  );
  const ours = [...sampleEntries({ seed, participant: OURS, keyType, count: keys })];
  const theirs = [...sampleEntries({ seed, participant: OTHER, keyType, count: keys, first: keys })];
  world.simulator.state.seedEntries(theirs);
  const claimable = ours.slice(0, Math.floor(keys * claimedShare));
  const made = claims(
    { dict: world.channels, state: world.simulator.state, clock, random, push: feed.push },
    { keyType, seed, everyMs: TEST.claimEveryMs, stepMaxMs: TEST.claimStepMaxMs },
    { ours: claimable, theirs },
  );
  return { options, world, dict, log, background, feed, ours, claims: made, stopClaims: new AbortController() };
}

/** Registrations under way at a time. */
const concurrency = 8;

/** The core registers every key at DICT and tells us of it, as it does of all others. */
async function register(rehearsal: Rehearsal): Promise<Verified & { readonly keyMs: number }> {
  const { options, world, log, background, feed, ours } = rehearsal;
  log.step(`${options.keys} ${options.keyType} keys of participant ${OURS} are registered`);
  background.start((signal) => feed.run(signal));
  const waiting = ours.values();
  const begunMs = performance.now();
  const registerSome = async (): Promise<void> => {
    for (const created of waiting) {
      background.signal.throwIfAborted();
      await world.channels.createEntry({ ...created, reason: 'USER_REQUESTED' });
      feed.push({ action: 'key.created', created, occurredAt: world.clock.now() });
    }
  };
  await Promise.all(Array.from({ length: concurrency }, registerSome));
  const keyMs = (performance.now() - begunMs) / ours.length;
  await feed.drained(background.signal);
  log.line(`${feed.counts.applied} keys arrived in the base as events of the core, ${feed.counts.duplicate} of them twice`);
  return { ...(await ask(rehearsal)), keyMs };
}

/** One verification as the product makes it, and how it ended. */
async function ask({ options, world, dict, log, background }: Rehearsal): Promise<Verified> {
  const asking = { ...world, dict: { ...dict, close: () => world.dict.close() } };
  const verified = await verify(asking, options.keyType, background.signal);
  log.line(`verification ${verified.runId}: ${sentenceOf(verified)}`);
  return verified;
}

function sentenceOf({ outcome, answer }: Verified): string {
  if (outcome.kind !== 'in-sync') return `${outcome.kind}: ${outcome.reason}`;
  if (outcome.proof === 'log') return `in sync; DICT said ${answer}, and its log accounts for what was on its way`;
  return answer === 'OK' ? 'in sync; DICT said OK' : `in sync; DICT said ${answer} at first, and OK when asked again`;
}

async function claimsBegin(rehearsal: Rehearsal, scale: number): Promise<void> {
  const { world, log, background } = rehearsal;
  log.step('Claims arrive from now on');
  world.clock.runAt(scale);
  log.line(`from here on the clock runs ${scale} times as fast as ours, for everybody`);
  background.start((signal) => rehearsal.claims.run(AbortSignal.any([signal, rehearsal.stopClaims.signal])));
  log.line(
    `one every ${TEST.claimEveryMs / 1_000} s, we are donor and claimer in turn; our core tells us up to ${TEST.deliveryMaxMs / 1_000} s later, ${TEST.duplicateShare * 100} % twice`,
  );
  await world.clock.sleep(TEST.claimsAloneMs, background.signal);
  await ask(rehearsal);
}

/** The Central Bank changes entries of ours, and tells nobody. */
async function change({ options, world, log, feed, ours }: Rehearsal): Promise<readonly Planted[]> {
  const { keyType, seed, inLog } = options;
  log.step(`The Central Bank alters ${TEST.altered} entries of ours and inserts ${TEST.inserted}: the hour begins`);
  const plan = (deed: Plan['deed']): Plan => ({ deed, keyType, rung: inLog ? 'log' : 'file' });
  const plans = [
    ...Array.from({ length: TEST.altered }, () => plan('alter')),
    ...Array.from({ length: TEST.inserted }, () => plan('insert')),
  ];
  const known = ours.slice(Math.floor(ours.length * claimedShare)).values();
  const supply = new Map([[keyType, { known, fresh: freshEntries(seed, keyType, TEST.inserted) }]]);
  const { state } = world.simulator;
  const planted = plantEach({ state, clock: world.clock, push: feed.push }, plans, supply);
  const { vsync, keys } = state.vsync(scopeOf(options));
  log.line(`DICT now has ${keys} keys, VSync ${vsync} (which it tells nobody)${inLog ? '' : '; its log shows nothing of it'}`);
  return planted;
}

/** What `dict-vsync reconcile` does. */
async function synchronise({ options, world, dict, log, background }: Rehearsal): Promise<Reconciled> {
  log.step('The participant verifies, finds what differs, and repairs its own base');
  const deps = synchronisationDeps(world.base, dict, background.signal);
  const over = new AbortController();
  const watching = watchRun(world.base.database, scopeOf(options), over.signal, log.line);
  try {
    const reconciled = await reconcile(deps, options.keyType, null);
    log.line(`report ${reconciled.reportId}: ${reconciled.status}, ${reconciled.outcome}`);
    return reconciled;
  } finally {
    over.abort();
    await watching;
  }
}

interface Answers {
  readonly asked: readonly Verified[];
  readonly okAt: Date | null;
}

/** The test wants DICT's own OK. Between two events of a claim DICT rightly says NOK, so the question is put again. */
async function askUntilOk(rehearsal: Rehearsal): Promise<Answers> {
  const { world, log, background } = rehearsal;
  log.step('DICT is asked until it says OK itself, while claims go on');
  const asked: Verified[] = [];
  for (let question = 0; question < TEST.questionsMax; question++) {
    if (question > 0) await world.clock.sleep(TEST.questionEveryMs, background.signal);
    const verified = await ask(rehearsal);
    asked.push(verified);
    if (verified.outcome.kind === 'in-sync' && verified.outcome.proof === 'ok') return { asked, okAt: world.clock.now() };
    if (verified.outcome.kind === 'diverged') break;
  }
  return { asked, okAt: null };
}

/** For the comparison entry by entry, which needs both sides at rest. */
async function endClaims({ background, feed, claims: made, stopClaims }: Rehearsal) {
  stopClaims.abort(new Error('the test is over'));
  await made.ended;
  await feed.drained(background.signal);
  return { ...made.counts };
}
