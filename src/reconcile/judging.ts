/**
 * State `judging`: a batch of differences at a time is looked up in DICT by CID and judged (judgement.ts). CIDs that only DICT has
 * come first, all of them: only they tell the keys that only-local CIDs may be the other half of (rule R3).
 */

import { inState, type OpenRun, type StepInput, sleepNext } from './claiming.ts';
import { judgeDictSide } from './dict-judging.ts';
import { type RunTally, readDictSide, tallyRun } from './divergence-counts.ts';
import { readToJudge } from './divergence-store.ts';
import { holdForIngest } from './ingest-hold.ts';
import { judgeLocalSide } from './local-judging.ts';
import { go, type Next, type OpenState, type ReconcileDeps } from './reconciliation.ts';
import { fenceRun, updateRun } from './run-store.ts';
import { saveVerdicts } from './verdict-record.ts';

/** State `judging`. */
export async function judgeDivergences(deps: ReconcileDeps, input: StepInput): Promise<Next> {
  return inState(deps, input, ['judging'], async (run) => {
    const held = await holdForIngest(deps, input, run);
    if (held !== null) return held;
    const now = deps.clock.now();
    const limit = deps.settings.judgeBatch;
    for (const side of ['dict', 'row'] as const) {
      const batch = await readToJudge(deps.database, run.id, { side, now, limit });
      if (batch.length === 0) continue;
      await saveVerdicts(deps, input, run, await judgeDictSide(deps, run, batch));
      return go('judging', run.rung);
    }
    const dictSide = await readDictSide(deps.database, run.id);
    const locals = dictSide.waiting ? [] : await readToJudge(deps.database, run.id, { side: 'local', now, limit });
    if (locals.length > 0) {
      await saveVerdicts(deps, input, run, await judgeLocalSide(deps, run, locals, dictSide));
      return go('judging', run.rung);
    }
    return whatNext(deps, input, run, await tallyRun(deps.database, run.id));
  });
}

async function whatNext(deps: ReconcileDeps, input: StepInput, run: OpenRun, tally: RunTally): Promise<Next> {
  const waitMs = tally.nextDueAt === null ? null : tally.nextDueAt.getTime() - deps.clock.now().getTime();
  if ((tally.byState.settled ?? 0) > 0) return moveTo(deps, input, run, 'awaiting approval');
  // Something came due just now.
  if (waitMs !== null && waitMs <= 0) return go('judging', run.rung);
  return waitMs === null ? moveTo(deps, input, run, 'confirming') : sleepNext(deps, 'judging', run.rung, waitMs);
}

async function moveTo(deps: ReconcileDeps, input: StepInput, run: OpenRun, state: OpenState): Promise<Next> {
  await deps.database.transaction(async (tx) => {
    await fenceRun(tx, run.id, input.token);
    await updateRun(tx, run.id, { state }, deps.clock.now());
  });
  return go(state, run.rung);
}
