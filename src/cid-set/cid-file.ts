/**
 * A file of CIDs that can be read several times: a regular file as it stands, or a stream (standard input, a pipe) that is spooled to
 * disk while it is read for the first time. A file that changes in between is noticed and refused: what one reading says would not hold
 * for the next.
 */

import type { Readable } from 'node:stream';
import { assert } from '../platform/assert.ts';
import {
  bytesAt,
  bytesOfRegular,
  bytesOfStream,
  closeInput,
  type OpenedInput,
  openInput,
  type RegularInput,
} from '../platform/input-file.ts';
import type { SpoolFile } from '../platform/spool-file.ts';

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
  /** Absolute, or the stream to be read in its place. */
  readonly from: string | Readable;
  readonly name: string;
  /** Null: a stream is read once, and not spooled. */
  readonly openSpool: (() => Promise<SpoolFile>) | null;
}

/** Opens it without reading. Rejects with `InputFailed` or `SpoolFailed`. */
export async function openCidFile({ from, name, openSpool }: CidFileGiven): Promise<CidFile> {
  const input: OpenedInput = typeof from === 'string' ? await openInput(from, name) : { kind: 'stream', name, stream: from };
  if (input.kind === 'regular') return regularFile(input);
  try {
    return new Stream(name, input.stream, (await openSpool?.()) ?? null);
  } catch (cause) {
    await closeInput(input);
    throw cause;
  }
}

/** Two buffers by turns: one is filled while the other is worked on. */
function twoBuffers(): () => Uint8Array {
  let [next, other] = [new Uint8Array(chunkBytes), new Uint8Array(chunkBytes)];
  return () => {
    [next, other] = [other, next];
    return other;
  };
}

function regularFile(input: RegularInput): CidFile {
  return {
    name: input.name,
    rereadable: true,
    sizeBytes: input.sizeBytes,
    chunks: (signal) => bytesOfRegular(input, signal, twoBuffers()),
    close: () => closeInput(input),
  };
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
      yield* bytesAt(this.#spool.fd, signal, twoBuffers());
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
