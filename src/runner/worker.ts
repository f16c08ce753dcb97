/**
 * Verification and reconciliation by themselves, for as long as the process lives: each participant and key type on the schedule,
 * never twice at a time; what an earlier process left open goes on at once. Deciding when is schedule.ts; synchronisations over a paged
 * listing are vsync-rounds.ts.
 */

import type { Actor } from '../ledger/audit.ts';
import type { Scope } from '../vsync/scope.ts';
import { nextDue, type Schedule } from './schedule.ts';
import { runSynchronisation, type SynchronisationRunDeps } from './synchronisation-run.ts';
import { type VSyncRounds, type VSyncSchedule, vsyncRounds } from './vsync-rounds.ts';

export interface WorkerDeps extends SynchronisationRunDeps {
  readonly schedule: Schedule;
  /** Read before each round, so that new participants are taken in. */
  readonly scopes: () => Promise<readonly Scope[]>;
  readonly requestedBy: Actor;
  /** Entry-level synchronisations beside it; null: none. */
  readonly vsync: VSyncSchedule | null;
}

/** The longest sleep between two looks at the schedule: a suspended machine or a moved clock is noticed after it. */
const lookEveryMs = 60_000;
const retryMs = 1_000;

/** Works until the signal is aborted; resolves once every flow has stopped at a safe point. */
export async function runWorker(deps: WorkerDeps): Promise<void> {
  const running = new Map<string, Promise<void>>();
  const rounds = deps.vsync === null ? null : vsyncRounds({ ...deps, ...deps.vsync });
  let last: Date | null = null;
  while (!deps.signal.aborted) {
    if (rounds !== null) await beginEntryLevel(deps, rounds);
    const now = deps.clock.now();
    const due = nextDue(deps.schedule, last, now);
    if (due <= now) {
      try {
        await startRound(deps, running);
        last = now;
        continue;
      } catch (err) {
        // The database is lost, say: the round stays due.
        deps.log.error({ err }, 'the round could not be started and will be tried again');
      }
    }
    const waitMs = Math.min(lookEveryMs, Math.max(retryMs, due.getTime() - now.getTime()));
    await deps.clock.sleep(waitMs, deps.signal).catch(() => {});
  }
  await Promise.all([...running.values(), rounds?.ended()]);
}

async function beginEntryLevel(deps: WorkerDeps, rounds: VSyncRounds): Promise<void> {
  try {
    await rounds.begin(await deps.scopes());
  } catch (err) {
    deps.log.error({ err }, 'entry-level synchronisations could not be looked at and will be at the next look');
  }
}

async function startRound(deps: WorkerDeps, running: Map<string, Promise<void>>): Promise<void> {
  for (const scope of await deps.scopes()) {
    const name = `${scope.participant} ${scope.keyType}`;
    if (running.has(name)) {
      deps.log.info({ participant: scope.participant, keyType: scope.keyType }, 'the last synchronisation still runs');
      continue;
    }
    const run = synchronise(deps, scope).finally(() => running.delete(name));
    running.set(name, run);
  }
}

/** One scope; a failure is logged and leaves the others and the schedule alone. */
async function synchronise(deps: WorkerDeps, scope: Scope): Promise<void> {
  const fields = { participant: scope.participant, keyType: scope.keyType };
  const input = { ...scope, syncId: deps.newId(), owner: deps.newId(), requestedBy: deps.requestedBy, fromRung: null };
  try {
    const result = await runSynchronisation(deps, input);
    deps.log.info({ ...fields, ...result }, 'synchronisation ended');
  } catch (err) {
    if (!deps.signal.aborted) deps.log.error({ ...fields, err }, 'synchronisation failed');
  }
}
