/**
 * SHA-256 of a whole file on a thread of its own, so that hashing takes no time from whoever works on the same bytes meanwhile. The
 * thread reads the file itself: handing it every chunk would cost a copy of each. Small files are hashed without a thread, whose
 * start takes some 60 ms.
 */

import { hash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { siblingModule } from './sibling-module.ts';

export interface FileDigest {
  /** 32 bytes. Rejects where the file cannot be read. */
  readonly sha256: Promise<Buffer>;
  /** Gives up what is not done yet. */
  end(): Promise<void>;
}

/** What the thread is told. */
export interface DigestTask {
  readonly file: string;
}

const smallBytes = 8 * 1_048_576;

/** Begins to hash. */
export function digestFile(file: string): FileDigest {
  let worker: Worker | null = null;
  let isEnded = false;
  const digest = async (): Promise<Buffer> => {
    const { size } = await stat(file);
    if (isEnded) throw new Error(`${file} was not hashed to its end`);
    if (size <= smallBytes) return hash('sha256', await readFile(file), 'buffer');
    const task: DigestTask = { file };
    const thread = new Worker(siblingModule(import.meta.url, 'digest-thread'), {
      workerData: task,
      // It keeps one chunk and allocates next to nothing.
      resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 16 },
    });
    worker = thread;
    return new Promise((resolve, reject) => {
      thread.once('message', (bytes: Uint8Array) => resolve(Buffer.from(bytes)));
      thread.once('error', reject);
      thread.once('exit', () => reject(new Error(`${file} was not hashed to its end`)));
    });
  };
  const sha256 = digest();
  // Whoever ends early does not wait for the digest, whose failure is then nobody's.
  sha256.catch(() => {});
  return {
    sha256,
    end: async () => {
      isEnded = true;
      await worker?.terminate();
    },
  };
}
