/** What can be seen of a reconciliation from outside while it runs: its row, each time its rung or state has changed. */

import { setTimeout as wait } from 'node:timers/promises';
import type { Sql } from '../../platform/postgres/database.ts';
import type { Scope } from '../../vsync/scope.ts';

/** Between two looks, in our own time: a state that is shorter is not told. */
const lookMs = 100;

const rungs: Readonly<Record<string, string>> = {
  log: 'differences that the log shows',
  file: 'the CID set file',
  scan: 'every row recomputed',
};

/** Tells of each change until `over`. */
export async function watchRun(sql: Sql, scope: Scope, over: AbortSignal, tell: (text: string) => void): Promise<void> {
  let told = '';
  while (!over.aborted) {
    const { rows } = await sql.query<{ id: string; rung: string; state: string }>(
      `SELECT id, rung, state FROM dict_reconciliations WHERE participant = $1 AND key_type = $2 AND ended_at IS NULL`,
      [scope.participant, scope.keyType],
    );
    const [run] = rows;
    const seen = run === undefined ? told : `reconciliation ${run.id}: ${run.state}, by ${rungs[run.rung] ?? run.rung}`;
    if (seen !== told) tell(seen);
    told = seen;
    await wait(lookMs, undefined, { signal: over }).catch(() => {});
  }
}
