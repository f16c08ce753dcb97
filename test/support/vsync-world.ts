/**
 * Entry-level synchronisations in a world of their own: the scenarios of reconcile-world.ts, with the listing read over SOAP from the
 * same simulator, everything signed on both sides.
 */

import { randomBytes, randomUUID } from 'node:crypto';
import type { TestContext } from 'node:test';
import { createTransport, DEFAULT_TRANSPORT_LIMITS } from '../../src/bridge/dict-transport.ts';
import { createEntryListingClient } from '../../src/bridge/entry-listing-client.ts';
import type { EntryListing } from '../../src/dict/entry-listing.ts';
import type { VSyncOutcome } from '../../src/flow/vsync-workflow.ts';
import { LISTING_DEFAULTS, type ListingSettings, type SyncType } from '../../src/reconcile/listing.ts';
import type { VSyncResult } from '../../src/report/vsync.ts';
import { runVSync, type VSyncRunDeps } from '../../src/runner/vsync-run.ts';
import { type ReconcileWorldOptions, reconcileWorld } from './reconcile-world.ts';
import { dictSide, participantSide } from './signed-sides.ts';

export interface VSyncWorldOptions extends ReconcileWorldOptions {
  readonly listingSettings?: Partial<ListingSettings>;
  /** Wraps the listing that the stages see. */
  readonly listing?: (listing: EntryListing) => EntryListing;
}

export type VSyncWorld = Awaited<ReturnType<typeof vsyncWorld>>;

const going = new AbortController().signal;

/** Both sides hold the same keys, and DICT has said OK to that. */
export async function vsyncWorld(t: TestContext, options: VSyncWorldOptions = {}) {
  const simulator = { signatures: dictSide, ...options.simulator };
  const world = await reconcileWorld(t, { signatures: participantSide, ...options, simulator });
  const client = createEntryListingClient({
    url: new URL('/api/v1/dict/entries/list', world.apiUrl).href,
    transport: createTransport({ ...DEFAULT_TRANSPORT_LIMITS, answerBytesMax: 8 * 1024 * 1024 }),
    clock: world.clock,
    signatures: participantSide,
  });
  t.after(() => client.close());
  const deps = runDeps(world, options.listing?.(client) ?? client, options.listingSettings);
  const sync = (more: SyncChoice = {}): Promise<VSyncOutcome> => synchronise(world, { ...deps, ...more.deps }, more);
  return {
    ...world,
    listing: client,
    vsyncDeps: deps,
    sync,
    /** The result of one that ends. */
    synced: async (more: SyncChoice = {}): Promise<VSyncResult> => {
      const outcome = await sync(more);
      if (outcome.kind !== 'ended') throw new Error(`the synchronisation did not end: ${JSON.stringify(outcome)}`);
      return outcome.result;
    },
  };
}

export interface SyncChoice {
  readonly type?: SyncType;
  readonly since?: Date;
  readonly deps?: Partial<VSyncRunDeps>;
  readonly owner?: string;
}

type World = Awaited<ReturnType<typeof reconcileWorld>>;

/** The world's clock moves only when something sleeps; the runner's own time limits must not move it. */
function runDeps(world: World, listing: EntryListing, settings: Partial<ListingSettings> = {}): VSyncRunDeps {
  const nothing = (): void => {};
  const log = { debug: nothing, info: nothing, warn: nothing, error: nothing, child: () => log };
  const clock = {
    now: () => world.clock.now(),
    sleep: (ms: number, signal?: AbortSignal): Promise<void> => {
      if (signal !== going) return new Promise(() => {});
      world.pass(ms);
      return Promise.resolve();
    },
  };
  return {
    ...world.deps,
    clock,
    log,
    signal: going,
    suspendOnWait: true,
    wakePollMs: 60_000,
    listing,
    listingSettings: { ...LISTING_DEFAULTS, ...settings },
    detailsKeys: new Map([[1, randomBytes(32)]]),
  };
}

function synchronise(world: World, deps: VSyncRunDeps, { type, since, owner }: SyncChoice): Promise<VSyncOutcome> {
  const { participant, keyType } = world.scope;
  return runVSync(
    deps,
    { ParticipantISPB: participant, SyncType: type ?? 'FULL', LastSyncDate: since?.toISOString() ?? null },
    {
      listingId: randomUUID(),
      owner: owner ?? randomUUID(),
      requestedBy: { name: 'ana', authenticated: false },
      keyTypes: [keyType],
    },
  );
}

/** A world whose directory is meddled with before or after each page; the meddling begins once the world stands. */
export async function meddledWorld(
  t: TestContext,
  meddle: (world: VSyncWorld, pageNumber: number) => void | Promise<void>,
  options: VSyncWorldOptions = {},
): Promise<VSyncWorld> {
  let world: VSyncWorld | null = null;
  const listing = (real: EntryListing): EntryListing => ({
    listEntries: async (request, callOptions) => {
      if (world !== null) await meddle(world, request.pageNumber);
      return real.listEntries(request, callOptions);
    },
  });
  world = await vsyncWorld(t, { listingSettings: { pageSize: 10 }, listing, ...options });
  return world;
}
