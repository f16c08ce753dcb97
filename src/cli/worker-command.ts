/** `dict-vsync worker`: verification and reconciliation on the schedule, until the process is told to stop. */

import { Command } from 'commander';
import { systemActor } from '../ledger/audit.ts';
import { runWorker } from '../runner/worker.ts';
import { type Base, synchronisationDeps, withBase, withMetrics } from '../wire.ts';
import { openDict, type Watch } from '../wire-dict.ts';
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
  const dict = await openDict(base, watch);
  try {
    await runWorker({
      ...synchronisationDeps(base, dict, io.signal),
      schedule: base.config.verification,
      scopes: () => scopesOf(base.database, {}, base.config.program),
      requestedBy: systemActor,
    });
  } finally {
    await dict.close();
  }
}
