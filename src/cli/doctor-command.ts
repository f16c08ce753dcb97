/**
 * `dict-vsync doctor`: whether everything that the program stands on is as it has to be, and what to do where it is not. Modifies
 * nothing, here or at DICT.
 */

import { styleText } from 'node:util';
import { Command } from 'commander';
import { examine } from './doctor/examination.ts';
import type { Finding, Level } from './doctor/finding.ts';
import { CommandFailed, type Io } from './io.ts';

const colours = { ok: 'green', warn: 'yellow', fail: 'red', skip: 'dim' } as const satisfies Record<Level, string>;
const checkColumns = 20;

/** `doctor`: exit status 1 when a check failed; warnings alone leave it 0. */
export function doctorCommand(io: Io): Command {
  return new Command('doctor')
    .description('Check configuration, database, certificates and the way to DICT, and say what to do; changes nothing')
    .option('--json', 'print as JSON')
    .allowExcessArguments(false)
    .action(async ({ json }: { readonly json?: true }) => {
      const findings: Finding[] = [];
      await examine(io, (finding) => {
        findings.push(finding);
        if (json !== true) io.stdout.write(lineOf(finding, io.stdout.isTTY === true));
      });
      const count = (level: Level): number => findings.filter((finding) => finding.level === level).length;
      const counts = { ok: count('ok'), warn: count('warn'), fail: count('fail'), skip: count('skip') };
      if (json === true) io.stdout.write(`${JSON.stringify({ ...counts, findings }, null, 2)}\n`);
      else io.stdout.write(`\n${counts.ok} ok, ${counts.warn} warnings, ${counts.fail} failures, ${counts.skip} not checked\n`);
      if (counts.fail > 0) throw new CommandFailed(null);
    });
}

function lineOf({ check, level, seen, advice }: Finding, coloured: boolean): string {
  const head = level.padEnd(4);
  const shown = coloured ? styleText(colours[level], head, { validateStream: false }) : head;
  const indent = ' '.repeat(head.length + 2 + checkColumns + 2);
  const text = seen.replaceAll('\n', `\n${indent}`);
  return `${shown}  ${check.padEnd(checkColumns)}  ${text}\n${advice === null ? '' : `${indent}do: ${advice}\n`}`;
}
