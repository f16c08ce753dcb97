/**
 * The whole product against a DICT that misbehaves: simulator over mutual TLS with signatures both ways, PostgreSQL, and the synchronisation
 * flow with its runner's retries and its report. Divergences are planted, a fault is let loose, and one way of looking says
 * whether the product kept its promises: the right end with the right words, nothing repaired that was not planted, nothing written
 * to DICT, the ledger whole, and, once the fault is over, both sides equal.
 */

import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import type { TestContext } from 'node:test';
import { checkAuditChain } from '../../src/ledger/audit.ts';
import { findReport } from '../../src/report/sync-report.ts';
import { runSynchronisation, type SynchronisationRunDeps } from '../../src/runner/synchronisation-run.ts';
import type { TamperOptions } from '../../src/simulator/control.ts';
import { falselySigned } from '../../src/simulator/false-signature.ts';
import { type ReconcileWorld, type ReconcileWorldOptions, reconcileWorld } from './reconcile-world.ts';
import { dictSide, participantSide } from './signed-sides.ts';
import { authority, identity } from './tls-sides.ts';

export type Status = 'COMPLETED' | 'PARTIAL' | 'FAILED';

/** How a synchronisation under a fault has to end. */
export interface Expected {
  readonly status: Status;
  /** Found in the outcome, the report's error message, or the reason of a divergence that stayed open. */
  readonly says?: RegExp;
  /** What the base is then: as DICT, as it was before, or repaired in part (of what was planted). */
  readonly base: 'equal' | 'untouched' | 'in part';
}

/** Three keys differ, and DICT's log tells of it, keeps silent (which leads to the file), or tells an hour later. */
const PLANTINGS = {
  logged: { log: true },
  hidden: { log: false },
  late: { log: true, listedAfterMs: 3_600_000 },
} as const satisfies Readonly<Record<string, TamperOptions>>;
export type Planting = keyof typeof PLANTINGS;

export interface Ended {
  readonly status: Status;
  readonly outcome: string;
  readonly syncId: string;
  /** Everything that the product has said about this run. */
  readonly words: string;
  /** Of the world's clock. */
  readonly endedAtMs: number;
}

export type FaultWorld = Awaited<ReturnType<typeof faultWorld>>;

const minuteMs = 60_000;
const going = new AbortController().signal;
const detailsKeys = new Map([[1, randomBytes(32)]]);

/** A stall is over after two seconds, which a busy machine needs for a call that goes well. */
const IMPATIENT = { connectMs: 5_000, callMs: 2_000, idleMs: 2_000 } as const;

// The key of the stranger takes a while to make: not within a call that has two seconds.
falselySigned('<warm/>', 'unknown-certificate', dictSide.sign);

const server = authority.issue();
/** The simulator's side of TLS. */
const serverTls = { certificate: server.pem.certificate, key: server.pem.key, authority: authority.pem.certificate };

/** Everything is signed and verified both ways, over mutual TLS; 40 keys on both sides unless told otherwise. */
export async function faultWorld(t: TestContext, options: ReconcileWorldOptions = {}) {
  const own = identity(t);
  const world = await reconcileWorld(t, {
    signatures: participantSide,
    limits: IMPATIENT,
    bridgeWaits: true,
    tls: () => own,
    ...options,
    simulator: { signatures: dictSide, tls: serverTls, ...options.simulator },
  });
  assert.match(world.apiUrl, /^https:/);
  const untouched = [...world.first];
  return {
    ...world,
    /** Three keys that differ: one changed at DICT, one gone, one new. Answers their keys. */
    plant: (planting: Planting): readonly string[] => plant(world, untouched, planting),
    synchronise: (more: Partial<SynchronisationRunDeps> = {}) => synchronise(world, more),
    /** Lets a fault loose on planted divergences, looks at everything, ends the fault, and looks whether all is well then. */
    endure: (trial: Trial) => endure(world, untouched, trial),
    /** What DICT and base hold, to be compared later. */
    picture: () => picture(world),
    assertPromises: (before: Picture, planted: readonly string[]) => assertPromises(world, before, planted),
    converge: () => converge(world),
  };
}

export interface Trial {
  /** Default: logged. */
  readonly plant?: Planting;
  /** Before the planting. */
  readonly prepare?: () => void;
  /** After the planting: sets the fault. */
  readonly fault: (planted: readonly string[]) => void;
  /** Ends what `clearFaults` does not. */
  readonly mend?: () => void;
  /** Null: any end is right, as long as every promise is kept and all is well afterwards. */
  readonly expected: Expected | null;
}

type Sample = ReconcileWorld['first'][number];

function plant(world: ReconcileWorld, untouched: Sample[], planting: Planting): readonly string[] {
  const [altered, gone] = untouched.splice(0, 2);
  const [missing] = world.take(1);
  assert.ok(altered && gone && missing, 'there are keys left to plant in');
  const options = PLANTINGS[planting];
  world.state.alter(altered.entry.key, { accountNumber: String(world.clock.now().getTime()) }, options);
  world.state.remove(gone.entry.key, options);
  world.state.insert(missing, options);
  world.pass(10 * minuteMs);
  return [altered, gone, missing].map(({ entry }) => entry.key);
}

function silentLog() {
  const nothing = (): void => {};
  const log = { debug: nothing, info: nothing, warn: nothing, error: nothing, child: () => log };
  return log;
}

