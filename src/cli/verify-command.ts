/** `dict-vsync verify`: asks DICT whether it holds what we hold, and explains a NOK. Nothing is repaired. */

import { randomUUID } from 'node:crypto';
import { Command } from 'commander';
import { unreachable } from '../platform/assert.ts';
import { runVerification } from '../runner/verification-run.ts';
import type { VerificationOutcome } from '../verify/outcome.ts';
import { VERIFY_DEFAULTS } from '../verify/settings.ts';
import { VerificationRefused } from '../verify/steps.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import { type Base, openDict, verifySettingsOf, withBase } from '../wire.ts';
import { CommandFailed, type Io } from './io.ts';
import { keyTypeOption, participantOption, type ScopeChoice, scopesOf } from './scope-option.ts';
import { table } from './table.ts';

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

async function verifyScope(base: Base, dict: ReturnType<typeof openDict>, io: Io, scope: Scope): Promise<Verified> {
  const runId = randomUUID();
  const settings = { ...VERIFY_DEFAULTS, ...verifySettingsOf(base.config) };
  const deps = {
    ...base,
    dict,
    settings,
    newId: randomUUID,
    signal: io.signal,
    suspendOnWait: false,
    wakePollMs: settings.longestPollMs,
  };
  try {
    return { scope, runId, outcome: await runVerification(deps, { runId, ...scope, trigger: 'command' }), refusal: null };
  } catch (cause) {
    if (!(cause instanceof VerificationRefused)) throw cause;
    return { scope, runId, outcome: null, refusal: cause.message };
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

/** `verify`: exit status 0 when all is in sync, 1 when something diverged, 2 when something could not be proven. */
export function verifyCommand(io: Io): Command {
  return new Command('verify')
    .description('Ask DICT whether it holds what we hold; exit status 0: in sync, 1: diverged, 2: not proven')
    .addOption(participantOption())
    .addOption(keyTypeOption())
    .option('--json', 'print as JSON')
    .allowExcessArguments(false)
    .action((options: ScopeChoice & { readonly json?: true }) =>
      withBase(io, async (base) => {
        const scopes = await scopesOf(base.database, options, base.config.program);
        if (scopes.length === 0)
          throw new CommandFailed('verify: the base knows no participant; "dict-vsync import FILE" loads one', unprovenExitCode);
        const dict = openDict(base);
        try {
          const results = await Promise.all(scopes.map((scope) => verifyScope(base, dict, io, scope)));
          print(io, results, options.json === true);
          const exitCode = exitCodeOf(results);
          if (exitCode === 0) return;
          const open = results.filter(({ outcome }) => outcome?.kind !== 'in-sync').length;
          const advice = exitCode === divergedExitCode ? '; "dict-vsync reconcile" repairs' : '';
          throw new CommandFailed(`verify: ${open} of ${results.length} not in sync${advice}`, exitCode);
        } finally {
          await dict.close();
        }
      }),
    );
}
