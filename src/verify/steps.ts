/**
 * The steps of a verification, for the flow. Each reads the run's row, does one bounded thing, stores what came of it and says
 * what is next: after a crash any of them can be taken again, and a step whose time has not come only says so.
 */

import { isKeyType } from '../dict/key-type.ts';
import { isParticipant } from '../dict/participant.ts';
import { assert } from '../platform/assert.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import { ask } from './ask.ts';
import { explainStep } from './explain-step.ts';
import type { NextStep } from './outcome.ts';
import { storedNext, type VerifyDeps } from './run-step.ts';
import { insertRun, type Run, readRun } from './run-store.ts';

export type { VerifyDeps } from './run-step.ts';

/** Plain JSON. `trigger`: who or what wanted the run, such as `command` or `daily`. */
export interface VerificationInput {
  readonly runId: string;
  readonly participant: string;
  readonly keyType: string;
  readonly trigger: string;
}

export interface VerificationSteps {
  begin(input: VerificationInput): Promise<NextStep>;
  ask(input: { readonly runId: string }): Promise<NextStep>;
  explain(input: { readonly runId: string }): Promise<NextStep>;
}

/** A verification that must not be sent (rule R18), or that cannot be meant. */
export class VerificationRefused extends Error {
  override readonly name = 'VerificationRefused';
}

/** The steps over their dependencies. */
export function createVerificationSteps(deps: VerifyDeps): VerificationSteps {
  return {
    begin: (input) => begin(deps, input),
    ask: async ({ runId }) => ask(deps, await openRun(deps, runId)),
    explain: async ({ runId }) => explainStep(deps, await openRun(deps, runId)),
  };
}

async function openRun(deps: VerifyDeps, runId: string): Promise<Run> {
  const run = await readRun(deps.database, runId);
  assert(run !== null, `verification run ${runId} was never begun`);
  return run;
}

function scopeOf({ participant, keyType }: VerificationInput): Scope {
  if (!isParticipant(participant)) throw new VerificationRefused(`participant: "${participant}" is not an ISPB (eight digits)`);
  if (!isKeyType(keyType)) throw new VerificationRefused(`key type: "${keyType}" is not one that DICT knows`);
  return { participant, keyType };
}

/** Starts the run, or finds it where it stands. Rejects with `VerificationRefused` for a base that DICT's VSync says nothing about. */
async function begin(deps: VerifyDeps, input: VerificationInput): Promise<NextStep> {
  const scope = scopeOf(input);
  if ((await readRun(deps.database, input.runId)) !== null) return storedNext(deps, input.runId);
  await refuseForeignCids(deps, scope);
  await insertRun(deps.database, { runId: input.runId, scope, trigger: input.trigger }, deps.clock.now());
  return storedNext(deps, input.runId);
}

async function refuseForeignCids({ database }: VerifyDeps, { participant }: Scope): Promise<void> {
  const { rows } = await database.query<{ cid_algorithm: string }>(
    'SELECT cid_algorithm FROM dict_participants WHERE participant = $1',
    [participant],
  );
  const algorithm = rows[0]?.cid_algorithm ?? 'dict';
  if (algorithm === 'dict') return;
  throw new VerificationRefused(
    `participant ${participant} hashes with ${algorithm}: DICT knows other CIDs, so it is never verified against DICT`,
  );
}
