/** The program `dict-vsync`: its commands, and how a command ends. Nothing is decided here. */

import { Command, CommanderError } from 'commander';
import { auditCommand } from './cli/audit-command.ts';
import { cidCommand } from './cli/cid-command.ts';
import { configCommand } from './cli/config-command.ts';
import { entryCommand } from './cli/entry-command.ts';
import { ingestCommand } from './cli/ingest-command.ts';
import { CommandFailed, type Io } from './cli/io.ts';
import { migrateCommand } from './cli/migrate-command.ts';
import { reportCommand } from './cli/report-command.ts';
import { simulatorCommand } from './cli/simulator-command.ts';
import { statusCommand } from './cli/status-command.ts';
import { verifyCommand } from './cli/verify-command.ts';
import { vsyncCommand } from './cli/vsync-command.ts';

const commands = [
  ingestCommand,
  verifyCommand,
  statusCommand,
  reportCommand,
  entryCommand,
  auditCommand,
  cidCommand,
  vsyncCommand,
  simulatorCommand,
  configCommand,
  migrateCommand,
];

const usageExitCode = 2;

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

/** Runs one command line and returns the exit status. */
async function run(argv: readonly string[], io: Io): Promise<number> {
  try {
    await programOf(io).parseAsync([...argv], { from: 'user' });
    return 0;
  } catch (failure) {
    if (failure instanceof CommanderError) return failure.exitCode === 0 ? 0 : usageExitCode;
    if (failure instanceof CommandFailed) {
      io.stderr.write(`dict-vsync: ${failure.message}\n`);
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

const interruptedExitCode = 130;
const faultExitCode = 70;

const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => interruption.abort(new CommandFailed(`ended by ${signal}`, interruptedExitCode)));
}

// A reader that went away (a pipe into head) is no fault of ours: what it did not want is not written.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

const io: Io = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
  signal: interruption.signal,
};

process.exitCode = await run(process.argv.slice(2), io);
