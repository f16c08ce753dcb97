/**
 * `dict-vsync vsync`: CIDs in, their VSync out, without any base. A VSync that leaves out a line is a wrong one, so none is
 * printed unless every line was a CID.
 */

import { Argument, Command } from 'commander';
import { type Cid, cidFromHex } from '../cid/cid.ts';
import { emptyVSync, vsyncToHex, xorInto } from '../vsync/vsync.ts';
import { type InputLine, inputLines } from './input-lines.ts';
import { CommandFailed, type Io } from './io.ts';
import { writeOut } from './output-pipe.ts';
import { SEEN_CIDS_MAX, seenCids } from './seen-cids.ts';

/** More duplicates than these are only counted. */
const duplicatesNamed = 20;

/** The command, to be added to the program. */
export function vsyncCommand(io: Io): Command {
  return new Command('vsync')
    .description('Compute the VSync of CIDs: 64 hex digits a line in, one line out (64 zeros for none)')
    .addArgument(new Argument('[file]', 'CIDs, one a line, such as a CID set file; - is standard input').default('-'))
    .allowExcessArguments(false)
    .addHelpText(
      'after',
      `
A CID that comes twice cancels itself out: it is warned of on standard error and counted as given. A line that is
no CID is named on standard error; no VSync is printed then, and the exit status is 1.

Example:
  dict-vsync cid entries.ndjson | dict-vsync vsync`,
    )
    .action((file: string) => computeVSync(io, file));
}

async function computeVSync(io: Io, file: string): Promise<void> {
  const vsync = emptyVSync();
  const seen = seenCids();
  let lineCount = 0;
  let refused = 0;
  let duplicates = 0;
  for await (const lines of inputLines(io, file)) {
    let messages = '';
    for (const line of lines) {
      lineCount++;
      const cid = cidOfLine(line);
      if (typeof cid === 'string') {
        refused++;
        messages += `line ${line.number}: ${cid}\n`;
        continue;
      }
      xorInto(vsync, cid);
      if (!seen.seenBefore(cid)) continue;
      duplicates++;
      if (duplicates <= duplicatesNamed) messages += `warning: line ${line.number}: this CID came before; pairs cancel out\n`;
    }
    if (messages !== '') await writeOut(io.stderr, messages);
  }
  await summarize(io, duplicates, seen.isFull);
  if (refused > 0) throw new CommandFailed(`${refused} of ${lineCount} lines are not CIDs; no VSync is made of the rest`);
  await writeOut(io.stdout, `${vsyncToHex(vsync)}\n`);
}

async function summarize(io: Io, duplicates: number, isFull: boolean): Promise<void> {
  if (duplicates > duplicatesNamed) {
    await writeOut(
      io.stderr,
      `warning: ${duplicates} lines repeat an earlier CID; the first ${duplicatesNamed} are named above\n`,
    );
  }
  if (isFull) {
    await writeOut(io.stderr, `warning: only the first ${SEEN_CIDS_MAX} CIDs were watched for being repeated\n`);
  }
}

/** The CID, or what is wrong with the line. */
function cidOfLine(line: InputLine): Cid | string {
  if (line.text === null) return line.problem;
  try {
    return cidFromHex(line.text.trim());
  } catch (error) {
    if (error instanceof TypeError) return error.message;
    throw error;
  }
}
