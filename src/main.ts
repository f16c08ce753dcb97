/** The process: binds the command line to the terminal, the environment and the signals. */

import { CommandFailed, type Io } from './cli/io.ts';
import { OutputFailed } from './cli/output-pipe.ts';
import { runProgram } from './cli/program.ts';

const interruptedExitCode = 130;

const interruption = new AbortController();
let ended = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => interruption.abort(new CommandFailed(`ended by ${signal}`, interruptedExitCode)));
}

// A reader that went away (a pipe into head) is no fault of ours: what it did not want is not written.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  const failure = new OutputFailed(error);
  if (!ended) interruption.abort(failure);
  else if (process.exitCode === 0) {
    process.stderr.write(`dict-vsync: ${failure.message}\n`);
    process.exitCode = 1;
  }
});
// Nobody is left to tell it to.
process.stderr.on('error', () => {});

const io: Io = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
  signal: interruption.signal,
};

process.exitCode = await runProgram(process.argv.slice(2), io);
ended = true;
