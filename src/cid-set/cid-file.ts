/**
 * A file of CIDs that can be read several times: a regular file as it stands, or a stream (standard input, a pipe) that is spooled to
 * disk while it is read for the first time. A file that changes in between is noticed and refused: what one reading says would not hold
 * for the next.
 */

import { type BigIntStats, close, fstat, read } from 'node:fs';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { assert } from '../platform/assert.ts';
import { bytesOfStream, InputFailed, openInput } from '../platform/input-file.ts';
import type { SpoolFile } from '../platform/spool-file.ts';

const [closeFile, readFile] = [promisify(close), promisify(read)];
const statFile = (fd: number): Promise<BigIntStats> =>
  new Promise((resolve, reject) => fstat(fd, { bigint: true }, (cause, stat) => (cause ? reject(cause) : resolve(stat))));

/** The file is not what it was when it was first read. */
export class FileChanged extends Error {
  override readonly name = 'FileChanged';

  constructor(name: string) {
    super(`${name} was changed while it was read; nothing can be said about it: run the command again when nobody writes to it`);
  }
}

export interface CidFile {
  /** As messages name it. */
  readonly name: string;
  /** Whether `chunks` may be called more than once. */
  readonly rereadable: boolean;
  /** Length of the whole; null where a stream has not been read to its end yet. */
  readonly sizeBytes: number | null;
  /**
   * The bytes from the beginning. A chunk is good until the next one is asked for. Rejects with `InputFailed`, `FileChanged`,
   * `SpoolFailed`, or the signal's reason.
   */
  chunks(signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined>;
  close(): Promise<void>;
}

const chunkBytes = 1_048_576;
/** CIDs that one chunk can complete: the shortest line has 64 digits and a line feed, and one line may have begun before. */
export const CHUNK_CIDS_MAX = Math.ceil(chunkBytes / 65) + 1;

export interface CidFileGiven {
  /** Absolute; null where the stream is given. */
  readonly file: string | null;
  readonly name: string;
  /** Read in place of a file. */
  readonly stream?: Readable;
  /** Null: a stream is read once, and not spooled. */
  readonly openSpool: (() => Promise<SpoolFile>) | null;
}

/** Opens it without reading. Rejects with `InputFailed` or `SpoolFailed`. */
export async function openCidFile(given: CidFileGiven): Promise<CidFile> {
  const { file, name } = given;
  if (file !== null) {
    const input = await openInput(file, name);
    if (input.kind === 'regular') return new RegularFile(name, input.fd, await statFile(input.fd));
    return new Stream(name, input.stream, (await given.openSpool?.()) ?? null);
  }
  if (given.stream === undefined) throw new TypeError('neither a file nor a stream is given');
  return new Stream(name, given.stream, (await given.openSpool?.()) ?? null);
}

/** All of the descriptor's bytes; the next chunk is read while the caller works on this one. */
async function* bytesAt(fd: number, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
  const buffers = [new Uint8Array(chunkBytes), new Uint8Array(chunkBytes)] as const;
  let [into, other] = buffers;
  let position = 0;
  const ask = (buffer: Uint8Array): Promise<{ bytesRead: number }> => readFile(fd, buffer, 0, chunkBytes, position);
  let pending = ask(into);
  try {
    // Ends: with the end of the file, which stops growing for whoever refuses one that does.
    for (;;) {
      const { bytesRead } = await pending;
      signal.throwIfAborted();
      if (bytesRead === 0) return;
      position += bytesRead;
      const ready = into;
      [into, other] = [other, into];
      pending = ask(into);
      yield ready.subarray(0, bytesRead);
    }
  } finally {
    // Nobody may close the descriptor, or use the buffer, below a read that is under way.
    await pending.catch(() => {});
  }
}

class RegularFile implements CidFile {
  readonly name: string;
  readonly rereadable = true;
  readonly sizeBytes: number;
  readonly #fd: number;
  readonly #before: BigIntStats;

  constructor(name: string, fd: number, stat: BigIntStats) {
    this.name = name;
    this.#fd = fd;
    this.#before = stat;
    this.sizeBytes = Number(stat.size);
  }

  async *chunks(signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    let bytes = 0;
    await this.#refuseChanged();
    try {
      for await (const chunk of bytesAt(this.#fd, signal)) {
        bytes += chunk.length;
        if (bytes > this.sizeBytes) throw new FileChanged(this.name);
        yield chunk;
      }
    } catch (cause) {
      if (cause instanceof FileChanged || signal.aborted || !isSystemError(cause)) throw cause;
      throw new InputFailed(this.name, cause);
    }
    if (bytes !== this.sizeBytes) throw new FileChanged(this.name);
    await this.#refuseChanged();
  }

  async close(): Promise<void> {
    await closeFile(this.#fd);
  }

  async #refuseChanged(): Promise<void> {
    const now = await statFile(this.#fd);
    const same = now.size === this.#before.size && now.mtimeNs === this.#before.mtimeNs;
    if (!same) throw new FileChanged(this.name);
  }
}

function isSystemError(cause: unknown): boolean {
  return cause instanceof Error && 'syscall' in cause;
}

class Stream implements CidFile {
  readonly name: string;
  readonly rereadable: boolean;
  sizeBytes: number | null = null;
  readonly #stream: Readable;
  readonly #spool: SpoolFile | null;

  constructor(name: string, stream: Readable, spool: SpoolFile | null) {
    this.name = name;
    this.rereadable = spool !== null;
    this.#stream = stream;
    this.#spool = spool;
  }

  async *chunks(signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.sizeBytes !== null) {
      assert(this.#spool !== null, `${this.name} can be read once only`);
      yield* bytesAt(this.#spool.fd, signal);
      return;
    }
    let bytes = 0;
    for await (const chunk of bytesOfStream(this.#stream, this.name, signal)) {
      bytes += chunk.length;
      await this.#spool?.append(chunk);
      yield chunk;
    }
    this.sizeBytes = bytes;
  }

  async close(): Promise<void> {
    this.#stream.destroy();
    await this.#spool?.close();
  }
}
