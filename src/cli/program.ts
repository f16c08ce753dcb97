/**
 * The command line: all commands, and how one ends. Knows no process: main.ts binds it to the real one, tests to a stand-in.
 */

import { Command, CommanderError } from 'commander';
import { approveCommand, rejectCommand } from './approve-command.ts';
import { auditCommand } from './audit-command.ts';
import { cidCommand } from './cid-command.ts';
import { configCommand } from './config-command.ts';
import { demoCommand } from './demo-command.ts';
import { diffCommand } from './diff-command.ts';
import { entryCommand } from './entry-command.ts';
import { importCommand } from './import-command.ts';
import { ingestCommand } from './ingest-command.ts';
import { CommandFailed, type Io } from './io.ts';
import { migrateCommand } from './migrate-command.ts';
import { participantCommand } from './participant-command.ts';
import { rebuildCommand } from './rebuild-command.ts';
import { reconcileCommand } from './reconcile-command.ts';
import { reportCommand } from './report-command.ts';
import { reviewCommand } from './review-command.ts';
import { scanCommand } from './scan-command.ts';
import { simulatorCommand } from './simulator-command.ts';
import { statusCommand } from './status-command.ts';
import { verifyCommand } from './verify-command.ts';
import { vsyncCommand } from './vsync-command.ts';
import { workerCommand } from './worker-command.ts';

const commands = [
  demoCommand,
  importCommand,
  ingestCommand,
  verifyCommand,
  reconcileCommand,
  workerCommand,
  approveCommand,
  rejectCommand,
  reviewCommand,
  statusCommand,
  reportCommand,
  entryCommand,
  auditCommand,
  scanCommand,
  rebuildCommand,
  participantCommand,
  cidCommand,
  vsyncCommand,
  diffCommand,
  simulatorCommand,
  configCommand,
  migrateCommand,
];

const usageExitCode = 2;
const interruptedExitCode = 130;
const faultExitCode = 70;

function programOf(io: Io): Command {
  const program = new Command('dict-vsync')
    .description('Keeps a Pix participant’s key base in sync with the Central Bank’s DICT, and proves it')
    .helpCommand(true)
    .showSuggestionAfterError(true);
  for (const command of commands) program.addCommand(command(io));
  prepare(program, io);
  return program;
}

/** Every command, also nested ones, ends by throwing and writes where it is told to. */
function prepare(command: Command, io: Io): void {
  command
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: (text) => io.stderr.write(text) })
    .showHelpAfterError('(--help shows how)');
  for (const nested of command.commands) prepare(nested, io);
}

/** Runs one command line and returns the exit status: 0 done, 1 failed, 2 wrong usage, 70 a fault of ours, 130 interrupted. */
export async function runProgram(argv: readonly string[], io: Io): Promise<number> {
  try {
    await programOf(io).parseAsync([...argv], { from: 'user' });
    return 0;
  } catch (failure) {
    if (failure instanceof CommanderError) return failure.exitCode === 0 ? 0 : usageExitCode;
    if (failure instanceof CommandFailed) {
      if (failure.message !== '') io.stderr.write(`dict-vsync: ${failure.message}\n`);
      return failure.exitCode;
    }
    if (io.signal.aborted) {
      io.stderr.write('dict-vsync: interrupted\n');
      return interruptedExitCode;
    }
    const text = failure instanceof Error ? (failure.stack ?? failure.message) : String(failure);
    io.stderr.write(`dict-vsync: a fault of the program itself; please report it with these lines:\n${text}\n`);
    return faultExitCode;
  }
}
