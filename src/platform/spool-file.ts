/**
 * A private temporary file: nobody else can open it, and it is gone with the process, however that ends. Its name is taken away right
 * after it is made; only where the system does not allow that (Windows) is it removed at the end.
 */

import { close, constants, open, rmSync, unlinkSync, write } from 'node:fs';
import * as path from 'node:path';
import { promisify } from 'node:util';
import { fileFailureOf } from './system-failure.ts';

const [openFile, closeFile, writeFile] = [promisify(open), promisify(close), promisify(write)];

/** The file cannot be made or written; the message names the directory and what helps. */
export class SpoolFailed extends Error {
  override readonly name = 'SpoolFailed';

  constructor(directory: string, cause: unknown) {
    super(`${directory} cannot hold a temporary file: ${fileFailureOf(cause)}; --tmp names another directory`, { cause });
  }
}

export interface SpoolFile {
  readonly fd: number;
  /** Appends all of these bytes. Rejects with `SpoolFailed`. */
  append(bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** Makes one in the directory; `id` has to be one that nobody can guess. Rejects with `SpoolFailed`. */
export async function openSpool(directory: string, id: string): Promise<SpoolFile> {
  const name = path.join(directory, `dict-vsync-${id}.tmp`);
  let named = true;
  try {
    const fd = await openFile(name, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      unlinkSync(name);
      named = false;
    } catch {
      // Windows keeps the name of an open file.
    }
    return {
      fd,
      async append(bytes) {
        let at = 0;
        try {
          while (at < bytes.length) at += (await writeFile(fd, bytes, at, bytes.length - at, null)).bytesWritten;
        } catch (cause) {
          throw new SpoolFailed(directory, cause);
        }
      },
      async close() {
        await closeFile(fd);
        if (named) rmSync(name, { force: true });
      },
    };
  } catch (cause) {
    throw new SpoolFailed(directory, cause);
  }
}
