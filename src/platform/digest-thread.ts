/** The thread of file-digest.ts: reads a file and hashes it. Reading and hashing in turn, since nobody else waits on this thread. */

import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import type { DigestTask } from './file-digest.ts';

/** Small enough to be still in the processor's own cache when it is hashed. */
const chunkBytes = 262_144;

// Started by file-digest.ts alone, with this.
const { file }: DigestTask = workerData;
const hash = createHash('sha256');
const chunk = Buffer.allocUnsafe(chunkBytes);
const handle = openSync(file, 'r');
try {
  for (let bytes = -1; bytes !== 0; ) {
    bytes = readSync(handle, chunk, 0, chunkBytes, null);
    hash.update(chunk.subarray(0, bytes));
  }
} finally {
  closeSync(handle);
}
parentPort?.postMessage(hash.digest());
