/**
 * `dict-vsync homologation`: rehearses the synchronisation test of Instrução Normativa BCB 508 on a base and a DICT of its own, which
 * leave nothing behind. Talks to no other DICT and touches no other base: the real test is walked through in docs/homologation.md.
 */

import { Command, InvalidArgumentError, Option } from 'commander';
import { rehearse, STEPS } from '../demo/homologation/rehearsal.ts';
import { rehearsalLog } from '../demo/homologation/rehearsal-log.ts';
import { CLAIMABLE_KEY_TYPES, type ClaimableKeyType, KEYS_MAX, KEYS_MIN } from '../demo/homologation/settings.ts';
import type { Rehearsed } from '../demo/homologation/verdict.ts';
import { CommandFailed, type Io } from './io.ts';

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
      if (json === true) io.stdout.write(`${JSON.stringify(rehearsed, null, 2)}\n`);
      else show(io, rehearsed);
      if (!rehearsed.passed) throw new CommandFailed('homologation: the rehearsal was not passed; the checks above say where');
    });
}

function show(io: Io, { checks, passed }: Rehearsed): void {
  for (const { name, passed: held, seen } of checks)
    io.stdout.write(`      ${held ? 'ok  ' : 'FAIL'}  ${name.padEnd(12)}  ${seen}\n`);
  io.stdout.write(passed ? 'OK\n' : 'not OK\n');
}
