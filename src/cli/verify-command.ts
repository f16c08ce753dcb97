/** `dict-vsync verify`: asks DICT whether it holds what we hold, and explains a NOK. Nothing is repaired. */

import { randomUUID } from 'node:crypto';
import { Command } from 'commander';
import { unreachable } from '../platform/assert.ts';
import type { RunnerDeps } from '../runner/in-process-runner.ts';
import { runMaintenanceWindow, runVerification } from '../runner/verification-run.ts';
import { endExpiredWindows, WindowRefused } from '../verify/maintenance-window.ts';
import type { VerificationOutcome } from '../verify/outcome.ts';
import { VerificationRefused, type VerifyDeps } from '../verify/steps.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import { type Base, verifySettingsOf, withBase } from '../wire.ts';
import { type OpenedDict, openDict } from '../wire-dict.ts';
import { CommandFailed, type Io } from './io.ts';
import { scopesOfBase } from './known-scopes.ts';
import { operatorOf } from './operator.ts';
import { countingEnds, type Progress, withProgress } from './progress.ts';
import { keyTypeOption, participantOption, type ScopeChoice } from './scope-option.ts';
import { table } from './table.ts';
import { windowOption } from './window-option.ts';

interface Verified {
  readonly scope: Scope;
  readonly runId: string;
  /** Null where the verification was refused. */
  readonly outcome: VerificationOutcome | null;
  readonly refusal: string | null;
}

const divergedExitCode = 1;
const unprovenExitCode = 2;

/** Outcome, proof and reason as columns. */
function wordsOf({ outcome, refusal }: Verified): readonly [string, string, string] {
  if (outcome === null) return ['refused', '', refusal ?? ''];
  switch (outcome.kind) {
    case 'in-sync':
      return outcome.proof === 'ok'
        ? ['in-sync', 'ok', `DICT said OK to seq ${outcome.seq}`]
        : ['in-sync', 'log', `DICT's log accounts for seq ${outcome.seq} at ${outcome.at}`];
    case 'diverged':
      return [outcome.kind, '', `${outcome.located === 0 ? 'file needed' : `${outcome.located} located`}: ${outcome.reason}`];
    case 'inconclusive':
    case 'unavailable':
    case 'dict-inconsistent':
      return [outcome.kind, '', outcome.reason];
    default:
      return unreachable(outcome);
  }
}

function exitCodeOf(results: readonly Verified[]): number {
  const kinds = results.map(({ outcome }) => outcome?.kind);
  if (kinds.some((kind) => kind === 'diverged' || kind === 'dict-inconsistent')) return divergedExitCode;
  return kinds.every((kind) => kind === 'in-sync') ? 0 : unprovenExitCode;
}

type Deps = RunnerDeps & VerifyDeps;

function depsOf(base: Base, dict: OpenedDict, io: Io): Deps {
  const settings = verifySettingsOf(base.config);
  const { signal } = io;
  return { ...base, dict, settings, newId: randomUUID, signal, suspendOnWait: false, wakePollMs: settings.longestPollMs };
}

async function verifyScope(deps: Deps, scope: Scope): Promise<Verified> {
  const runId = randomUUID();
  try {
    return { scope, runId, outcome: await runVerification(deps, { runId, ...scope, trigger: 'command' }), refusal: null };
  } catch (cause) {
    if (!(cause instanceof VerificationRefused)) throw cause;
    return { scope, runId, outcome: null, refusal: cause.message };
  }
}

