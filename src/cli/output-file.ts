/**
 * Where the lines of a command go: standard output, or a file that is there whole or not at all. The file is written beside its place
 * under another name and moved there at the end, so that an interruption leaves what was there before.
 */

import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import * as path from 'node:path';
import { Option } from 'commander';
import { fileFailureOf } from '../platform/system-failure.ts';
import { CommandFailed, type Io } from './io.ts';
import { writeOut } from './output-pipe.ts';

export interface Output {
  /** Resolves once the bytes are handed over; false where nobody reads any more. Rejects with `CommandFailed`. */
  write(bytes: string | Uint8Array): Promise<boolean>;
}

/** `-o FILE`. */
export function outputOption(): Option {
  return new Option('-o, --output <file>', 'write to this file, whole or not at all, instead of standard output');
}

/** Does the work with an output; the file takes its place only when the work has resolved. */
export async function withOutput<Result>(
  io: Io,
  file: string | undefined,
  work: (output: Output) => Promise<Result>,
): Promise<Result> {
  if (file === undefined) return await work({ write: (bytes) => writeOut(io.stdout, bytes) });
  const opened = await openOutput(path.resolve(io.cwd, file), file);
  try {
    const result = await work(opened);
    await opened.place();
    return result;
  } catch (cause) {
    await opened.discard();
    throw cause;
  }
}

interface OpenedOutput extends Output {
  place(): Promise<void>;
  discard(): Promise<void>;
}

async function openOutput(target: string, name: string): Promise<OpenedOutput> {
  const failed = (cause: unknown): CommandFailed =>
    new CommandFailed(`${name} cannot be written: ${fileFailureOf(cause)}`, 1, cause);
  try {
    // A device or a pipe is written to as it is: nothing can take its place.
    const isFile = await stat(target).then(
      (found) => found.isFile(),
      () => true,
    );
    const written = isFile ? `${target}.${process.pid}.part` : target;
    const flags = isFile ? constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL : constants.O_WRONLY;
    const handle = await open(written, flags, 0o666);
    return outputOn(handle, isFile ? { written, target } : null, failed);
  } catch (cause) {
    throw failed(cause);
  }
}

function outputOn(
  handle: FileHandle,
  move: { readonly written: string; readonly target: string } | null,
  failed: (cause: unknown) => CommandFailed,
): OpenedOutput {
  return {
    async write(bytes) {
      try {
        // Unlike `write`, it goes on until all is written.
        await handle.appendFile(bytes);
        return true;
      } catch (cause) {
        throw failed(cause);
      }
    },
    async place() {
      try {
        if (move !== null) await handle.sync();
        await handle.close();
        if (move !== null) await rename(move.written, move.target);
      } catch (cause) {
        throw failed(cause);
      }
    },
    async discard() {
      await handle.close().catch(() => {});
      if (move !== null) await rm(move.written, { force: true });
    },
  };
}
