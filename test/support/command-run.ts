/** Runs one command as the program would, with a terminal that only collects. */

import { Readable, Writable } from 'node:stream';
import type { Command } from 'commander';
import { CommandFailed, type Io } from '../../src/cli/io.ts';
import { runProgram } from '../../src/cli/program.ts';

export interface CommandOutcome {
  readonly stdout: string;
  /** What stands on standard error, with the message that the program prints when a command fails. */
  readonly stderr: string;
  readonly exitCode: number;
}

export interface CommandGiven {
  readonly args?: readonly string[];
  readonly stdin?: string | Buffer | Readable;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly signal?: AbortSignal;
}

function collected(): { readonly stream: Writable; text(): string } {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer | string, _encoding, done) {
      chunks.push(Buffer.from(chunk));
      done();
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString('utf8') };
}

function standIn(given: CommandGiven): { readonly io: Io; readonly out: { text(): string }; readonly err: { text(): string } } {
  const [out, err] = [collected(), collected()];
  const stdin = given.stdin instanceof Readable ? given.stdin : Readable.from([Buffer.from(given.stdin ?? '')]);
  const signal = given.signal ?? new AbortController().signal;
  const io: Io = { stdin, stdout: out.stream, stderr: err.stream, env: given.env ?? {}, cwd: given.cwd ?? '/', signal };
  return { io, out, err };
}

/** Runs a whole command line, as main.ts does: wrong usage and faults end it with their exit status too. */
export async function runLine(argv: readonly string[], given: Omit<CommandGiven, 'args'> = {}): Promise<CommandOutcome> {
  const { io, out, err } = standIn(given);
  const exitCode = await runProgram(argv, io);
  return { stdout: out.text(), stderr: err.text(), exitCode };
}

/** Runs it to its end. A failure that is none of a command's own (a fault of the program) is thrown. */
export async function runCommand(command: (io: Io) => Command, given: CommandGiven = {}): Promise<CommandOutcome> {
  const { io, out, err } = standIn(given);
  const program = command(io)
    .exitOverride()
    .configureOutput({ writeErr: (text) => io.stderr.write(text), writeOut: (text) => io.stdout.write(text) });
  let exitCode = 0;
  try {
    await program.parseAsync([...(given.args ?? [])], { from: 'user' });
  } catch (failure) {
    if (!(failure instanceof Error && 'exitCode' in failure && typeof failure.exitCode === 'number')) throw failure;
    if (failure instanceof CommandFailed) io.stderr.write(`${failure.message}\n`);
    exitCode = failure.exitCode;
  }
  return { stdout: out.text(), stderr: err.text(), exitCode };
}