/** All scopes of one participant, while its core holds everything that changes keys. */
async function verifyInWindow(
  deps: Deps,
  scopes: readonly Scope[],
  window: { lengthMs: number; requestedBy: string },
): Promise<Verified[]> {
  const runs = scopes.map((scope) => ({ scope, runId: randomUUID() }));
  const participant = scopes[0]?.participant ?? '';
  const refused = (refusal: string): Verified[] => runs.map((run) => ({ ...run, outcome: null, refusal }));
  try {
    const result = await runMaintenanceWindow(deps, {
      windowId: randomUUID(),
      participant,
      keyTypes: scopes.map(({ keyType }) => keyType),
      runIds: runs.map(({ runId }) => runId),
      ...window,
    });
    if (result.kind === 'never-quiet')
      return refused(`nothing was asked, the window ended before all was at rest: ${result.because}`);
    return runs.map((run, index) => ({ ...run, outcome: result.outcomes[index]?.outcome ?? null, refusal: null }));
  } catch (cause) {
    if (cause instanceof VerificationRefused || cause instanceof WindowRefused) return refused(cause.message);
    throw cause;
  }
}

function print(io: Io, results: readonly Verified[], json: boolean): void {
  if (json) {
    const rows = results.map(({ scope, runId, outcome, refusal }) => ({
      ...scope,
      runId,
      outcome,
      ...(refusal === null ? {} : { refusal }),
    }));
    io.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
    return;
  }
  io.stdout.write(
    table<Verified>(
      [
        { title: 'participant', value: ({ scope }) => scope.participant },
        { title: 'type', value: ({ scope }) => scope.keyType },
        { title: 'outcome', value: (row) => wordsOf(row)[0] },
        { title: 'proof', value: (row) => wordsOf(row)[1] },
        { title: 'reason', value: (row) => wordsOf(row)[2] },
      ],
      results,
    ),
  );
}

interface VerifyOptions extends ScopeChoice {
  readonly json?: true;
  readonly maintenanceWindow?: number;
}

async function verifyAll(
  deps: Deps,
  scopes: readonly Scope[],
  options: VerifyOptions,
  { requestedBy, progress }: { readonly requestedBy: string; readonly progress: Progress },
): Promise<Verified[]> {
  const lengthMs = options.maintenanceWindow;
  if (lengthMs === undefined) {
    return Promise.all(scopes.map(countingEnds(progress, scopes.length, (scope: Scope) => verifyScope(deps, scope))));
  }
  const byParticipant = [...Map.groupBy(scopes, ({ participant }) => participant).values()];
  return (await Promise.all(byParticipant.map((each) => verifyInWindow(deps, each, { lengthMs, requestedBy })))).flat();
}

/** `verify`: exit status 0 when all is in sync, 1 when something diverged, 2 when something could not be proven. */
export function verifyCommand(io: Io): Command {
  return new Command('verify')
    .description('Ask DICT whether it holds what we hold; exit status 0: in sync, 1: diverged, 2: not proven')
    .addOption(participantOption())
    .addOption(keyTypeOption())
    .addOption(windowOption())
    .option('--json', 'print as JSON')
    .allowExcessArguments(false)
    .action((options: VerifyOptions) =>
      withProgress(io, { title: 'verify', unit: 'key types' }, (apart, progress) =>
        withBase(apart, (base) => verify(apart, base, options, progress)),
      ),
    );
}

async function verify(io: Io, base: Base, options: VerifyOptions, progress: Progress): Promise<void> {
  const scopes = await scopesOfBase(base, options);
  if (scopes.length === 0) {
    throw new CommandFailed('verify: the base knows no participant; "dict-vsync import FILE" loads one', unprovenExitCode);
  }
  await endExpiredWindows(base);
  const dict = await openDict(base);
  try {
    const requestedBy = operatorOf(base.config).name;
    const results = await verifyAll(depsOf(base, dict, io), scopes, options, { requestedBy, progress });
    print(io, results, options.json === true);
    const exitCode = exitCodeOf(results);
    if (exitCode === 0) return;
    const open = results.filter(({ outcome }) => outcome?.kind !== 'in-sync').length;
    const advice = exitCode === divergedExitCode ? '; "dict-vsync reconcile" repairs' : '';
    throw new CommandFailed(`verify: ${open} of ${results.length} not in sync${advice}`, exitCode);
  } finally {
    await dict.close();
  }
}
