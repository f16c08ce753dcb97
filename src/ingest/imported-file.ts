/** The file of an existing base as it is read: by what it is known when it is met again, and from which position. */

import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { FileIdentity } from './import-run.ts';
import type { ReadInto } from './line-blocks.ts';

/** A file that can be read from any position, or a pipe that is read once: its chunks as they come. */
export type ImportedFile = FileHandle | { readonly pipe: AsyncIterator<Uint8Array> };

/** At the beginning and at the end of the file: what changes in a base of keys hardly spares both. */
const digestBytes = 65_536;
const chunkBytes = 262_144;

/** What the file is known by: size, time of its last change, and a digest of its ends. Null: a pipe, which can be read once. */
export async function identify(file: ImportedFile): Promise<FileIdentity | null> {
  if ('pipe' in file) return null;
  const stat = await file.stat();
  if (!stat.isFile()) return null;
  const digest = createHash('sha256');
  const buffer = Buffer.alloc(digestBytes);
  for (const position of [0, Math.max(0, stat.size - digestBytes)]) {
    const { bytesRead } = await file.read(buffer, 0, digestBytes, position);
    digest.update(buffer.subarray(0, bytesRead));
  }
  return { bytes: stat.size, modifiedAt: new Date(Math.floor(stat.mtimeMs)), digest: digest.digest() };
}

/** Whether the file is still what it was when it was identified; a pipe always is. */
export async function isUnchanged(file: ImportedFile, identity: FileIdentity | null): Promise<boolean> {
  if (identity === null || 'pipe' in file) return true;
  const { size, mtimeMs } = await file.stat();
  return size === identity.bytes && Math.floor(mtimeMs) === identity.modifiedAt.getTime();
}

/** Reads the file on from that position; of a pipe, from where it is. Fills the buffer unless the file ends. */
export function readerOf(file: ImportedFile, isPipe: boolean, offset: number): ReadInto {
  if ('pipe' in file) return pipeReader(file.pipe);
  let position = offset;
  return async (buffer, from) => {
    let filled = from;
    for (let bytesRead = -1; filled < buffer.length && bytesRead !== 0; ) {
      ({ bytesRead } = await file.read(buffer, filled, buffer.length - filled, isPipe ? null : position));
      filled += bytesRead;
      position += bytesRead;
    }
    return filled - from;
  };
}

function pipeReader(pipe: AsyncIterator<Uint8Array>): ReadInto {
  let waiting: Uint8Array = new Uint8Array();
  return async (buffer, from) => {
    let filled = from;
    while (filled < buffer.length) {
      if (waiting.length === 0) {
        const next = await pipe.next();
        if (next.done === true) break;
        waiting = next.value;
      }
      const part = waiting.subarray(0, buffer.length - filled);
      buffer.set(part, filled);
      waiting = waiting.subarray(part.length);
      filled += part.length;
    }
    return filled - from;
  };
}

/** The file from there on, in chunks. */
export async function* chunksOf(read: ReadInto): AsyncGenerator<Uint8Array, void, undefined> {
  // Each chunk is a buffer of its own: the reader may keep it.
  for (let bytesRead = -1; bytesRead !== 0; ) {
    const buffer = Buffer.allocUnsafeSlow(chunkBytes);
    bytesRead = await read(buffer, 0);
    if (bytesRead > 0) yield buffer.subarray(0, bytesRead);
  }
}