/** The world's clock moves only when the flow or its runner sleeps; time limits of steps must not move it. */
async function synchronise(world: ReconcileWorld, more: Partial<SynchronisationRunDeps>): Promise<Ended> {
  const clock = {
    now: () => world.clock.now(),
    sleep: (ms: number, signal?: AbortSignal): Promise<void> => {
      if (signal !== going) return new Promise(() => {});
      world.pass(ms);
      return Promise.resolve();
    },
  };
  const runner = { clock, log: silentLog(), signal: going, suspendOnWait: true, wakePollMs: minuteMs, detailsKeys };
  const requestedBy = { name: 'ana', authenticated: false };
  const input = { syncId: randomUUID(), owner: randomUUID(), ...world.scope, requestedBy, fromRung: null };
  const ended = await runSynchronisation({ ...world.deps, ...runner, ...more }, input);
  assert.ok(ended.kind === 'ended', `nobody else works on it: ${JSON.stringify(ended)}`);
  const report = await findReport(world.database, ended.syncId);
  assert.ok(report !== null, 'there is a report');
  const { status } = ended;
  assert.ok(status === 'COMPLETED' || status === 'PARTIAL' || status === 'FAILED', 'the report is closed');
  assert.equal(report.status, ended.status);
  const open = ended.runId === null ? [] : (await world.divergences(ended.runId)).filter(({ state }) => state !== 'applied');
  const words = [ended.outcome, report.errorMessage, ...open.map(({ state, reason }) => `${state}: ${reason}`)].join('\n');
  return {
    status,
    outcome: ended.outcome,
    syncId: ended.syncId,
    words,
    endedAtMs: world.clock.now().getTime(),
  };
}

export interface Picture {
  readonly here: ReadonlyMap<string, string>;
  readonly vsync: string;
  readonly there: string;
  readonly corrections: number;
}

async function picture(world: ReconcileWorld): Promise<Picture> {
  const { rows } = await world.database.query<{ key: string; state: string }>(
    `SELECT key, concat_ws(' ', status, encode(cid, 'hex'), account_number, owner_name) AS state FROM dict_entries ORDER BY key`,
  );
  const { rows: sums } = await world.database.query<{ vsync: string }>(
    `SELECT encode(vsync, 'hex') AS vsync FROM dict_vsyncs WHERE participant = $1 AND key_type = $2`,
    [world.scope.participant, world.scope.keyType],
  );
  return {
    here: new Map(rows.map(({ key, state }) => [key, state])),
    vsync: sums[0]?.vsync ?? '',
    there: JSON.stringify([...world.state.activeEntries()].toSorted((a, b) => (a.cid < b.cid ? -1 : 1))),
    corrections: await world.count(`FROM audit_log WHERE kind = 'correction'`),
  };
}

/** What has to hold after whatever DICT did. */
async function assertPromises(world: ReconcileWorld, before: Picture, planted: readonly string[]): Promise<Picture> {
  const after = await picture(world);
  const touched = [...new Set([...before.here.keys(), ...after.here.keys()])].filter(
    (key) => before.here.get(key) !== after.here.get(key),
  );
  assert.deepEqual(
    touched.filter((key) => !planted.includes(key)),
    [],
    'no key is repaired that was not planted',
  );
  for (const key of before.here.keys()) assert.ok(after.here.has(key), 'no row is lost');
  assert.equal(after.corrections - before.corrections, touched.length, 'each repair, and nothing else, stands in the audit log');
  assert.equal(after.there, before.there, 'DICT holds what it held');
  const written = Object.keys(world.state.counts()).filter((name) => /^(create|update|delete)Entry |Claim /.test(name));
  assert.deepEqual(written, [], 'nothing was written to DICT');
  const chain = await checkAuditChain(world.database, world.scope.participant);
  assert.ok(chain.intact, 'the audit chain is whole');
  assert.equal(await world.count('FROM event_dead_letters'), 0, 'no event is dead');
  assert.deepEqual(await readdir(world.deps.workDirectory), [], 'no file is left behind');
  assert.equal(await world.count('FROM dict_reconciliations WHERE ended_at IS NULL'), 0, 'no run stays open');
  return after;
}

/** With the fault over, one synchronisation an hour later brings both sides together. */
async function converge(world: ReconcileWorld): Promise<void> {
  world.pass(60 * minuteMs);
  let ended = await synchronise(world, {});
  // What DICT refused to tell may have been put before a later look: a second run has nothing in its way.
  if (ended.status !== 'COMPLETED') {
    world.pass(60 * minuteMs);
    ended = await synchronise(world, {});
  }
  assert.equal(ended.status, 'COMPLETED', ended.words);
  await world.assertEqualSides();
}

async function endure(world: ReconcileWorld, untouched: Sample[], trial: Trial): Promise<Ended> {
  const { expected } = trial;
  trial.prepare?.();
  const planted = plant(world, untouched, trial.plant ?? 'logged');
  let ended: Ended;
  let after: Picture;
  try {
    trial.fault(planted);
    const before = await picture(world);
    ended = await synchronise(world, {});
    if (expected !== null) assert.equal(ended.status, expected.status, ended.words);
    if (expected?.says !== undefined) assert.match(ended.words, expected.says);
    after = await assertPromises(world, before, planted);
    if (expected?.base === 'equal') await world.assertEqualSides();
    if (expected?.base === 'untouched') {
      assert.deepEqual([after.here, after.vsync], [before.here, before.vsync], 'the base is untouched');
    }
  } finally {
    world.state.clearFaults();
    trial.mend?.();
  }
  await converge(world);
  await assertPromises(world, after, planted);
  return ended;
}
