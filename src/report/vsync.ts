/**
 * The report of an entry-level synchronisation (VSYNC-workflow): one row for the listing and all reconciliations that judged its hints,
 * and the result in the words of its source. The listing is src/reconcile/listing-steps.ts.
 */

import { isKeyType, type KeyType } from '../dict/key-type.ts';
import { appendAudit, systemActor } from '../ledger/audit.ts';
import { appendOutbox } from '../ledger/outbox.ts';
import { assert } from '../platform/assert.ts';
import type { Sql, Transaction } from '../platform/postgres/database.ts';
import type { ListingDeps } from '../reconcile/listing.ts';
import { endListing, type Listing, readListing } from '../reconcile/listing-store.ts';
import { type Run, readRunOfListing } from '../reconcile/run-store.ts';
import { type DetailsKeys, sealDetails } from './details-cipher.ts';
import { type DivergenceDetail, readDivergenceDetails, readRunFigures } from './run-figures.ts';
import { closeReport, findReport, openReport, type ReportFigures, type ReportResult } from './sync-report.ts';

/** The key type of a report about all of them. */
const ALL_KEY_TYPES = 'ALL';

/** `VSyncResult` of VSYNC-workflow, under its own names. */
export interface VSyncResult {
  /** Entries that the listing showed. */
  readonly EntriesSynced: number;
  readonly EntriesCreated: number;
  readonly EntriesUpdated: number;
  /** Orphans that were put to review (or removed, where that is the participant's policy). */
  readonly EntriesDeleted: number;
  /** Divergences found, settled or not. */
  readonly Discrepancies: number;
  /** In milliseconds. */
  readonly Duration: number;
  /** ISO 8601: when it began. */
  readonly SyncTimestamp: string;
  readonly ReportID: string;
  readonly Status: ReportResult['status'];
  /** Empty where nothing is wrong. */
  readonly ErrorMessage: string;
}

/** Plain JSON. */
export interface VSyncEnd {
  readonly listingId: string;
  readonly keyTypes: readonly string[];
  /** Why the listing could not be read; null where it was. */
  readonly failure: string | null;
  /** Why a key type was not reconciled. */
  readonly refusals: readonly { readonly keyType: string; readonly reason: string }[];
}

export interface VSyncSteps {
  openVSyncReport(input: { readonly listingId: string }): Promise<void>;
  /** Closes report and listing; called again it answers the same. */
  endVSync(input: VSyncEnd): Promise<VSyncResult>;
}

export interface VSyncDeps extends ListingDeps {
  /** Null: reports keep no details. */
  readonly detailsKeys: DetailsKeys | null;
}

/** The steps over their dependencies. */
export function createVSyncSteps(deps: VSyncDeps): VSyncSteps {
  return {
    openVSyncReport: ({ listingId }) => open(deps, listingId),
    endVSync: (input) => end(deps, input),
  };
}

async function listingOf(sql: Sql, id: string): Promise<Listing> {
  const listing = await readListing(sql, id);
  assert(listing !== null, `listing ${id} exists`);
  return listing;
}

async function open({ database }: VSyncDeps, listingId: string): Promise<void> {
  const { participant, syncType, requestedBy, startedAt } = await listingOf(database, listingId);
  await openReport(database, { id: listingId, startedAt, participant, keyType: ALL_KEY_TYPES, syncType, requestedBy });
}

interface KeyTypeRun {
  readonly keyType: KeyType;
  readonly run: Run | null;
}

async function end(deps: VSyncDeps, input: VSyncEnd): Promise<VSyncResult> {
  const { database, clock } = deps;
  const listing = await listingOf(database, input.listingId);
  const runs: KeyTypeRun[] = [];
  for (const keyType of input.keyTypes.filter(isKeyType)) {
    runs.push({ keyType, run: await readRunOfListing(database, listing.id, keyType) });
  }
  const details = await detailsOf(deps, runs);
  await database.transaction(async (tx) => {
    const now = clock.now();
    const judged = judge(listing, input, runs);
    const state = ({ COMPLETED: 'completed', PARTIAL: 'partial', FAILED: 'failed' } as const)[judged.status];
    if (!(await endListing(tx, listing.id, { state, reason: judged.errorMessage }, now))) return;
    const figures = await figuresOf(tx, listing, runs);
    const sealed = deps.detailsKeys === null ? null : sealDetails(deps.detailsKeys, listing.id, details);
    await closeReport(tx, listing, { ...judged, completedAt: now, figures, details: sealed });
    await tell(tx, listing, judged, figures, now);
  });
  return resultOf(database, listing);
}

type Judged = Pick<ReportResult, 'status' | 'outcome' | 'errorMessage'>;

/** COMPLETED only where every key type was proven and the listing was sound; FAILED where nothing could be done. */
function judge(listing: Listing, { failure, refusals }: VSyncEnd, runs: readonly KeyTypeRun[]): Judged {
  if (failure !== null) return { status: 'FAILED', outcome: `listing failed: ${failure}`, errorMessage: failure };
  const complaints = [
    ...(listing.reason === null ? [] : [listing.reason]),
    ...refusals.map(({ keyType, reason }) => `${keyType}: ${reason}`),
    ...runs.flatMap(({ keyType, run }) =>
      run === null || run.state === 'completed'
        ? []
        : [`${keyType}: ${run.state}${run.reason === null ? '' : `, ${run.reason}`}`],
    ),
  ];
  if (complaints.length === 0) return { status: 'COMPLETED', outcome: 'completed', errorMessage: null };
  const useless = runs.every(({ run }) => run === null || run.state === 'failed' || run.state === 'cancelled');
  const errorMessage = complaints.join('; ');
  return useless
    ? { status: 'FAILED', outcome: `failed: ${errorMessage}`, errorMessage }
    : { status: 'PARTIAL', outcome: `partial: ${errorMessage}`, errorMessage };
}

