/**
 * Runs of verification, one function per statement. A run's row is its whole state: whoever reads it can go on with the run. The
 * questions of a run are verification-store.ts.
 */

import type { KeyType } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';
import type { Sql } from '../platform/postgres/database.ts';
import { asVSync, type VSync } from '../vsync/vsync.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import type { VerificationOutcome } from './outcome.ts';

/** What a run's steps keep between them. See the table for the meaning of each. */
export interface RunProgress {
  readonly state: 'ask' | 'explain';
  readonly asked: number;
  readonly failures: number;
  readonly looks: number;
  readonly unexplained: number;
  readonly widened: number;
  readonly contradictions: number;
  readonly residual: VSync | null;
  readonly watching: boolean;
  readonly watchedSeq: number | null;
  readonly watchedAt: Date | null;
  readonly dueAt: Date;
}

export interface Run {
  readonly runId: string;
  readonly scope: Scope;
  readonly trigger: string;
  readonly startedAt: Date;
  readonly progress: RunProgress;
  /** Null while the run is open. */
  readonly outcome: VerificationOutcome | null;
}

interface RunRow {
  run_id: string;
  participant: Participant;
  key_type: KeyType;
  trigger: string;
  state: 'ask' | 'explain' | 'concluded';
  asked: number;
  failures: number;
  looks: number;
  unexplained: number;
  widened: number;
  contradictions: number;
  residual: Buffer | null;
  watching: boolean;
  watched_seq: number | null;
  watched_at: Date | null;
  started_at: Date;
  due_at: Date;
  result: VerificationOutcome | null;
}

/** Begins a run; one that exists already is left as it is. */
export async function insertRun(
  sql: Sql,
  run: { readonly runId: string; readonly scope: Scope; readonly trigger: string },
  now: Date,
): Promise<void> {
  await sql.query(
    `INSERT INTO dict_verification_runs (run_id, participant, key_type, trigger, state, asked, failures, looks, unexplained,
       widened, contradictions, residual, watching, watched_seq, watched_at, started_at, due_at)
     VALUES ($1, $2, $3, $4, 'ask', 0, 0, 0, 0, 0, 0, NULL, false, NULL, NULL, $5, $5)
     ON CONFLICT (run_id) DO NOTHING`,
    [run.runId, run.scope.participant, run.scope.keyType, run.trigger, now],
  );
}

/** The run; null where there is none of that id. */
export async function readRun(sql: Sql, runId: string): Promise<Run | null> {
  const { rows } = await sql.query<RunRow>(
    `SELECT run_id, participant, key_type, trigger, state, asked, failures, looks, unexplained, widened, contradictions,
       residual, watching, watched_seq, watched_at, started_at, due_at, result
     FROM dict_verification_runs WHERE run_id = $1`,
    [runId],
  );
  const row = rows[0];
  if (row === undefined) return null;
  return {
    runId: row.run_id,
    scope: { participant: row.participant, keyType: row.key_type },
    trigger: row.trigger,
    startedAt: row.started_at,
    outcome: row.result,
    progress: {
      state: row.state === 'explain' ? 'explain' : 'ask',
      asked: row.asked,
      failures: row.failures,
      looks: row.looks,
      unexplained: row.unexplained,
      widened: row.widened,
      contradictions: row.contradictions,
      residual: row.residual === null ? null : asVSync(row.residual),
      watching: row.watching,
      watchedSeq: row.watched_seq,
      watchedAt: row.watched_at,
      dueAt: row.due_at,
    },
  };
}

/** Stores how far an open run has come. False: another process has taken the same step, and its row stands. */
export async function writeProgress(sql: Sql, run: Run, next: RunProgress): Promise<boolean> {
  const before = run.progress;
  const { rowCount } = await sql.query(
    `UPDATE dict_verification_runs
     SET state = $2, asked = $3, failures = $4, looks = $5, unexplained = $6, widened = $7, contradictions = $8, residual = $9,
       watching = $10, watched_seq = $11, watched_at = $12, due_at = $13
     WHERE run_id = $1 AND state = $14 AND asked = $15 AND looks = $16 AND failures = $17`,
    [
      run.runId,
      next.state,
      next.asked,
      next.failures,
      next.looks,
      next.unexplained,
      next.widened,
      next.contradictions,
      next.residual === null ? null : Buffer.from(next.residual),
      next.watching,
      next.watchedSeq,
      next.watchedAt,
      next.dueAt,
      before.state,
      before.asked,
      before.looks,
      before.failures,
    ],
  );
  return rowCount === 1;
}

/** Closes a run. False: it was closed already, and that outcome stands. */
export async function writeOutcome(sql: Sql, runId: string, outcome: VerificationOutcome, now: Date): Promise<boolean> {
  const { rowCount } = await sql.query(
    `UPDATE dict_verification_runs SET state = 'concluded', outcome = $2, result = $3, concluded_at = $4
     WHERE run_id = $1 AND state <> 'concluded'`,
    [runId, outcome.kind, JSON.stringify(outcome), now],
  );
  return rowCount === 1;
}
