/**
 * A file to be read: regular, or a pipe or device by its name. Says at once what cannot be read, and at the end whether a regular file
 * was changed meanwhile. A pipe that nobody writes to yet is waited for without a blocked thread, so that the wait can be interrupted.
 */

import { type BigIntStats, close, constants, createReadStream, fstat, open, read } from 'node:fs';
import { Socket } from 'node:net';
import { addAbortSignal, type Readable } from 'node:stream';
import { promisify } from 'node:util';
import { fileFailureOf, isSystemFailure } from './system-failure.ts';

const [openFile, closeFile, readFile] = [promisify(open), promisify(close), promisify(read)];
const statFile = (fd: number): Promise<BigIntStats> =>
  new Promise((resolve, reject) => fstat(fd, { bigint: true }, (cause, stat) => (cause ? reject(cause) : resolve(stat))));

/** The file cannot be read; the message names it and says why. */
export class InputFailed extends Error {
  override readonly name = 'InputFailed';

  constructor(name: string, cause: unknown) {
    super(`${name} cannot be read: ${fileFailureOf(cause)}`, { cause });
  }
}

/** The file is not what it was when it was opened. */
export class FileChanged extends Error {
  override readonly name = 'FileChanged';

  constructor(name: string) {
    super(`${name} was changed while it was read: run the same command again when nobody writes to it`);
  }
}

/** A regular file, which can be read as often as one likes. Who opened it closes it. */
export interface RegularInput {
  readonly kind: 'regular';
  readonly name: string;
  readonly fd: number;
  readonly sizeBytes: number;
  /** As it was when it was opened. */
  readonly stat: BigIntStats;
}

export type OpenedInput =
  | RegularInput
  /** A pipe or a device: read once. The stream closes what it reads. */
  | { readonly kind: 'stream'; readonly name: string; readonly stream: Readable };

/** Opens the file. `name` stands in messages. Rejects with `InputFailed`. */
export async function openInput(file: string, name: string): Promise<OpenedInput> {
  try {
    // Without O_NONBLOCK the opening of a pipe waits for a writer in a thread that not even process.exit gets rid of.
    const fd = await openFile(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      return inputOf(fd, await statFile(fd), { file, name });
    } catch (cause) {
      await closeFile(fd);
      throw cause;
    }
  } catch (cause) {
    throw new InputFailed(name, cause);
  }
}

function inputOf(fd: number, stat: BigIntStats, { file, name }: { readonly file: string; readonly name: string }): OpenedInput {
  if (stat.isDirectory()) throw Object.assign(new Error('it is a directory'), { code: 'EISDIR' });
  if (stat.isFile()) return { kind: 'regular', name, fd, sizeBytes: Number(stat.size), stat };
  if (stat.isFIFO()) return { kind: 'stream', name, stream: new Socket({ fd, readable: true, writable: false }) };
  return { kind: 'stream', name, stream: createReadStream(file, { fd }) };
}

/** Closes a regular file, or leaves a stream. */
export async function closeInput(input: OpenedInput): Promise<void> {
  if (input.kind === 'regular') await closeFile(input.fd);
  else input.stream.destroy();
}

const chunkBytes = 65_536;

/** The bytes of an input from its beginning to its end. Rejects with `InputFailed`, `FileChanged` or the signal's reason. */
export function bytesOfInput(input: OpenedInput, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
  if (input.kind === 'stream') return bytesOfStream(input.stream, input.name, signal);
  return bytesOfRegular(input, signal, () => new Uint8Array(chunkBytes));
}

/**
 * The same for a regular file with the buffers of the caller, who may give one again once two more were asked for: while one is worked
 * on the next is filled.
 */
export async function* bytesOfRegular(
  { name, fd, sizeBytes, stat }: RegularInput,
  signal: AbortSignal,
  nextBuffer: () => Uint8Array,
): AsyncGenerator<Uint8Array, void, undefined> {
  const refuseChanged = async (): Promise<void> => {
    const now = await statFile(fd);
    if (now.size !== stat.size || now.mtimeNs !== stat.mtimeNs) throw new FileChanged(name);
  };
  let bytes = 0;
  try {
    await refuseChanged();
    for await (const chunk of bytesAt(fd, signal, nextBuffer)) {
      bytes += chunk.length;
      if (bytes > sizeBytes) throw new FileChanged(name);
      yield chunk;
    }
    if (bytes !== sizeBytes) throw new FileChanged(name);
    await refuseChanged();
  } catch (cause) {
    throw isSystemFailure(cause) ? new InputFailed(name, cause) : cause;
  }
}

/** All of the descriptor's bytes, from its beginning; the next chunk is read while the caller works on this one. */
export async function* bytesAt(
  fd: number,
  signal: AbortSignal,
  nextBuffer: () => Uint8Array,
): AsyncGenerator<Uint8Array, void, undefined> {
  let position = 0;
  let into = nextBuffer();
  const ask = (buffer: Uint8Array): Promise<{ bytesRead: number }> => readFile(fd, buffer, 0, buffer.length, position);
  let pending = ask(into);
  try {
    // Ends: with the end of the file, which stops growing for whoever refuses one that does.
    for (;;) {
      const { bytesRead } = await pending;
      signal.throwIfAborted();
      if (bytesRead === 0) return;
      position += bytesRead;
      const ready = into;
      into = nextBuffer();
      pending = ask(into);
      yield ready.subarray(0, bytesRead);
    }
  } finally {
    // Nobody may close the descriptor, or use the buffer, below a read that is under way.
    await pending.catch(() => {});
  }
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
