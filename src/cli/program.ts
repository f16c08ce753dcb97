/**
 * The command line: all commands, and how one ends. Knows no process: main.ts binds it to the real one, tests to a stand-in.
 */

import { Command, CommanderError } from 'commander';
import { CommandFailed, type Io } from './io.ts';
import { OutputFailed } from './output-pipe.ts';
import { outsideFailureOf } from './outside-failure.ts';

/** Loaded when they are asked for: what one command needs (a database's driver, say) costs the others neither time nor memory. */
const commands: Readonly<Record<string, () => Promise<(io: Io) => Command>>> = {
  demo: async () => (await import('./demo-command.ts')).demoCommand,
  import: async () => (await import('./import-command.ts')).importCommand,
  ingest: async () => (await import('./ingest-command.ts')).ingestCommand,
  verify: async () => (await import('./verify-command.ts')).verifyCommand,
  reconcile: async () => (await import('./reconcile-command.ts')).reconcileCommand,
  sync: async () => (await import('./sync-command.ts')).syncCommand,
  worker: async () => (await import('./worker-command.ts')).workerCommand,
  approve: async () => (await import('./approve-command.ts')).approveCommand,
  reject: async () => (await import('./approve-command.ts')).rejectCommand,
  review: async () => (await import('./review-command.ts')).reviewCommand,
  status: async () => (await import('./status-command.ts')).statusCommand,
  report: async () => (await import('./report-command.ts')).reportCommand,
  entry: async () => (await import('./entry-command.ts')).entryCommand,
  audit: async () => (await import('./audit-command.ts')).auditCommand,
  scan: async () => (await import('./scan-command.ts')).scanCommand,
  rebuild: async () => (await import('./rebuild-command.ts')).rebuildCommand,
  participant: async () => (await import('./participant-command.ts')).participantCommand,
  cid: async () => (await import('./cid-command.ts')).cidCommand,
  vsync: async () => (await import('./vsync-command.ts')).vsyncCommand,
  diff: async () => (await import('./diff-command.ts')).diffCommand,
  bridge: async () => (await import('./bridge-command.ts')).bridgeCommand,
  simulator: async () => (await import('./simulator-command.ts')).simulatorCommand,
  doctor: async () => (await import('./doctor-command.ts')).doctorCommand,
  homologation: async () => (await import('./homologation-command.ts')).homologationCommand,
  config: async () => (await import('./config-command.ts')).configCommand,
  migrate: async () => (await import('./migrate-command.ts')).migrateCommand,
};

const failedExitCode = 1;
const usageExitCode = 2;
const interruptedExitCode = 130;
const faultExitCode = 70;

/** With the command that is named; with all of them where none is. */
async function programOf(argv: readonly string[], io: Io): Promise<Command> {
  const program = new Command('dict-vsync')
    .description('Keeps a Pix participant’s key base in sync with the Central Bank’s DICT, and proves it')
    .helpCommand(true)
    .showSuggestionAfterError(true);
  const named = Object.hasOwn(commands, argv[0] ?? '') ? commands[argv[0] ?? ''] : undefined;
  for (const load of named === undefined ? Object.values(commands) : [named]) program.addCommand((await load())(io));
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
    await (await programOf(argv, io)).parseAsync([...argv], { from: 'user' });
    if (io.signal.reason instanceof OutputFailed) throw io.signal.reason;
    return 0;
  } catch (failure) {
    return exitCodeOf(failure, io);
  }
}

/** Tells why the command failed; answers the exit status that says so too. */
function exitCodeOf(failure: unknown, io: Io): number {
  const unwritten = [failure, io.signal.reason].find((cause) => cause instanceof OutputFailed);
  if (failure instanceof CommanderError && unwritten === undefined) return failure.exitCode === 0 ? 0 : usageExitCode;
  if (failure instanceof CommandFailed && (unwritten === undefined || failure.message === unwritten.message)) {
    if (failure.message !== '') io.stderr.write(`dict-vsync: ${failure.message}\n`);
    return failure.exitCode;
  }
  if (unwritten !== undefined) {
    io.stderr.write(`dict-vsync: ${unwritten.message}\n`);
    return failedExitCode;
  }
  if (io.signal.aborted) {
    io.stderr.write('dict-vsync: interrupted\n');
    return interruptedExitCode;
  }
  const outside = outsideFailureOf(failure);
  if (outside !== null) {
    io.stderr.write(`dict-vsync: ${outside}\n`);
    return failedExitCode;
  }
  const text = failure instanceof Error ? (failure.stack ?? failure.message) : String(failure);
  io.stderr.write(`dict-vsync: a fault of the program itself; please report it with these lines:\n${text}\n`);
  return faultExitCode;
}
