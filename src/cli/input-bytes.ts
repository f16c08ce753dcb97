/** The bytes of a command's input: a file, a pipe or device by its name, or standard input; with the failures that a user can mend. */

import * as path from 'node:path';
import { bytesOfInput, bytesOfStream, InputFailed, openInput } from '../platform/input-file.ts';
import { CommandFailed, type Io } from './io.ts';

export interface ByteSource {
  /** As messages name it. */
  readonly name: string;
  /** Null where nobody knows. */
  readonly sizeBytes: number | null;
  /** Rejects with `CommandFailed` where it cannot be read on, or the command is interrupted. */
  readonly chunks: AsyncGenerator<Uint8Array, void, undefined>;
}

/** Opens it; `-` is standard input. Rejects with `CommandFailed`. */
export async function openBytes(io: Io, file: string): Promise<ByteSource> {
  if (file === '-') return { name: 'standard input', sizeBytes: null, chunks: chunksOf(io, io.stdin, 'standard input') };
  const name = path.resolve(io.cwd, file);
  try {
    const input = await openInput(name, file);
    const sizeBytes = input.kind === 'regular' ? input.sizeBytes : null;
    return { name: file, sizeBytes, chunks: chunksOf(io, bytesOfInput(input, name), file) };
  } catch (cause) {
    throw asCommandFailure(io, cause);
  }
}

async function* chunksOf(io: Io, stream: Io['stdin'], name: string): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* bytesOfStream(stream, name, io.signal);
  } catch (cause) {
    throw asCommandFailure(io, cause);
  }
}

function asCommandFailure(io: Io, cause: unknown): unknown {
  if (io.signal.aborted) return new CommandFailed('interrupted', 130, cause);
  return cause instanceof InputFailed ? new CommandFailed(cause.message, 1, cause) : cause;
}
