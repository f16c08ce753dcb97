/**
 * `dict-vsync worker`: verification and reconciliation on the schedule, where it is configured also entry-level synchronisations, until the
 * process is told to stop.
 */

import { Command } from 'commander';
import { systemActor } from '../ledger/audit.ts';
import type { VSyncSchedule } from '../runner/vsync-rounds.ts';
import { runWorker } from '../runner/worker.ts';
import { type Base, synchronisationDeps, withBase, withMetrics } from '../wire.ts';
import { type OpenedListing, openDict, openEntryListing, type Watch } from '../wire-dict.ts';
import type { Io } from './io.ts';
import { scopesOf } from './scope-option.ts';

/** `worker`: ends on SIGINT or SIGTERM, at the next safe point of every flow. */
export function workerCommand(io: Io): Command {
  return new Command('worker')
    .description('Verify and reconcile on the schedule (daily and in between), until interrupted')
    .allowExcessArguments(false)
    .action(() => withBase(io, (base) => withMetrics(base, (watch) => work(io, base, watch))));
}

async function work(io: Io, base: Base, watch: Watch): Promise<void> {
  const { sync, verification, program } = base.config;
  const listing = sync.dailyAt === null ? null : await openEntryListing(base);
  const dict = await openDict(base, watch);
  try {
    await runWorker({
      ...synchronisationDeps(base, dict, io.signal),
      schedule: verification,
      scopes: () => scopesOf(base.database, {}, program),
      requestedBy: systemActor,
      vsync: scheduleOf(base, listing),
    });
  } finally {
    await Promise.all([dict.close(), listing?.listing.close()]);
  }
}

function scheduleOf({ config: { sync, verification } }: Base, opened: OpenedListing | null): VSyncSchedule | null {
  if (opened === null || sync.dailyAt === null) return null;
  return { ...opened, daily: { dailyAt: sync.dailyAt, timeZone: verification.timeZone }, syncType: sync.type };
}
