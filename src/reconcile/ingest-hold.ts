/** Rule R1 inside a run: while ingest is behind nothing is judged or applied, since the base is not what the core has told. */

import { ingestBehind } from '../verify/ingest-lag.ts';
import { type OpenRun, type StepInput, sleepNext } from './claiming.ts';
import type { Next, ReconcileDeps } from './reconciliation.ts';
import { fenceRun, updateRun } from './run-store.ts';

const heldPollMs = 30_000;

/** The wait that ingest imposes; null where it keeps up, or where the verification is overdue by then. */
export async function holdForIngest(deps: ReconcileDeps, input: StepInput, run: OpenRun): Promise<Next | null> {
  const { database, clock, verify } = deps;
  const behind = await ingestBehind({ database, clock, settings: verify }, run);
  if ((behind === null) === (run.heldSince === null)) {
    return behind === null ? null : sleepNext(deps, run.state, run.rung, heldPollMs);
  }
  await database.transaction(async (tx) => {
    await fenceRun(tx, run.id, input.token);
    await updateRun(tx, run.id, { heldSince: behind === null ? null : clock.now(), reason: behind }, clock.now());
  });
  return behind === null ? null : sleepNext(deps, run.state, run.rung, heldPollMs);
}
