/**
 * A DICT, a base and a clock that moves only when a flow sleeps: verification scenarios that take minutes of the world's time and
 * no time of ours. The base is written CID by CID, as ingest would commit it; DICT is the real simulator over HTTP.
 */

import { randomUUID } from 'node:crypto';
import type { TestContext } from 'node:test';
import { createDictClient } from '../../src/bridge/dict-client.ts';
import { type Cid, computeCid } from '../../src/cid/cid.ts';
import { participant } from '../../src/dict/participant.ts';
import { type SampleEntry, sampleEntries } from '../../src/dict/sample-entries.ts';
import type { FlowContext } from '../../src/flow/context.ts';
import { verification } from '../../src/flow/verification.ts';
import type { Clock } from '../../src/platform/clock.ts';
import type { Database } from '../../src/platform/postgres/database.ts';
import type { SimulatorOptions } from '../../src/simulator/options.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';
import type { VerificationOutcome } from '../../src/verify/outcome.ts';
import { VERIFY_DEFAULTS, type VerifySettings } from '../../src/verify/settings.ts';
import { createVerificationSteps, type VerificationSteps } from '../../src/verify/steps.ts';
import { type ChangeSource, type CidTransition, commitTransitions, lockVSyncs, type Scope } from '../../src/vsync/vsync-store.ts';
import { testDatabase } from './database.ts';
import { steppedClock } from './stepped-clock.ts';

export const SCOPE: Scope = { participant: participant('00038166'), keyType: 'PHONE' };

export interface WorldOptions {
  readonly settings?: Partial<VerifySettings>;
  readonly simulator?: SimulatorOptions;
  /** Keys that both sides have from the start. Default 20. */
  readonly keys?: number;
  /** Happens at the start of each second of the world's time. */
  readonly eachSecond?: (world: VerifyWorld) => Promise<void>;
}

export type VerifyWorld = Awaited<ReturnType<typeof verifyWorld>>;

/** Both sides hold the same keys, seeded at DICT and imported here. */
export async function verifyWorld(t: TestContext, options: WorldOptions = {}) {
  const database = await testDatabase(t);
  const clock = steppedClock();
  const simulator = await startSimulator({ clock, policies: null, ...options.simulator });
  const dict = createDictClient({
    apiUrl: simulator.apiUrl,
    filesHosts: [],
    clock,
    random: () => 0.5,
    retry: { triesMax: 1 },
    budget: { policies: 'configured', rates: plenty },
  });
  t.after(async () => {
    await dict.close();
    await simulator.close();
  });
  const fresh = sampleEntries({ seed: 7, ...SCOPE, count: 100_000 });
  const settings: VerifySettings = { ...VERIFY_DEFAULTS, ...options.settings };
  const steps = createVerificationSteps({ database, dict, clock, settings, newId: randomUUID });
  const world = {
    database,
    clock,
    state: simulator.state,
    dict,
    settings,
    steps,
    /** Entries that neither side has yet. */
    take: (count: number): SampleEntry[] => Array.from({ length: count }, () => next(fresh)),
    /** Commits transitions to the base, as one commit. */
    commit: (transitions: readonly CidTransition[], source: ChangeSource = 'event') =>
      commit(database, clock, transitions, source),
    /** Lets the world's time pass, second by second. */
    pass: async (ms: number): Promise<void> => {
      for (let left = ms; left > 0; left -= 1_000) {
        if (left >= 1_000) await options.eachSecond?.(world);
        clock.move(Math.min(left, 1_000));
      }
    },
    /** Runs the flow to its outcome; `from` wraps the steps, for crashes and traces. */
    verify: (runId: string = randomUUID(), from: VerificationSteps = steps): Promise<VerificationOutcome> => {
      const context: FlowContext<VerificationSteps> = {
        steps: from,
        sleep: (ms) => world.pass(ms),
        waitForWake: (ms) => world.pass(ms),
      };
      return verification(context, { runId, ...SCOPE, trigger: 'test' });
    },
  };
  const first = world.take(options.keys ?? 20);
  simulator.state.seedEntries(first);
  await world.commit(first.map(added), 'import');
  return world;
}

const plenty = Object.fromEntries(
  ['SYNC_VERIFICATIONS_WRITE', 'CIDS_EVENTS_LIST', 'CIDS_ENTRIES_READ'].map((name) => [
    name,
    { capacity: 1e9, refillTokens: 1e9, refillPeriodMs: 1 },
  ]),
);

function next(entries: Iterator<SampleEntry, void>): SampleEntry {
  const { value } = entries.next();
  if (value === undefined) throw new Error('no more sample entries');
  return value;
}

async function commit(
  database: Database,
  clock: Clock,
  transitions: readonly CidTransition[],
  source: ChangeSource,
): Promise<void> {
  const now = clock.now();
  await database.transaction(async (tx) => {
    const [locked] = await lockVSyncs(tx, [SCOPE], now);
    if (locked === undefined) throw new Error('no VSync row');
    await commitTransitions(tx, locked, transitions, { source, algorithm: 'dict', now });
  });
}

export function cidOf({ entry, requestId }: SampleEntry): Cid {
  return computeCid(entry, requestId);
}

/** The entry's CID begins to count. */
export function added(sample: SampleEntry): CidTransition {
  return { change: 'added', cid: cidOf(sample), key: sample.entry.key };
}

/** The entry's CID ceases to count. */
export function removed(sample: SampleEntry): CidTransition {
  return { change: 'removed', cid: cidOf(sample), key: sample.entry.key };
}
