/**
 * Reconciliation scenarios: the real simulator over HTTP, the real database, the real ingest, and a clock that moves only when a
 * flow sleeps, so that graces and expiries of hours take no time.
 */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import type { TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { Signatures } from '../../src/bridge/answer-signature.ts';
import { createDictClient } from '../../src/bridge/dict-client.ts';
import type { TlsSource, TransportLimits } from '../../src/bridge/dict-transport.ts';
import type { RetryPolicy } from '../../src/bridge/retry.ts';
import { type Cid, cidToHex, computeCid } from '../../src/cid/cid.ts';
import type { DictApi } from '../../src/dict/api.ts';
import type { Entry } from '../../src/dict/entry.ts';
import type { KeyType } from '../../src/dict/key-type.ts';
import { type Participant, participant } from '../../src/dict/participant.ts';
import { type SampleEntry, sampleEntries } from '../../src/dict/sample-entries.ts';
import { flatEntry } from '../../src/event/flat-entry.ts';
import type { FlowContext } from '../../src/flow/context.ts';
import { type ReconciliationOutcome, reconciliation } from '../../src/flow/reconciliation.ts';
import { verification } from '../../src/flow/verification.ts';
import { readEntry, writeEntries } from '../../src/ingest/entry-store.ts';
import { ingestBatch } from '../../src/ingest/ingest-batch.ts';
import { ensureParticipants } from '../../src/ingest/participant-store.ts';
import type { Clock } from '../../src/platform/clock.ts';
import type { Database } from '../../src/platform/postgres/database.ts';
import { type Opening, openReconciliation } from '../../src/reconcile/opening.ts';
import { RECONCILE_DEFAULTS, type ReconcileDeps, type ReconcileSettings, type Rung } from '../../src/reconcile/reconciliation.ts';
import { createReconciliationSteps, type ReconciliationSteps } from '../../src/reconcile/steps.ts';
import type { SimulatorOptions } from '../../src/simulator/options.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';
import type { VerificationOutcome } from '../../src/verify/outcome.ts';
import { VERIFY_DEFAULTS, type VerifySettings } from '../../src/verify/settings.ts';
import { createVerificationSteps, type VerificationSteps } from '../../src/verify/steps.ts';
import { vsyncToHex } from '../../src/vsync/vsync.ts';
import { commitTransitions, lockVSyncs, readVSync, type Scope } from '../../src/vsync/vsync-store.ts';
import { testDatabase } from './database.ts';
import { steppedClock } from './stepped-clock.ts';

export const SCOPE: Scope = { participant: participant('00038166'), keyType: 'EMAIL' };

export type AllSteps = ReconciliationSteps & VerificationSteps;

export interface ReconcileWorldOptions {
  /** Keys that both sides have from the start. Default 40. */
  readonly keys?: number;
  readonly keyType?: KeyType;
  readonly participant?: Participant;
  readonly settings?: Partial<ReconcileSettings>;
  readonly verify?: Partial<VerifySettings>;
  readonly simulator?: SimulatorOptions;
  /** What the bridge signs with and whom it trusts. Default: nothing and nobody. */
  readonly signatures?: Signatures;
  /** What the bridge's connections are made with; the simulator's side is among its own options. Default: plain http. */
  readonly tls?: TlsSource;
  /** Limits of the network. Default: the bridge's. */
  readonly limits?: Partial<TransportLimits>;
  /** How often the bridge tries a call again by itself. Default: never, so that the flow's own patience shows. */
  readonly retry?: Partial<RetryPolicy>;
  /** Whether time passes while the bridge waits (for tokens, between tries). Default: it stands still, and nothing may have to wait. */
  readonly bridgeWaits?: boolean;
  /** Whether DICT says OK at first. Default; false for a DICT that never gets so far. */
  readonly settled?: boolean;
  /** Wraps the API that the stages see. */
  readonly dict?: (dict: DictApi) => DictApi;
}

export type ReconcileWorld = Awaited<ReturnType<typeof reconcileWorld>>;

const minuteMs = 60_000;

/** Both sides hold the same keys, imported an hour ago, and DICT has said OK to that. */
export async function reconcileWorld(t: TestContext, options: ReconcileWorldOptions = {}) {
  const parts = await worldParts(t, options);
  const { clock, database, scope, state } = parts;
  const world = { ...parts, ...worldActions(parts) };
  const first = world.take(options.keys ?? 40);
  state.seedEntries(first);
  await load(database, clock, scope, first);
  pass(clock, 60 * minuteMs);
  if (options.settled !== false) assert.equal((await world.verify()).kind, 'in-sync');
  pass(clock, 60 * minuteMs);
  return { ...world, first };
}

type WorldParts = Awaited<ReturnType<typeof worldParts>>;

async function worldParts(t: TestContext, options: ReconcileWorldOptions) {
  const { participant = SCOPE.participant, keyType = SCOPE.keyType } = options;
  const scope: Scope = { participant, keyType };
  const database = await testDatabase(t);
  const clock = steppedClock();
  const simulator = await startSimulator({ clock, policies: null, ...options.simulator });
  const client = createDictClient({
    apiUrl: simulator.apiUrl,
    filesHosts: ['127.0.0.1'],
    clock: options.bridgeWaits === true ? passingClock(clock) : clock,
    random: () => 0.5,
    retry: { triesMax: 1, ...options.retry },
    budget: { policies: 'configured', rates: plenty },
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    ...(options.signatures === undefined ? {} : { signatures: options.signatures }),
    ...(options.tls === undefined ? {} : { tls: options.tls }),
  });
  const workDirectory = await mkdtemp(path.join(tmpdir(), 'dict-vsync-reconcile-'));
  t.after(async () => {
    await client.close();
    await simulator.close();
    await rm(workDirectory, { recursive: true, force: true });
  });
  const dict = options.dict?.(client) ?? client;
  const verify: VerifySettings = { ...VERIFY_DEFAULTS, ...options.verify };
  const settings: ReconcileSettings = { ...RECONCILE_DEFAULTS, ...options.settings };
  const log = { info: () => {}, warn: () => {} };
  const deps: ReconcileDeps = { database, dict, clock, settings, verify, workDirectory, newId: randomUUID, log };
  const steps: AllSteps = {
    ...createReconciliationSteps(deps),
    ...createVerificationSteps({ database, dict, clock, settings: verify, newId: randomUUID }),
  };
  return { scope, database, clock, state: simulator.state, deps, steps, apiUrl: simulator.apiUrl };
}

/** What a scenario can do to its world, and ask of it. */
function worldActions({ scope, database, clock, state, deps, steps }: WorldParts) {
  const verify = (runId: string = randomUUID()): Promise<VerificationOutcome> =>
    verification(contextOf(clock, steps), { runId, ...scope, trigger: 'test' });
  const fresh = sampleEntries({ seed: 11, ...scope, count: 100_000 });
  const open = (
    request: { readonly verificationRunId?: string; readonly fromRung?: Rung; readonly by?: string } = {},
  ): Promise<Opening> =>
    openReconciliation(deps, {
      ...scope,
      requestedBy: { name: request.by ?? 'dict-vsync', authenticated: true },
      verificationRunId: request.verificationRunId ?? null,
      ...(request.fromRung === undefined ? {} : { fromRung: request.fromRung }),
    });
  const run = (runId: string, from: AllSteps = steps, owner: string = randomUUID()): Promise<ReconciliationOutcome> =>
    reconciliation(contextOf(clock, from), { runId, owner });
  return {
    /** Entries that neither side has yet. */
    take: (count: number): SampleEntry[] => Array.from({ length: count }, () => takeOne(fresh)),
    pass: (ms: number): void => pass(clock, ms),
    /** Events of the core's, taken in now. */
    ingest: (...events: readonly Record<string, unknown>[]) => ingest(database, clock, events),
    /** What a core's event says; `at` is when it occurred, by default now. */
    event: (action: string, sample: SampleEntry, at: Date = clock.now(), more: Record<string, unknown> = {}) =>
      eventOf(action, sample, at, more),
    /** Entries that the base has from now on; `cidOf`: under another CID than their own. */
    load: (samples: readonly SampleEntry[], cidOf?: (sample: SampleEntry) => Cid) => load(database, clock, scope, samples, cidOf),
    verify,
    open,
    run,
    /** Verifies; where DICT disagrees, reconciles and answers how that ended. */
    reconcile: async (): Promise<{ runId: string; outcome: ReconciliationOutcome }> => {
      const verificationRunId = randomUUID();
      const verified = await verify(verificationRunId);
      assert.equal(verified.kind === 'in-sync', false, 'there is something to reconcile');
      const opening = await open({ verificationRunId });
      assert.ok(opening.kind === 'opened', JSON.stringify(opening));
      return { runId: opening.runId, outcome: await run(opening.runId) };
    },
    reconcileFrom: async (fromRung: Rung, by?: string): Promise<{ runId: string; outcome: ReconciliationOutcome }> => {
      const opening = await open({ fromRung, ...(by === undefined ? {} : { by }) });
      assert.ok(opening.kind === 'opened', JSON.stringify(opening));
      return { runId: opening.runId, outcome: await run(opening.runId) };
    },
    entry: (key: string) => readEntry(database, scope.participant, key),
    divergences: (runId: string) => divergences(database, runId),
    count: (text: string) => count(database, text),
    /** Fails unless base and DICT hold the same entries, each under the same CID. */
    assertEqualSides: () => assertEqualSides(database, scope, state),
  };
}

function contextOf(clock: ReturnType<typeof steppedClock>, steps: AllSteps): FlowContext<AllSteps> {
  return { steps, sleep: async (ms) => pass(clock, ms), waitForWake: async (ms) => pass(clock, ms) };
}

/** Whoever sleeps on it moves the world's time. */
function passingClock(clock: ReturnType<typeof steppedClock>): Clock {
  return {
    now: () => clock.now(),
    sleep: async (ms, signal) => {
      await setImmediate();
      signal?.throwIfAborted();
      pass(clock, ms);
    },
  };
}

function pass(clock: ReturnType<typeof steppedClock>, ms: number): void {
  for (let left = ms; left > 0; left -= 10_000) clock.move(Math.min(left, 10_000));
}

const plenty = Object.fromEntries(
  ['SYNC_VERIFICATIONS_WRITE', 'CIDS_EVENTS_LIST', 'CIDS_ENTRIES_READ', 'CIDS_FILES_WRITE', 'CIDS_FILES_READ'].map((name) => [
    name,
    { capacity: 1e9, refillTokens: 1e9, refillPeriodMs: 1 },
  ]),
);

function takeOne(entries: Iterator<SampleEntry, void>): SampleEntry {
  const { value } = entries.next();
  if (value === undefined) throw new Error('no more sample entries');
  return value;
}

/** Rows as an import would write them. */
async function load(
  database: Database,
  clock: { now(): Date },
  scope: Scope,
  samples: readonly SampleEntry[],
  cidOf: (sample: SampleEntry) => Cid = ({ entry, requestId }) => computeCid(entry, requestId),
): Promise<void> {
  const now = clock.now();
  await database.transaction(async (tx) => {
    await ensureParticipants(tx, [scope.participant], now);
    const [locked] = await lockVSyncs(tx, [scope], now);
    assert.ok(locked);
    const rows = samples.map((sample) => ({ ...sample, cid: cidOf(sample) }));
    await writeEntries(
      tx,
      rows.map(({ entry, requestId, cid }) => ({
        ...scope,
        key: entry.key,
        status: 'ACTIVE' as const,
        entry,
        requestId,
        cid,
        requestIdSince: now,
        registeredAt: now,
        participantRegisteredAt: now,
        externalId: null,
        syncedFrom: null,
        orphanedAt: null,
        occurredAt: now,
        eventAction: null,
        seq: locked.nextSeq,
        updatedAt: now,
      })),
    );
    const transitions = rows.map(({ entry, cid }) => ({ change: 'added' as const, cid, key: entry.key }));
    await commitTransitions(tx, locked, transitions, { source: 'import', algorithm: 'dict', now });
  });
}

function eventOf(
  action: string,
  { entry, requestId }: SampleEntry,
  at: Date,
  more: Record<string, unknown>,
): Record<string, unknown> {
  const { key, keyType, account } = entry;
  const told = action === 'key.deleted' ? { key, key_type: keyType, ispb: account.participant } : flatEntry(entry, requestId);
  return { event_id: randomUUID(), action, occurred_at: at.toISOString(), payload: { ...told, ...more } };
}

async function ingest(database: Database, clock: ReturnType<typeof steppedClock>, events: readonly Record<string, unknown>[]) {
  const counts = await ingestBatch(
    { database, clock },
    events.map((event) => ({ bytes: Buffer.from(JSON.stringify(event)), origin: 'test' })),
  );
  assert.equal(counts.dead, 0, 'no event of the test is a dead letter');
  return counts;
}

/** The sample with another account number. */
export function changed(sample: SampleEntry, accountNumber: string): SampleEntry {
  const entry: Entry = { ...sample.entry, account: { ...sample.entry.account, accountNumber } };
  return { ...sample, entry };
}

async function divergences(database: Database, runId: string) {
  const { rows } = await database.query<{
    side: string;
    kind: string | null;
    state: string;
    found_by: string;
    key: string | null;
    reason: string | null;
    carried_from: number | null;
  }>(
    `SELECT side, kind, state, found_by, key, reason, carried_from FROM dict_divergences WHERE reconciliation_id = $1 ORDER BY id`,
    [runId],
  );
  return rows;
}

async function count(database: Database, text: string): Promise<number> {
  const { rows } = await database.query<{ count: number }>(`SELECT count(*) AS count ${text}`);
  return rows[0]?.count ?? 0;
}

async function assertEqualSides(
  database: Database,
  scope: Scope,
  state: Awaited<ReturnType<typeof startSimulator>>['state'],
): Promise<void> {
  const { rows } = await database.query<{ key: string; cid: Buffer }>(
    `SELECT key, cid FROM dict_entries WHERE participant = $1 AND key_type = $2 AND status = 'ACTIVE'`,
    [scope.participant, scope.keyType],
  );
  const here = new Map(rows.map((row) => [row.key, row.cid.toString('hex')]));
  const there = new Map([...state.activeEntries(scope)].map(({ cid, entry }) => [entry.key, cid]));
  assert.deepEqual([...here].toSorted(), [...there].toSorted());
  assert.equal(vsyncToHex((await readVSync(database, scope)).vsync), state.vsync(scope).vsync);
  for (const { entry, requestId, cid } of await allActive(database, scope))
    assert.equal(cidToHex(computeCid(entry, requestId)), cidToHex(cid));
}

async function allActive(database: Database, scope: Scope) {
  const { rows } = await database.query<{ key: string }>(
    `SELECT key FROM dict_entries WHERE participant = $1 AND key_type = $2 AND status = 'ACTIVE'`,
    [scope.participant, scope.keyType],
  );
  const entries = await Promise.all(rows.map(({ key }) => readEntry(database, scope.participant, key)));
  return entries.flatMap((entry) => (entry?.status === 'ACTIVE' ? [entry] : []));
}
