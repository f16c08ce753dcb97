/**
 * Reconciliation at scale: a base of many keys, a DICT in another process with its real token buckets, and one clock for both that
 * runs faster. What the product needs for it (time, memory, answers to verifications meanwhile) is measured from outside.
 */

import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createDictClient } from '../../src/bridge/dict-client.ts';
import type { BucketRates } from '../../src/bridge/token-bucket.ts';
import { loadBase } from '../../src/demo/loading.ts';
import type { KeyType } from '../../src/dict/key-type.ts';
import { participant } from '../../src/dict/participant.ts';
import { type SampleEntry, sampleEntries } from '../../src/dict/sample-entries.ts';
import { flatEntry } from '../../src/event/flat-entry.ts';
import { ingestBatch } from '../../src/ingest/ingest-batch.ts';
import { type Clock, scaledClock, systemClock } from '../../src/platform/clock.ts';
import { createLogger } from '../../src/platform/log.ts';
import type { Database } from '../../src/platform/postgres/database.ts';
import { decideApproval } from '../../src/reconcile/approval.ts';
import { readUndecided } from '../../src/reconcile/approval-store.ts';
import { RECONCILE_DEFAULTS, type ReconcileSettings } from '../../src/reconcile/reconciliation.ts';
import type { SynchronisationRunDeps } from '../../src/runner/synchronisation-run.ts';
import { runSynchronisation } from '../../src/runner/synchronisation-run.ts';
import { runVerification } from '../../src/runner/verification-run.ts';
import type { VerificationOutcome } from '../../src/verify/outcome.ts';
import { VERIFY_DEFAULTS } from '../../src/verify/settings.ts';
import { vsyncToHex } from '../../src/vsync/vsync.ts';
import { readVSync } from '../../src/vsync/vsync-store.ts';
import type { DictChanges, DictLook, DictOrder, DictPopulation } from './dict-process.ts';
import { FIRST_INSERTED } from './dict-process.ts';

export const OURS = participant('00038166');

export interface ScaleOptions {
  readonly keys: Readonly<Partial<Record<KeyType, number>>>;
  /** Seconds of the world's clock in one of ours. */
  readonly factor: number;
  /** DICT's bucket for by-CID reads; by default that of API 2.6.1. */
  readonly byCid?: BucketRates;
  readonly settings?: Partial<ReconcileSettings>;
}

export type ScaleWorld = Awaited<ReturnType<typeof openScaleWorld>>;

