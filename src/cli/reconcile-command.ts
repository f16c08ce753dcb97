/**
 * `dict-vsync reconcile`: verify, and where DICT and the base differ, find the keys and repair the base, each scope with its report.
 * Also how a person pauses a run and lets it go on.
 */

import { randomUUID } from 'node:crypto';
import { Command, Option } from 'commander';
import { setPaused } from '../reconcile/run-store.ts';
import { FlowSuspended } from '../runner/in-process-runner.ts';
import { runSynchronisation } from '../runner/synchronisation-run.ts';
import { runInsideWindow } from '../runner/verification-run.ts';
import { endExpiredWindows, WindowRefused } from '../verify/maintenance-window.ts';
import type { Scope } from '../vsync/scope.ts';
import { type Base, synchronisationDeps, withBase } from '../wire.ts';
import { openDict } from '../wire-dict.ts';
import { CommandFailed, type Io } from './io.ts';
import { scopesOfBase } from './known-scopes.ts';
import { operatorOf } from './operator.ts';
import { type Progress, withProgress } from './progress.ts';
import { withRunStates } from './run-states.ts';
import { keyTypeOption, participantOption, type ScopeChoice } from './scope-option.ts';
import { table } from './table.ts';
import { windowOption } from './window-option.ts';

interface ReconcileOptions extends ScopeChoice {
  readonly fromRung?: 'file' | 'scan';
  readonly pause?: string;
  readonly resume?: string;
  readonly wait?: true;
  /** Length of the window in milliseconds. */
  readonly maintenanceWindow?: number;
  readonly json?: true;
}

