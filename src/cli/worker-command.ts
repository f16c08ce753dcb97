/** `dict-vsync worker`: verification and reconciliation on the schedule, until the process is told to stop. */

import { Command } from 'commander';
import type { CallObserver } from '../bridge/call-observer.ts';
import { systemActor } from '../ledger/audit.ts';
import { runWorker } from '../runner/worker.ts';
import { type Base, openDict, synchronisationDeps, withBase, withMetrics } from '../wire.ts';
import type { Io } from './io.ts';
import { scopesOf } from './scope-option.ts';

/** `worker`: ends on SIGINT or SIGTERM, at the next safe point of every flow. */
export function workerCommand(io: Io): Command {
  return new Command('worker')
    .description('Verify and reconcile on the schedule (daily and in between), until interrupted')
    .allowExcessArguments(false)
    .action(() => withBase(io, (base) => withMetrics(base, (observer) => work(io, base, observer))));
}

async function work(io: Io, base: Base, observer: CallObserver): Promise<void> {
  const dict = openDict(base, observer);
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
