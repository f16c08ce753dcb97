/**
 * What reconciliations are doing while a person waits for them: most of the time they wait themselves, for a file, a grace, a token. The
 * states are read from their rows, about once a second, and only where somebody watches.
 */

import type { Sql } from '../platform/postgres/database.ts';
import type { Scope } from '../vsync/scope.ts';
import type { Base } from '../wire.ts';
import type { Io } from './io.ts';
import type { Progress } from './progress.ts';

const everyMs = 1_000;

type Work<Result> = (scope: Scope) => Promise<Result>;

/** Runs the work on all scopes; `counted` wraps the work on one of them. The progress shows how many are done, and the states of the rest. */
export async function withRunStates<Result, Results>(
  io: Io,
  base: Base,
  scopes: readonly Scope[],
  progress: Progress,
  work: (counted: (one: Work<Result>) => Work<Result>) => Promise<Results>,
): Promise<Results> {
  const total = scopes.length;
  let done = 0;
  let phase: string | undefined;
  const tell = (): void => progress.at({ done, total, ...(phase === undefined ? {} : { phase }) });
  const counted = (one: Work<Result>): Work<Result> => {
    return async (scope) => {
      const result = await one(scope);
      done += 1;
      tell();
      return result;
    };
  };
  const watching = new AbortController();
  const watch = async (): Promise<void> => {
    while (!watching.signal.aborted) {
      // A database that cannot tell the state is the run's to complain about.
      phase = await statesOf(base.database, scopes).catch(() => undefined);
      tell();
      await base.clock.sleep(everyMs, watching.signal).catch(() => {});
    }
  };
  const watched = io.stderr.isTTY === true ? watch() : null;
  try {
    return await work(counted);
  } finally {
    watching.abort();
    await watched;
  }
}

/** Such as "CPF judging, EVP downloading"; undefined where no run is open. */
async function statesOf(sql: Sql, scopes: readonly Scope[]): Promise<string | undefined> {
  const { rows } = await sql.query<{ participant: string; key_type: string; state: string }>(
    `SELECT participant, key_type, state FROM dict_reconciliations WHERE ended_at IS NULL ORDER BY participant, key_type`,
  );
  const mine = rows.filter((row) =>
    scopes.some(({ participant, keyType }) => participant === row.participant && keyType === row.key_type),
  );
  return mine.length === 0 ? undefined : mine.map(({ key_type, state }) => `${key_type} ${state}`).join(', ');
}
