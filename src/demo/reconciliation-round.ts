/** Every key type synchronised as `dict-vsync reconcile` does it, and what can be seen of that from outside: the rows of the runs. */

import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { KEY_TYPES, type KeyType } from '../dict/key-type.ts';
import { runSynchronisation, type SynchronisationRunDeps } from '../runner/synchronisation-run.ts';
import { synchronisationDeps } from '../wire.ts';
import { OURS } from './settings.ts';
import type { StageOutput } from './stage-output.ts';
import type { DemoWorld } from './world.ts';

export interface Reconciled {
  readonly keyType: KeyType;
  /** Null where nothing had to be reconciled. */
  readonly runId: string | null;
  readonly reportId: string;
  readonly status: string;
  readonly outcome: string;
}

/** Between two looks at the runs, in our own time. */
const lookMs = 150;

/** All key types at once; `fromRung` as the command has it. */
export async function reconcileAll(
  world: DemoWorld,
  output: StageOutput,
  signal: AbortSignal,
  fromRung: 'scan' | null,
): Promise<Reconciled[]> {
  const deps = synchronisationDeps(world.base, world.dict, signal);
  const over = new AbortController();
  const watching = watch(world, output, over.signal);
  try {
    return await Promise.all(KEY_TYPES.map((keyType) => reconcile(deps, keyType, fromRung)));
  } finally {
    over.abort();
    await watching;
  }
}

/** One key type. */
export async function reconcile(deps: SynchronisationRunDeps, keyType: KeyType, fromRung: 'scan' | null): Promise<Reconciled> {
  const result = await runSynchronisation(deps, {
    syncId: randomUUID(),
    participant: OURS,
    keyType,
    owner: randomUUID(),
    requestedBy: { name: 'demo', authenticated: false },
    fromRung,
  });
  if (result.kind === 'elsewhere') throw new Error(`the reconciliation of ${keyType} is worked on by somebody else`);
  const { runId, syncId: reportId, status, outcome } = result;
  return { keyType, runId, reportId, status, outcome };
}

const begins = {
  log: 'takes up what the verification located',
  file: 'climbs to the CID set file',
  scan: 'recomputes every CID from its row',
} as const;

/** Says when a run climbs a rung, and shows what all of them are at. */
async function watch(world: DemoWorld, output: StageOutput, over: AbortSignal): Promise<void> {
  const said = new Set<string>();
  const bar = output.progress('working', KEY_TYPES.length);
  while (!over.aborted) {
    const { rows } = await world.base.database.query<{ id: string; key_type: KeyType; rung: keyof typeof begins; state: string }>(
      `SELECT id, key_type, rung, state FROM dict_reconciliations
       WHERE participant = $1 AND ended_at IS NULL ORDER BY key_type`,
      [OURS],
    );
    for (const { id, key_type, rung } of rows) {
      if (said.has(`${id} ${rung}`)) continue;
      said.add(`${id} ${rung}`);
      output.line(`${key_type.padEnd(5)} ${begins[rung]}`);
    }
    bar.at(KEY_TYPES.length - rows.length, rows.map(({ key_type, state }) => `${key_type} ${state}`).join(', '));
    await wait(lookMs, undefined, { signal: over }).catch(() => {});
  }
  bar.end();
}
