/**
 * A file to be read: regular, or a pipe or device by its name. Says at once what cannot be read. A pipe that nobody writes to yet is
 * waited for without a blocked thread, so that the wait can be interrupted.
 */

import { close, constants, createReadStream, fstat, open, type Stats } from 'node:fs';
import { Socket } from 'node:net';
import { addAbortSignal, type Readable } from 'node:stream';
import { promisify } from 'node:util';
import { fileFailureOf } from './system-failure.ts';

const [openFile, closeFile, statFile] = [promisify(open), promisify(close), promisify(fstat)];

/** The file cannot be read; the message names it and says why. */
export class InputFailed extends Error {
  override readonly name = 'InputFailed';

  constructor(name: string, cause: unknown) {
    super(`${name} cannot be read: ${fileFailureOf(cause)}`, { cause });
  }
}

export type OpenedInput =
  /** Can be read as often as one likes, at any position. Who reads it closes the descriptor. */
  | { readonly kind: 'regular'; readonly fd: number; readonly sizeBytes: number }
  /** A pipe or a device: read once. The stream closes what it reads. */
  | { readonly kind: 'stream'; readonly stream: Readable };

/** Opens the file. `name` stands in messages. Rejects with `InputFailed`. */
export async function openInput(file: string, name: string): Promise<OpenedInput> {
  try {
    // Without O_NONBLOCK the opening of a pipe waits for a writer in a thread that not even process.exit gets rid of.
    const fd = await openFile(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      return inputOf(fd, await statFile(fd), file);
    } catch (cause) {
      await closeFile(fd);
      throw cause;
    }
  } catch (cause) {
    throw new InputFailed(name, cause);
  }
}

function inputOf(fd: number, stat: Stats, file: string): OpenedInput {
  if (stat.isDirectory()) throw Object.assign(new Error('it is a directory'), { code: 'EISDIR' });
  if (stat.isFile()) return { kind: 'regular', fd, sizeBytes: stat.size };
  if (stat.isFIFO()) return { kind: 'stream', stream: new Socket({ fd, readable: true, writable: false }) };
  return { kind: 'stream', stream: createReadStream(file, { fd }) };
}

/** The bytes of an opened file from its beginning to its end. */
export function bytesOfInput(input: OpenedInput, file: string): Readable {
  return input.kind === 'stream' ? input.stream : createReadStream(file, { fd: input.fd });
}

/** The stream's bytes, until its end or the signal. Rejects with `InputFailed` or the signal's reason. */
export async function* bytesOfStream(
  stream: Readable,
  name: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  addAbortSignal(signal, stream);
  try {
    for await (const chunk of stream) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    throw new InputFailed(name, cause);
  }
}
