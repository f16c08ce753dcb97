/** The file of an existing base as it is read: by what it is known when it is met again, and from which position. */

import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { FileIdentity } from './import-run.ts';
import type { ReadInto } from './line-blocks.ts';

/** At the beginning and at the end of the file: what changes in a base of keys hardly spares both. */
const digestBytes = 65_536;
const chunkBytes = 262_144;

/** What the file is known by: size, time of its last change, and a digest of its ends. Null: a pipe, which can be read once. */
export async function identify(file: FileHandle): Promise<FileIdentity | null> {
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
export async function isUnchanged(file: FileHandle, identity: FileIdentity | null): Promise<boolean> {
  if (identity === null) return true;
  const { size, mtimeMs } = await file.stat();
  return size === identity.bytes && Math.floor(mtimeMs) === identity.modifiedAt.getTime();
}

/** Reads the file on from that position; of a pipe, from where it is. Fills the buffer unless the file ends. */
export function readerOf(file: FileHandle, isPipe: boolean, offset: number): ReadInto {
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

/** The file from there on, in chunks. */
export async function* chunksOf(read: ReadInto): AsyncGenerator<Uint8Array, void, undefined> {
  // Each chunk is a buffer of its own: the reader may keep it.
  for (let bytesRead = -1; bytesRead !== 0; ) {
    const buffer = Buffer.allocUnsafeSlow(chunkBytes);
    bytesRead = await read(buffer, 0);
    if (bytesRead > 0) yield buffer.subarray(0, bytesRead);
  }
}
