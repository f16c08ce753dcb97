/** The bytes of a command's input: a file, a pipe or device by its name, or standard input; with the failures that a user can mend. */

import * as path from 'node:path';
import { bytesOfInput, closeInput, FileChanged, InputFailed, type OpenedInput, openInput } from '../platform/input-file.ts';
import { CommandFailed, type Io } from './io.ts';

export interface ByteSource {
  /** As messages name it. */
  readonly name: string;
  /** Null where nobody knows. */
  readonly sizeBytes: number | null;
  /** Rejects with `CommandFailed` where it cannot be read on, was changed, or the command is interrupted. Closes the file at its end. */
  readonly chunks: AsyncGenerator<Uint8Array, void, undefined>;
}

/** Opens it; `-` is standard input. Rejects with `CommandFailed`. */
export async function openBytes(io: Io, file: string): Promise<ByteSource> {
  try {
    const input: OpenedInput =
      file === '-'
        ? { kind: 'stream', name: 'standard input', stream: io.stdin }
        : await openInput(path.resolve(io.cwd, file), file);
    return { name: input.name, sizeBytes: input.kind === 'regular' ? input.sizeBytes : null, chunks: chunksOf(io, input) };
  } catch (cause) {
    throw asCommandFailure(io, cause);
  }
}

async function* chunksOf(io: Io, input: OpenedInput): AsyncGenerator<Uint8Array, void, undefined> {
  let isFirst = true;
  try {
    for await (const chunk of bytesOfInput(input, io.signal)) {
      if (isFirst) refuseUtf16(chunk, input.name);
      isFirst = false;
      yield chunk;
    }
  } catch (cause) {
    throw asCommandFailure(io, cause);
  } finally {
    await closeInput(input);
  }
}

/** Ends the command over a file that begins as UTF-16 text: every line would be bad, and none would say why. */
export function refuseUtf16(chunk: Uint8Array, name: string): void {
  const mark = ((chunk[0] ?? 0) << 8) | (chunk[1] ?? 0);
  if (mark !== 0xfffe && mark !== 0xfeff) return;
  throw new CommandFailed(`${name} is UTF-16 text and has to be UTF-8 ("iconv -f UTF-16 -t UTF-8" converts it)`);
}

function asCommandFailure(io: Io, cause: unknown): unknown {
  if (io.signal.aborted) return new CommandFailed('interrupted', 130, cause);
  const known = cause instanceof InputFailed || cause instanceof FileChanged;
  return known ? new CommandFailed(cause.message, 1, cause) : cause;
}
