/**
 * Every statement that ingest, import, verification, reconciliation, review, status, reports and housekeeping run on a base of
 * 1,000,000 keys goes by an index and reads a small part of any table that grows: once while PostgreSQL has the statistics of a
 * thousandth of it, as right after a bulk load, and once with statistics of all of it. Nothing is exempt: what has to see every row
 * (scan, rebuild, the fold of all CIDs) reads it in pages, each by an index, or by a COPY that streams it.
 */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { glob, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { type TestContext, test } from 'node:test';
import { cidToHex, computeCid } from '../src/cid/cid.ts';
import { loadBase } from '../src/demo/loading.ts';
import { type SampleEntry, sampleEntries } from '../src/dict/sample-entries.ts';
import { flatEntry } from '../src/event/flat-entry.ts';
import type { FlowContext } from '../src/flow/context.ts';
import { synchronisation } from '../src/flow/synchronisation.ts';
import { type EntrySearch, searchEntries } from '../src/ingest/entry-search.ts';
import { ingestBatch } from '../src/ingest/ingest-batch.ts';
import { lockParticipant } from '../src/ingest/participant-store.ts';
import { rebuildScope } from '../src/ingest/rebuild.ts';
import { scanScope } from '../src/ingest/scan.ts';
import { checkAuditChain, readAudit } from '../src/ledger/audit.ts';
import { pendingAtCore } from '../src/ledger/core-correction.ts';
import type { Database } from '../src/platform/postgres/database.ts';
import { decideApproval } from '../src/reconcile/approval.ts';
import { readUndecided } from '../src/reconcile/approval-store.ts';
import { listCovered } from '../src/reconcile/covered-divergences.ts';
import { LISTING_DEFAULTS } from '../src/reconcile/listing.ts';
import { compareRange } from '../src/reconcile/listing-hints.ts';
import { createListingSteps } from '../src/reconcile/listing-steps.ts';
import { endListing, setListingPaused } from '../src/reconcile/listing-store.ts';
import { RECONCILE_DEFAULTS } from '../src/reconcile/reconciliation.ts';
import { resolveReview } from '../src/reconcile/review.ts';
import { readReviews } from '../src/reconcile/review-store.ts';
import { readRunOfListing } from '../src/reconcile/run-store.ts';
import { createReconciliationSteps, type ReconciliationSteps } from '../src/reconcile/steps.ts';
import { summariseReports } from '../src/report/report-summary.ts';
import { findReport, listReports } from '../src/report/sync-report.ts';
import { readSyncStatus } from '../src/report/sync-status.ts';
import {
  createSynchronisationSteps,
  type SynchronisationDeps,
  type SynchronisationSteps,
} from '../src/report/synchronisation.ts';
import { tidyInbox, tidyJournal } from '../src/verify/housekeeping.ts';
import { VERIFY_DEFAULTS } from '../src/verify/settings.ts';
import { createVerificationSteps, type VerificationSteps } from '../src/verify/steps.ts';
import { testDatabase } from './support/database.ts';
import { BIG_TABLES, fillLargeBase } from './support/large-database.ts';
import { type LargeDict, largeDict } from './support/large-dict.ts';
import { LARGE, LARGE_SCOPE, largeCid } from './support/large-tables.ts';
import { type ExplainedStatement, planRecorder } from './support/plan-recorder.ts';
import { steppedClock } from './support/stepped-clock.ts';

/** Rows of one table that a statement may look at, and that a sort or a hash may hold: pages of 32,768 CIDs are the largest. */
const rowsMax = 40_000;

type Steps = SynchronisationSteps & VerificationSteps & ReconciliationSteps;

interface World {
  readonly deps: SynchronisationDeps;
  readonly clock: ReturnType<typeof steppedClock>;
  readonly dict: LargeDict;
  readonly take: (count: number) => SampleEntry[];
  readonly takeEmails: (count: number) => SampleEntry[];
}

async function worldOf(t: TestContext, database: Database): Promise<World> {
  const clock = steppedClock();
  const dict = largeDict(clock);
  const workDirectory = await mkdtemp(path.join(tmpdir(), 'dict-vsync-plans-'));
  t.after(() => rm(workDirectory, { recursive: true, force: true }));
  const supply = (keyType: 'PHONE' | 'EMAIL') => {
    const samples = sampleEntries({ seed: 23, participant: LARGE.participant, keyType, count: 100_000 });
    return (count: number) => Array.from({ length: count }, () => next(samples));
  };
  const deps: SynchronisationDeps = {
    database,
    dict: dict.api,
    clock,
    settings: { ...RECONCILE_DEFAULTS, approvalThreshold: 3 },
    verify: VERIFY_DEFAULTS,
    detailsKeys: null,
    workDirectory,
    newId: randomUUID,
    log: { info: () => {}, warn: () => {} },
  };
  return { deps, clock, dict, take: supply('PHONE'), takeEmails: supply('EMAIL') };
}

function next(samples: Iterator<SampleEntry, void>): SampleEntry {
  const { value } = samples.next();
  assert.ok(value);
  return value;
}

/** A small key type in the large tables: its rows are to be found without reading those of the others. */
async function inspect(world: World): Promise<void> {
  const { database, clock } = world.deps;
  const scope = { ...LARGE_SCOPE, keyType: 'EMAIL' } as const;
  const samples = world.takeEmails(1_000);
  await ingest(world, 'key.created', samples);
  const altered = samples[0]?.entry.key;
  await database.query(`UPDATE dict_entries SET account_number = '6666666666' WHERE participant = $1 AND key = $2`, [
    LARGE.participant,
    altered,
  ]);
  assert.equal((await scanScope({ database, clock }, scope, randomUUID())).counts.altered, 1);
  assert.equal((await rebuildScope({ database, clock }, scope, { id: randomUUID(), acceptAltered: true })).accepted, 1);
}

function pass(clock: World['clock'], ms: number): void {
  for (let left = ms; left > 0; left -= 10_000) clock.move(Math.min(left, 10_000));
}

const minuteMs = 60_000;

async function ingest({ deps, clock }: World, action: string, samples: readonly SampleEntry[]): Promise<void> {
  const events = samples.map(({ entry, requestId }) => {
    const { key, keyType, account } = entry;
    const payload =
      action === 'key.deleted' ? { key, key_type: keyType, ispb: account.participant } : flatEntry(entry, requestId);
    return { event_id: randomUUID(), action, occurred_at: clock.now().toISOString(), payload };
  });
  const counts = await ingestBatch(
    deps,
    events.map((event) => ({ bytes: Buffer.from(JSON.stringify(event)), origin: 'test' })),
  );
  assert.equal(counts.applied, samples.length);
}

/** What goes on all day: events, an import, each told by DICT too. */
async function work(t: TestContext, world: World): Promise<void> {
  const { deps, clock, dict, take } = world;
  const created = take(1_000);
  await ingest(world, 'key.created', created);
  dict.add(created, { log: true });
  pass(clock, minuteMs);
  const deleted = created.slice(0, 100);
  await ingest(world, 'key.deleted', deleted);
  dict.remove(deleted.map(cidOf), { log: true });
  const imported = take(500);
  await loadBase({ ...deps, directory: deps.workDirectory, signal: t.signal }, imported, clock.now(), () => {});
  dict.add(imported, { log: true });
}

/** An event that is none. */
async function refuse({ deps }: World): Promise<void> {
  const message = { bytes: Buffer.from(JSON.stringify({ event_id: randomUUID(), action: 'key.created' })), origin: 'test' };
  assert.equal((await ingestBatch(deps, [message])).dead, 1);
}

const cidOf = ({ entry, requestId }: SampleEntry): string => cidToHex(computeCid(entry, requestId));

/** Verified, reconciled after the approval of another operator, reported; how it ended. */
async function synchronise(world: World, fromRung: 'scan' | null = null): Promise<string> {
  const { deps, clock } = world;
  const steps: Steps = {
    ...createSynchronisationSteps(deps),
    ...createVerificationSteps({ ...deps, settings: deps.verify }),
    ...createReconciliationSteps(deps),
  };
  const context: FlowContext<Steps> = {
    steps,
    sleep: async (ms) => pass(clock, ms),
    waitForWake: () => approve(deps),
  };
  const requestedBy = { name: 'dict-vsync', authenticated: true };
  const input = { syncId: randomUUID(), ...LARGE_SCOPE, owner: randomUUID(), requestedBy, fromRung };
  const ended = await synchronisation(context, input);
  assert.ok(ended.kind === 'ended');
  return ended.outcome;
}

async function approve(deps: SynchronisationDeps): Promise<void> {
  const [asked] = await readUndecided(deps.database, null);
  assert.ok(asked);
  assert.equal((await listCovered(deps.database, asked.id, 1_000)).length, asked.divergences);
  const decision = {
    decision: 'approved',
    actor: { name: 'ana', authenticated: true },
    reason: 'checked',
    digest: null,
  } as const;
  assert.equal((await decideApproval(deps, { runId: asked.runId, ...decision })).kind, 'decided');
}

/** Differences that the log shows, and others that only the file tells apart. */
async function differ(world: World): Promise<void> {
  const { clock, dict, take } = world;
  dict.add(take(5), { log: true });
  pass(clock, 10 * minuteMs);
  assert.equal(await synchronise(world), 'completed');
  dict.add(take(20), { log: false });
  const orphans = take(5);
  await ingest(world, 'key.created', orphans);
  pass(clock, 10 * minuteMs);
  assert.equal(await synchronise(world), 'completed');
}

async function review({ deps }: World): Promise<void> {
  const [item] = await readReviews(deps.database, { participant: LARGE.participant, statuses: ['PENDING'], limit: 10_000 }).then(
    (items) => items.toReversed(),
  );
  assert.ok(item);
  const decision = { action: 'confirm-deletion', actor: { name: 'ana', authenticated: true }, reason: 'checked' } as const;
  assert.equal((await resolveReview(deps, { id: item.id, ...decision, version: item.version })).kind, 'resolved');
}

/** One page of a listing, and one range of our keys beside what it has shown. */
async function list({ deps, clock, take }: World): Promise<void> {
  const { database } = deps;
  const now = clock.now();
  const at = now.toISOString();
  const entries = take(5).map(({ entry }) => ({ ...entry, creationDate: at, keyOwnershipDate: at, openClaimCreationDate: null }));
  const page = { entries, unreadable: [], totalCount: 5, hasNextPage: false, responseTime: now, correlationId: 'c' };
  const listing = { listEntries: async () => page };
  const steps = createListingSteps({ ...deps, listing, listingSettings: LISTING_DEFAULTS });
  const claim = await steps.claimListing({
    listingId: randomUUID(),
    participant: LARGE.participant,
    syncType: 'INCREMENTAL',
    lastSyncDate: at,
    owner: randomUUID(),
    requestedBy: { name: 'ana', authenticated: true },
  });
  assert.ok(claim.kind === 'claimed');
  const { listingId: id } = claim;
  assert.deepEqual(await steps.readListingPage(claim), { kind: 'reconcile' });
  const range = { id, participant: LARGE.participant, startedAt: now };
  const compared = await compareRange(database, range, { after: '+5511000500000', limit: 1_000 });
  assert.ok(compared.activeKeys > 900, `${compared.activeKeys} keys of the range are active`);
  assert.equal(await readRunOfListing(database, id, LARGE.keyType), null);
  await database.transaction(async (tx) => {
    assert.ok(await setListingPaused(tx, id, now, now));
    assert.ok(await endListing(tx, id, { state: 'failed', reason: 'a test' }, now));
  });
}

async function look({ deps, clock }: World): Promise<void> {
  const { database } = deps;
  const participants = [LARGE.participant];
  const searches: readonly EntrySearch[] = [
    { by: 'key', participants, key: '+5511000000042' },
    { by: 'cid', participants, cid: Buffer.from(largeCid(42), 'hex') },
    { by: 'account', participants, accountNumber: '0000000021', branch: '0001' },
    { by: 'keyType', participants, keyType: LARGE.keyType },
  ];
  for (const search of searches) assert.notEqual((await searchEntries(database, search, 50)).length, 0);
  assert.ok((await readSyncStatus(database, null)).length >= 2);
  assert.notEqual((await pendingAtCore(database)).length, 0);
  assert.equal((await readAudit(database, LARGE.participant, 50)).length, 50);
  await checkAuditChain(database, LARGE.participant);
  const [report] = await listReports(database, { participant: LARGE.participant, limit: 20 });
  assert.ok(report && (await findReport(database, report.id)));
  await listReports(database, { status: 'FAILED', limit: 20 });
  const until = new Date(clock.now().getTime() + minuteMs);
  await summariseReports(database, { since: new Date(until.getTime() - 30 * 86_400_000), until });
  assert.equal((await database.transaction((tx) => lockParticipant(tx, LARGE.participant))).hasCids, true);
  await tidyInbox(deps, 7 * 86_400_000);
  await tidyJournal(deps, LARGE_SCOPE);
}

/** Files with statements on these tables that nothing here runs, and why that is right. */
const notRunHere: Readonly<Record<string, string>> = {
  'src/cli/reconcile-command.ts': 'a run by its id, and the open run of a scope as src/reconcile/run-store.ts reads it',
  'src/cli/run-states.ts': 'the open runs, which an index holds alone',
  'src/ingest/import-switching.ts': 'whether an empty base is still empty',
  'src/ingest/staging-tables.ts': 'whether a base is empty',
  'src/ingest/row-filter/row-source.ts': 'blocks that scan and rebuild stream, in threads of their own: all rows, once',
  'src/reconcile/evidence.ts': 'the last 20 questions of a scope, when a run has failed',
  'src/vsync/cid-buckets.ts':
    'all CIDs of a participant and key type, once, as they lie; few of many go by src/vsync/active-cids.ts',
  'src/verify/housekeeping.ts': 'the oldest seq of a week, while nothing was ever proven; what is older is deleted then',
};

const statement = new RegExp(`\\b(FROM|INTO|UPDATE|JOIN) (${BIG_TABLES.join('|')})\\b`);

/** Files of the product whose statements on big tables were never run, though no reason is given. */
async function neverRun(origins: ReadonlySet<string>): Promise<string[]> {
  const root = path.resolve(import.meta.dirname, '..');
  const missed: string[] = [];
  for await (const file of glob('src/**/*.ts', { cwd: root })) {
    if (/[.]test[.]ts$|^src\/demo\//.test(file) || origins.has(file) || file in notRunHere) continue;
    if (statement.test(await readFile(path.join(root, file), 'utf8'))) missed.push(file);
  }
  return missed;
}

function isBig(table: string): boolean {
  return BIG_TABLES.some((name) => name === table) || table.startsWith('sync_reports');
}

function faultsOf({ text, origin, reads, heldRows }: ExplainedStatement): string[] {
  const faults = reads
    .filter(({ table, how, rows }) => isBig(table) && ((how === 'Seq Scan' && rows > 5_000) || rows > rowsMax))
    .map(({ table, how, index, rows }) => `${how} of ${table}${index === null ? '' : ` by ${index}`} looks at ${rows} rows`);
  if (heldRows > rowsMax) faults.push(`a sort or hash holds ${heldRows} rows`);
  return faults.map((fault) => `${origin}: ${fault}\n    ${text.replaceAll(/\s+/g, ' ').slice(0, 300)}`);
}

test('statements on a base of 1,000,000 keys', { timeout: 600_000 }, async (t) => {
  const database = await testDatabase(t);
  const recorder = planRecorder(database, statement);
  const world = await worldOf(t, recorder.database);
  await fillLargeBase(database, world.clock.now());

  for (const statistics of ['with the statistics of a thousandth of it', 'with statistics of all of it']) {
    await t.test(`go by an index and read a small part of any table, ${statistics}`, async () => {
      if (statistics === 'with statistics of all of it') await database.query('ANALYZE');
      recorder.begin();
      await work(t, world);
      await refuse(world);
      assert.match(await synchronise(world), /^in-sync/);
      await differ(world);
      await review(world);
      await list(world);
      await look(world);
      await inspect(world);
      assert.deepEqual([...new Set(recorder.statements().flatMap(faultsOf))], []);
    });
  }

  await t.test('are all of the product’s, file by file', async () => {
    const origins = new Set(recorder.statements().map(({ origin }) => origin.replace(/:.*/, '')));
    assert.deepEqual(await neverRun(origins), []);
  });
});
