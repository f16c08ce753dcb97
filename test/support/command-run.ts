/** Runs one command as the program would, with a terminal that only collects. */

import assert from 'node:assert/strict';
import { Readable, Writable } from 'node:stream';
import type { Command } from 'commander';
import { CommandFailed, type Io } from '../../src/cli/io.ts';

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

/** Runs it to its end. A failure that is none of a command's own (a fault of the program) is thrown. */
export async function runCommand(command: (io: Io) => Command, given: CommandGiven = {}): Promise<CommandOutcome> {
  const [out, err] = [collected(), collected()];
  const stdin = given.stdin instanceof Readable ? given.stdin : Readable.from([Buffer.from(given.stdin ?? '')]);
  const signal = given.signal ?? new AbortController().signal;
  const io: Io = { stdin, stdout: out.stream, stderr: err.stream, env: given.env ?? {}, cwd: given.cwd ?? '/', signal };
  const program = command(io)
    .exitOverride()
    .configureOutput({ writeErr: (text) => err.stream.write(text), writeOut: (text) => out.stream.write(text) });
  let exitCode = 0;
  try {
    await program.parseAsync([...(given.args ?? [])], { from: 'user' });
  } catch (failure) {
    assert(failure instanceof Error && 'exitCode' in failure && typeof failure.exitCode === 'number', failure as Error);
    if (failure instanceof CommandFailed) err.stream.write(`${failure.message}\n`);
    exitCode = failure.exitCode;
  }
  return { stdout: out.text(), stderr: err.text(), exitCode };
}