interface Reconciled {
  readonly scope: Scope;
  readonly reportId: string | null;
  readonly runId: string | null;
  readonly status: 'COMPLETED' | 'PARTIAL' | 'FAILED' | 'WAITING' | 'ELSEWHERE';
  readonly outcome: string;
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const waitingExitCode = 3;

function runIdOf(text: string): string {
  if (!uuid.test(text))
    throw new CommandFailed(`reconcile: "${text}" is not a run’s id (a UUID; "dict-vsync status" shows open runs)`, 2);
  return text;
}

async function pauseRun(base: Base, io: Io, runId: string): Promise<void> {
  const now = base.clock.now();
  if (!(await setPaused(base.database, runId, now, now))) {
    throw new CommandFailed(`reconcile: there is no open run ${runId}, or it is paused already`);
  }
  io.stdout.write(`Run ${runId} stops before its next step. "dict-vsync reconcile --resume ${runId}" lets it go on.\n`);
}

/** The scope of a paused or abandoned run, which then goes on. */
async function resumedScope(base: Base, runId: string): Promise<Scope> {
  const { rows } = await base.database.query<Scope & { ended_at: Date | null }>(
    'SELECT participant, key_type AS "keyType", ended_at FROM dict_reconciliations WHERE id = $1',
    [runId],
  );
  const run = rows[0];
  if (run === undefined)
    throw new CommandFailed(`reconcile: there is no run ${runId}; "dict-vsync report list" shows those there are`);
  if (run.ended_at !== null) {
    throw new CommandFailed(
      `reconcile: run ${runId} has ended; what it left open is carried into the next: "dict-vsync reconcile"`,
    );
  }
  await setPaused(base.database, runId, null, base.clock.now());
  return { participant: run.participant, keyType: run.keyType };
}

async function reconcileScope(
  base: Base,
  io: Io,
  scope: Scope,
  options: ReconcileOptions,
  deps: ReturnType<typeof synchronisationDeps>,
): Promise<Reconciled> {
  const syncId = randomUUID();
  const input = {
    syncId,
    ...scope,
    owner: randomUUID(),
    requestedBy: operatorOf(base.config),
    fromRung: options.fromRung ?? null,
  };
  try {
    const result = await runSynchronisation({ ...deps, signal: io.signal, suspendOnWait: options.wait !== true }, input);
    if (result.kind === 'elsewhere') {
      const outcome = 'another process works on it';
      return { scope, reportId: null, runId: result.runId, status: 'ELSEWHERE', outcome };
    }
    return { scope, reportId: result.syncId, runId: result.runId, status: result.status, outcome: result.outcome };
  } catch (cause) {
    if (!(cause instanceof FlowSuspended)) throw cause;
    return { scope, reportId: null, ...(await waitingRun(base, scope)), status: 'WAITING' };
  }
}

async function waitingRun(base: Base, scope: Scope): Promise<{ readonly runId: string | null; readonly outcome: string }> {
  const { rows } = await base.database.query<{ id: string; state: string; paused_at: Date | null }>(
    'SELECT id, state, paused_at FROM dict_reconciliations WHERE participant = $1 AND key_type = $2 AND ended_at IS NULL',
    [scope.participant, scope.keyType],
  );
  const run = rows[0];
  const why = run?.paused_at === null ? (run.state ?? 'waiting') : 'paused';
  return { runId: run?.id ?? null, outcome: why };
}

function print(io: Io, results: readonly Reconciled[], json: boolean): void {
  if (json) {
    const rows = results.map(({ scope, ...rest }) => ({ ...scope, ...rest }));
    io.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
    return;
  }
  io.stdout.write(
    table<Reconciled>(
      [
        { title: 'participant', value: ({ scope }) => scope.participant },
        { title: 'type', value: ({ scope }) => scope.keyType },
        { title: 'status', value: (row) => row.status },
        { title: 'report', value: (row) => row.reportId ?? '' },
        { title: 'outcome', value: (row) => row.outcome },
      ],
      results,
      { colour: io.stdout.isTTY === true },
    ),
  );
}

/** Exit status: 0 all completed, 1 something failed or stayed open, 3 something waits for a decision. */
function failureOf(results: readonly Reconciled[]): CommandFailed | null {
  const waiting = results.filter((result) => result.status === 'WAITING');
  const failed = results.filter((result) => result.status !== 'COMPLETED' && result.status !== 'WAITING');
  if (failed.length > 0) {
    return new CommandFailed(
      `reconcile: ${failed.length} of ${results.length} not completed; "dict-vsync report show ID" says why`,
    );
  }
  const [first] = waiting;
  if (first === undefined) return null;
  const advice =
    first.outcome === 'paused'
      ? `"dict-vsync reconcile --resume ${first.runId}" lets it go on`
      : `another operator decides: "dict-vsync approve ${first.runId} --reason TEXT" (or reject); then run reconcile again`;
  return new CommandFailed(`reconcile: ${waiting.length} of ${results.length} wait for a decision; ${advice}`, waitingExitCode);
}

/** All scopes at once; in a maintenance window where one is wanted, one window for each participant. */
async function reconcileAll(
  base: Base,
  scopes: readonly Scope[],
  { maintenanceWindow }: ReconcileOptions,
  deps: ReturnType<typeof synchronisationDeps>,
  reconcileOne: (scope: Scope) => Promise<Reconciled>,
): Promise<Reconciled[]> {
  if (maintenanceWindow === undefined) return Promise.all(scopes.map(reconcileOne));
  await endExpiredWindows(base);
  const byParticipant = [...Map.groupBy(scopes, ({ participant }) => participant)];
  const inWindow = async ([participant, each]: (typeof byParticipant)[number]): Promise<Reconciled[]> => {
    const window = {
      windowId: randomUUID(),
      participant,
      keyTypes: each.map(({ keyType }) => keyType),
      lengthMs: maintenanceWindow,
    };
    const verifyDeps = { ...deps, settings: deps.verify };
    const failed = (outcome: string): Reconciled[] =>
      each.map((scope) => ({ scope, reportId: null, runId: null, status: 'FAILED', outcome }));
    try {
      const requestedBy = operatorOf(base.config).name;
      const done = await runInsideWindow(verifyDeps, { ...window, requestedBy }, () => Promise.all(each.map(reconcileOne)));
      return 'kind' in done ? failed(`not begun, the window ended before all was at rest: ${done.because}`) : done;
    } catch (cause) {
      if (cause instanceof WindowRefused) return failed(cause.message);
      throw cause;
    }
  };
  return (await Promise.all(byParticipant.map(inWindow))).flat();
}

async function reconcile(io: Io, base: Base, options: ReconcileOptions, progress: Progress): Promise<void> {
  if (options.pause !== undefined) return pauseRun(base, io, runIdOf(options.pause));
  const scopes =
    options.resume === undefined ? await scopesOfBase(base, options) : [await resumedScope(base, runIdOf(options.resume))];
  if (scopes.length === 0)
    throw new CommandFailed('reconcile: the base knows no participant; "dict-vsync import FILE" loads one', 2);
  const dict = await openDict(base);
  try {
    const deps = synchronisationDeps(base, dict, io.signal);
    const one = (scope: Scope): Promise<Reconciled> => reconcileScope(base, io, scope, options, deps);
    const results = await withRunStates<Reconciled, Reconciled[]>(io, base, scopes, progress, (counted) =>
      reconcileAll(base, scopes, options, deps, counted(one)),
    );
    print(io, results, options.json === true);
    const failure = failureOf(results);
    if (failure !== null) throw failure;
  } finally {
    await dict.close();
  }
}

/** `reconcile`: exit status 0 when all is done, 1 when something is not, 3 when something waits for a decision. */
export function reconcileCommand(io: Io): Command {
  return new Command('reconcile')
    .description(
      'Verify, find the keys that differ and repair the base; exit status 0: done, 1: not completed, 3: waits for approval',
    )
    .addOption(participantOption())
    .addOption(keyTypeOption())
    .addOption(
      new Option(
        '--from-rung <rung>',
        'begin without a verification: with the CID set file, or by recomputing every row',
      ).choices(['file', 'scan']),
    )
    .addOption(new Option('--pause <run>', 'stop a run before its next step').conflicts(['resume', 'fromRung']))
    .addOption(new Option('--resume <run>', 'go on with a run that was paused, or whose process ended').conflicts('fromRung'))
    .addOption(windowOption())
    .option('--wait', 'wait for an approval instead of ending with status 3')
    .option('--json', 'print as JSON')
    .allowExcessArguments(false)
    .action((options: ReconcileOptions) =>
      withProgress(io, { title: 'reconcile', unit: 'key types' }, (apart, progress) =>
        withBase(apart, (base) => reconcile(apart, base, options, progress)),
      ),
    );
}