async function figuresOf(sql: Sql, listing: Listing, runs: readonly KeyTypeRun[]): Promise<ReportFigures> {
  const { participant, startedAt } = listing;
  let sum: ReportFigures | null = null;
  for (const { keyType, run } of runs) {
    const one = await readRunFigures(sql, { participant, keyType }, startedAt, run?.id ?? null);
    sum = sum === null ? one : added(sum, one);
  }
  assert(sum !== null, 'a synchronisation has at least one key type');
  // What an incremental listing showed is a part; how many entries there are in all is only known of a full one.
  const isWhole = listing.syncType === 'FULL' && listing.pages > 0;
  return { ...sum, totalKeysBacen: isWhole ? listing.entriesListed : null };
}

function added(a: ReportFigures, b: ReportFigures): ReportFigures {
  return {
    verificationsSent: a.verificationsSent + b.verificationsSent,
    totalKeysLocal: a.totalKeysLocal + b.totalKeysLocal,
    totalKeysBacen: null,
    missingLocal: a.missingLocal + b.missingLocal,
    outdatedLocal: a.outdatedLocal + b.outdatedLocal,
    orphaned: a.orphaned + b.orphaned,
    duplicated: a.duplicated + b.duplicated,
    unresolved: a.unresolved + b.unresolved,
    altered: a.altered + b.altered,
    entriesCreated: a.entriesCreated + b.entriesCreated,
    entriesUpdated: a.entriesUpdated + b.entriesUpdated,
    entriesDeleted: a.entriesDeleted + b.entriesDeleted,
    divergencesOpen: a.divergencesOpen + b.divergencesOpen,
    byCidReads: a.byCidReads + b.byCidReads,
    filesRequested: a.filesRequested + b.filesRequested,
  };
}

/** Divergences that the report lists one by one; more are only counted. */
const detailsMax = 10_000;

async function detailsOf({ database, detailsKeys }: VSyncDeps, runs: readonly KeyTypeRun[]): Promise<DivergenceDetail[]> {
  const details: DivergenceDetail[] = [];
  if (detailsKeys === null) return details;
  for (const { run } of runs) if (run !== null) details.push(...(await readDivergenceDetails(database, run.id)));
  return details.slice(0, detailsMax);
}

/** Outbox and audit, with the report. */
async function tell(tx: Transaction, listing: Listing, judged: Judged, figures: ReportFigures, now: Date): Promise<void> {
  const { id, participant, syncType } = listing;
  const payload = {
    report_id: id,
    sync_type: syncType,
    status: judged.status,
    reason: judged.errorMessage,
    entries_listed: listing.entriesListed,
    pages: listing.pages,
    hints: {
      missing: listing.missing,
      outdated: listing.outdated,
      unresolved: listing.unresolved,
      unlisted: listing.unlisted,
    },
    entries_created: figures.entriesCreated,
    entries_updated: figures.entriesUpdated,
    entries_deleted: figures.entriesDeleted,
    divergences_open: figures.divergencesOpen,
  };
  const common = { participant, occurredAt: now, correlationId: id };
  const failed = { severity: 'critical', alert: 'synchronisation-failed', ...payload };
  await appendOutbox(tx, [
    { ...common, type: 'br.dict.vsync.EntrySynchronisationEnded', partitionKey: participant, payload },
    ...(judged.status === 'FAILED'
      ? [{ ...common, type: 'br.dict.vsync.AlertRaised', partitionKey: participant, payload: failed }]
      : []),
  ]);
  await appendAudit(tx, [
    {
      ...common,
      keyType: null,
      actor: systemActor,
      kind: 'reconciliation',
      action: 'LISTING_ENDED',
      outcome: judged.status === 'COMPLETED' ? 'success' : 'failure',
      details: payload,
    },
  ]);
}

async function resultOf(sql: Sql, { id, startedAt }: Listing): Promise<VSyncResult> {
  const listing = await listingOf(sql, id);
  const report = await findReport(sql, id);
  assert(report !== null && report.figures !== null && report.status !== 'RUNNING', `the report of listing ${id} was closed`);
  const { figures } = report;
  const kinds = [figures.missingLocal, figures.outdatedLocal, figures.orphaned, figures.duplicated, figures.unresolved];
  return {
    EntriesSynced: listing.entriesListed,
    EntriesCreated: figures.entriesCreated,
    EntriesUpdated: figures.entriesUpdated,
    EntriesDeleted: figures.entriesDeleted,
    Discrepancies: Math.max(
      kinds.reduce((sum, found) => sum + found, figures.altered),
      figures.entriesCreated + figures.entriesUpdated + figures.entriesDeleted + figures.divergencesOpen,
    ),
    Duration: report.durationMs ?? 0,
    SyncTimestamp: startedAt.toISOString(),
    ReportID: id,
    Status: report.status,
    ErrorMessage: report.errorMessage ?? '',
  };
}