/** Opens it with the base loaded; whoever opens it closes it. */
export async function openScaleWorld(database: Database, options: ScaleOptions) {
  const startMs = Date.now();
  const clock = scaledClock(options.factor, startMs);
  const population: DictPopulation = { seed: 3, participant: OURS, keys: options.keys };
  const dictProcess = startDict();
  const { byCid } = options;
  const first = await dictProcess.order({
    kind: 'start',
    factor: options.factor,
    startMs,
    population,
    byCid: byCid === undefined ? null : { ...byCid, refillPeriodSec: byCid.refillPeriodMs / 1_000 },
  });
  const directory = await mkdtemp(path.join(tmpdir(), 'dict-vsync-scale-'));
  const dict = createDictClient({ apiUrl: first.apiUrl, filesHosts: ['127.0.0.1'], clock, random: Math.random });
  const ending = new AbortController();
  const log = createLogger({ level: 'silent', format: 'json', stream: process.stderr });
  const deps: SynchronisationRunDeps = {
    database,
    clock,
    limitClock: systemClock,
    dict,
    log,
    signal: ending.signal,
    suspendOnWait: false,
    wakePollMs: 5_000,
    settings: { ...RECONCILE_DEFAULTS, ...options.settings },
    verify: VERIFY_DEFAULTS,
    detailsKeys: null,
    workDirectory: directory,
    newId: randomUUID,
  };
  return {
    clock,
    deps,
    ...baseActions(database, clock, directory, population),
    look: () => dictProcess.order({ kind: 'look' }),
    diverge: async (changes: DictChanges): Promise<void> => {
      await dictProcess.order({ kind: 'change', changes });
      await tellHalf(database, clock, population, changes);
    },
    verify: (keyType: KeyType): Promise<VerificationOutcome> =>
      runVerification({ ...deps, settings: deps.verify }, { runId: randomUUID(), participant: OURS, keyType, trigger: 'test' }),
    synchronise: (keyType: KeyType, syncId: string, fromRung: 'scan' | null = null) =>
      runSynchronisation(deps, {
        syncId,
        participant: OURS,
        keyType,
        owner: randomUUID(),
        requestedBy: { name: 'dict-vsync', authenticated: true },
        fromRung,
      }),
    /** Another operator approves whatever is asked, until the signal; answers how many divergences each time. */
    approve: (signal: AbortSignal): Promise<number[]> => approveAll(database, clock, signal),
    close: async () => {
      ending.abort(new Error('the world is closed'));
      await dict.close();
      await dictProcess.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** What is done to the base, and asked of it. */
function baseActions(database: Database, clock: Clock, directory: string, population: DictPopulation) {
  return {
    load: () => load(database, clock, directory, population),
    /** Changes the account of so many rows under their CID. */
    alterRows: async (keyType: KeyType, rows: number): Promise<void> => {
      const keys = [...sampleEntries({ ...population, keyType, count: rows })].map(({ entry }) => entry.key);
      await database.query(`UPDATE dict_entries SET account_number = '6666666666' WHERE participant = $1 AND key = ANY ($2)`, [
        OURS,
        keys,
      ]);
    },
    isApplying: async (): Promise<boolean> => {
      const { rows } = await database.query('SELECT 1 AS one FROM dict_reconciliations WHERE ended_at IS NULL AND state = $1', [
        'applying',
      ]);
      return rows.length > 0;
    },
    /** Applied repairs by kind. */
    repairs: async (): Promise<Record<string, number>> => {
      const { rows } = await database.query<{ kind: string; repairs: number }>(
        `SELECT kind, count(*) AS repairs FROM dict_divergences WHERE state = 'applied' GROUP BY kind ORDER BY kind`,
      );
      return Object.fromEntries(rows.map(({ kind, repairs }) => [kind, repairs]));
    },
    vsync: async (keyType: KeyType): Promise<{ readonly vsync: string; readonly keys: number }> => {
      const { vsync, keys } = await readVSync(database, { participant: OURS, keyType });
      return { vsync: vsyncToHex(vsync), keys };
    },
  };
}

async function approveAll(database: Database, clock: Clock, signal: AbortSignal): Promise<number[]> {
  const approved: number[] = [];
  while (!signal.aborted) {
    for (const { runId } of await readUndecided(database, null)) {
      const actor = { name: 'another operator', authenticated: true };
      const given = { runId, decision: 'approved', actor, reason: 'checked', digest: null } as const;
      const decided = await decideApproval({ database, clock }, given);
      if (decided.kind === 'decided') approved.push(decided.divergences);
    }
    await clock.sleep(5_000, signal).catch(() => {});
  }
  return approved;
}

function startDict() {
  const child = fork(path.join(path.dirname(fileURLToPath(import.meta.url)), 'dict-process.ts'));
  return {
    order: async (order: DictOrder): Promise<DictLook> => {
      child.send(order);
      const exited = once(child, 'exit').then(([code]) => Promise.reject(new Error(`the DICT process ended with ${code}`)));
      const answered = once(child, 'message') as Promise<[DictLook]>; // it sends nothing else
      const [answer] = await Promise.race([answered, exited]);
      return answer;
    },
    close: async () => {
      const gone = once(child, 'exit');
      child.disconnect();
      await gone;
    },
  };
}

async function load(database: Database, clock: Clock, directory: string, population: DictPopulation): Promise<void> {
  const { signal } = new AbortController();
  await loadBase({ database, clock, newId: randomUUID, directory, signal }, entriesOf(population), clock.now(), () => {});
}

function* entriesOf(population: DictPopulation): Generator<SampleEntry> {
  for (const [keyType, count] of Object.entries(population.keys)) {
    // Object.entries widens the names of a record to text.
    yield* sampleEntries({ ...population, keyType: keyType as KeyType, count });
  }
}

/** Of some keys that DICT has got the base hears an update that gives no RequestId. */
async function tellHalf(database: Database, clock: Clock, population: DictPopulation, changes: DictChanges): Promise<void> {
  const first = FIRST_INSERTED + changes.missing;
  const told = sampleEntries({ ...population, keyType: changes.keyType, count: changes.unresolved, first });
  const messages = [...told].map(({ entry }) => ({
    bytes: Buffer.from(
      JSON.stringify({
        event_id: randomUUID(),
        action: 'key.updated',
        occurred_at: clock.now().toISOString(),
        payload: flatEntry(entry, null),
      }),
    ),
    origin: 'test',
  }));
  for (let at = 0; at < messages.length; at += 1_000) {
    await ingestBatch({ database, clock }, messages.slice(at, at + 1_000));
  }
}
