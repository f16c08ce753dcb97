/**
 * Entry-level synchronisations (VSYNC-workflow, INT-003) beside the worker's verifications: each participant daily, never twice at a time; a
 * day that was missed is made up at once, and so is gone on with what an earlier process left open. Left out: when that is
 * (schedule.ts), and how one goes (src/flow/vsync-workflow.ts).
 */

import type { Participant } from '../dict/participant.ts';
import { type VSyncOutcome, vsyncWorkflowId } from '../flow/vsync-workflow.ts';
import type { Actor } from '../ledger/audit.ts';
import type { ListingDeps, SyncType } from '../reconcile/listing.ts';
import { lastCompleted, readOpenListing } from '../reconcile/listing-store.ts';
import type { Scope } from '../vsync/scope.ts';
import { type DailySchedule, nextDaily } from './schedule.ts';
import { runVSync, type VSyncRunDeps } from './vsync-run.ts';

/** The paged listing, when it is read, and how much of it. */
export interface VSyncSchedule extends Pick<ListingDeps, 'listing' | 'listingSettings'> {
  readonly daily: DailySchedule;
  /** What is begun with where none has completed yet is FULL in any case: there is nothing that INCREMENTAL could go on from. */
  readonly syncType: SyncType;
}

export interface VSyncRoundsDeps extends VSyncRunDeps {
  readonly daily: DailySchedule;
  readonly syncType: SyncType;
  readonly requestedBy: Actor;
}

export interface VSyncRounds {
  /** Starts what is due for the participants of these scopes; does not wait for it. */
  begin(scopes: readonly Scope[]): Promise<void>;
  /** Resolves once everything that was started has ended or stopped at a safe point. */
  ended(): Promise<void>;
}

interface Rounds {
  readonly deps: VSyncRoundsDeps;
  readonly sinceWorker: Date;
  readonly running: Map<Participant, Promise<void>>;
  /** When each is due as far as is known here; at once who is not in it, since there may be a listing that nobody works on. */
  readonly due: Map<Participant, Date>;
}

/** The rounds of one worker, from now on. */
export function vsyncRounds(deps: VSyncRoundsDeps): VSyncRounds {
  const rounds: Rounds = { deps, sinceWorker: deps.clock.now(), running: new Map(), due: new Map() };
  return {
    begin: async (scopes) => {
      for (const [participant, its] of Map.groupBy(scopes, (scope) => scope.participant)) {
        const due = rounds.due.get(participant);
        const isDue = due === undefined || due <= deps.clock.now();
        if (isDue && !rounds.running.has(participant)) await beginOne(rounds, participant, its);
      }
    },
    ended: async () => {
      await Promise.all(rounds.running.values());
    },
  };
}

/** Begins one, or goes on with the one that is open, unless another process has completed one since this was last looked at. */
async function beginOne(rounds: Rounds, participant: Participant, scopes: readonly Scope[]): Promise<void> {
  const { deps, sinceWorker, due, running } = rounds;
  const open = due.has(participant) ? null : await readOpenListing(deps.database, participant);
  const completed = await lastCompleted(deps.database, participant);
  const now = deps.clock.now();
  const next = nextDaily(deps.daily, completed ?? (due.has(participant) ? new Date(0) : sinceWorker));
  if (open === null && next > now) {
    due.set(participant, next);
    return;
  }
  // What does not complete is tried again the next day, or by the next process.
  due.set(participant, nextDaily(deps.daily, now));
  const syncType = open?.syncType ?? (completed === null ? 'FULL' : deps.syncType);
  const run = synchronise(rounds, participant, syncType, scopes).finally(() => running.delete(participant));
  running.set(participant, run);
}

/** A failure is logged and leaves the others and the schedule alone. */
async function synchronise(
  { deps, due }: Rounds,
  participant: Participant,
  syncType: SyncType,
  scopes: readonly Scope[],
): Promise<void> {
  const { log, newId, requestedBy, signal } = deps;
  const workflow = vsyncWorkflowId(participant);
  const fields = { participant, workflow, syncType };
  log.info(fields, 'entry-level synchronisation began');
  try {
    const outcome: VSyncOutcome = await runVSync(
      deps,
      { ParticipantISPB: participant, SyncType: syncType, LastSyncDate: null },
      { listingId: newId(), owner: `${workflow} ${newId()}`, requestedBy, keyTypes: scopes.map(({ keyType }) => keyType) },
    );
    // A verification's reconciliation may have been in its way: its listing is gone on with at the next look, as long as it is open.
    if (outcome.kind === 'elsewhere') due.delete(participant);
    log.info({ ...fields, ...outcome }, 'entry-level synchronisation ended');
  } catch (err) {
    if (!signal.aborted) log.error({ ...fields, err }, 'entry-level synchronisation failed');
  }
}
