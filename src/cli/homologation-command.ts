/**
 * `dict-vsync homologation`: rehearses the synchronisation test of Instrução Normativa BCB 508 on a base and a DICT of its own, which
 * leave nothing behind. Talks to no other DICT and touches no other base: the real test is walked through in docs/homologation.md.
 */

import { Command, InvalidArgumentError, Option } from 'commander';
import { rehearse, STEPS } from '../demo/homologation/rehearsal.ts';
import { rehearsalLog } from '../demo/homologation/rehearsal-log.ts';
import { CLAIMABLE_KEY_TYPES, type ClaimableKeyType, KEYS_MAX, KEYS_MIN } from '../demo/homologation/settings.ts';
import type { Rehearsed } from '../demo/homologation/verdict.ts';
import { maskKey } from '../ledger/masking.ts';
import { CommandFailed, type Io } from './io.ts';
import { table } from './table.ts';

interface Options {
  readonly keyType: ClaimableKeyType;
  readonly keys: number;
  readonly seed: number;
  readonly inLog?: true;
  readonly json?: true;
}

function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^[0-9]+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

/** `homologation`: exit status 0 only when every check of the rehearsal has passed. */
export function homologationCommand(io: Io): Command {
  return new Command('homologation')
    .description(
      'Rehearse the Central Bank’s synchronisation test (IN BCB 508) against a simulator; exit status 0 only if DICT says OK',
    )
    .addOption(
      new Option('--key-type <type>', 'the key type of the test; an EVP cannot be claimed')
        .choices(CLAIMABLE_KEY_TYPES)
        .default('PHONE'),
    )
    .option('--keys <count>', 'keys registered before the test', integer(KEYS_MIN, KEYS_MAX), 1_000)
    .option('--seed <number>', 'everything generated follows from it', integer(0, 2_147_483_647), 1)
    .option('--in-log', 'let DICT’s event log show what the Central Bank changes; without it, only the CID set file can tell')
    .option('--json', 'print the log, the evidence and the verdict as JSON')
    .allowExcessArguments(false)
    .action(async ({ inLog, json, ...options }: Options) => {
      const logOf = rehearsalLog(io, STEPS, json === true);
      const rehearsed = await rehearse(io, { ...options, inLog: inLog === true }, logOf);
      if (json === true) io.stdout.write(`${JSON.stringify(asJson(rehearsed), null, 2)}\n`);
      else show(io, rehearsed);
      if (!rehearsed.passed) throw new CommandFailed('homologation: the rehearsal was not passed; the checks above say where');
    });
}

const times = ['beganAt', 'testBeganAt', 'endedAt'] as const;

/** What was found, without a key in clear, although these are nobody's: people keep such lines. */
function divergencesOf({ repairs, options }: Rehearsed) {
  return repairs.planted.map(({ key, kind, found, repaired }) => ({
    key: maskKey(key, options.keyType),
    kind,
    foundAs: found?.kind ?? null,
    foundBy: found?.by ?? null,
    repaired,
  }));
}

function asJson(rehearsed: Rehearsed): Record<string, unknown> {
  const { passed, options, checks, reconciled, registered, comparison, calls, log } = rehearsed;
  return {
    passed,
    test: options,
    checks,
    ...Object.fromEntries(times.map((name) => [name, rehearsed.times[name]])),
    reconciliation: reconciled,
    divergences: divergencesOf(rehearsed),
    vsyncBefore: registered.vsync,
    vsyncAfter: comparison.vsync,
    calls,
    log,
  };
}

function show(io: Io, rehearsed: Rehearsed): void {
  const divergences = table(
    [
      { title: 'key', value: ({ key }) => key },
      { title: 'planted', value: ({ kind }) => kind },
      { title: 'found as', value: ({ foundAs }) => foundAs ?? 'not found' },
      { title: 'by', value: ({ foundBy }) => foundBy ?? '' },
      { title: 'repaired', value: ({ repaired }) => (repaired ? 'yes' : 'NO') },
    ],
    divergencesOf(rehearsed),
  );
  const checks = table(
    [
      { title: 'check', value: ({ name }) => name },
      { title: '', value: ({ passed }) => (passed ? 'ok' : 'FAILED') },
      { title: 'what was seen', value: ({ seen }) => seen },
    ],
    rehearsed.checks,
  );
  const verdict = rehearsed.passed
    ? 'OK: DICT’s last answer is OK, and everything that was changed behind the participant’s back was found and repaired.'
    : 'Not passed.';
  io.stdout.write(`\n${divergences}\n${checks}\n${verdict}\n`);
}
