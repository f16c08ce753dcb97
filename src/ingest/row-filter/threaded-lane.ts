/** A lane in a thread of its own, so that rows are hashed on several cores. One call at a time. */

import { Worker } from 'node:worker_threads';
import { assert } from '../../platform/assert.ts';
import { DatabaseUnavailable } from '../../platform/postgres/errors.ts';
import { siblingModule } from '../../platform/sibling-module.ts';
import type { CidMoment, Lane } from './lane.ts';
import type { Candidate, EntriesRead, FoldedSums, FolderSetup } from './row-folder.ts';
import type { BlockRange } from './table-files.ts';

/** What a thread starts with. */
export interface ThreadSetup {
  /** Holds the password. */
  readonly url: string;
  readonly connectTimeoutMs: number;
  readonly setup: FolderSetup;
}

export type LaneCall =
  | { readonly name: 'readEntries'; readonly range: BlockRange | null }
  | { readonly name: 'readCids'; readonly range: BlockRange | null; readonly moment: CidMoment }
  | { readonly name: 'compareBuckets'; readonly scope: number; readonly buckets: readonly number[] }
  | { readonly name: 'takeSums' };

export type LaneAnswer =
  | { readonly done: true; readonly value: unknown }
  | { readonly done: false; readonly name: string; readonly message: string };

const connectTimeoutMs = 10_000;

/** Starts a thread; whether it can reach the database shows at its first call. */
export function threadedLane(url: string, setup: FolderSetup): Lane {
  const workerData: ThreadSetup = { url, connectTimeoutMs, setup };
  const worker = new Worker(siblingModule(import.meta.url, 'lane-thread'), { workerData });
  let waiting: PromiseWithResolvers<unknown> | null = null;
  let ended: Error | null = null;
  const end = (failure: Error): void => {
    ended ??= failure;
    waiting?.reject(ended);
  };
  worker.on('message', (answer: LaneAnswer) => {
    if (answer.done) waiting?.resolve(answer.value);
    else waiting?.reject(errorOf(answer));
  });
  worker.on('error', (thrown) => end(thrown instanceof Error ? thrown : new Error(String(thrown))));
  worker.on('exit', () => end(new Error('a lane’s thread ended')));

  async function call(message: LaneCall): Promise<unknown> {
    assert(waiting === null, 'a lane does one thing at a time');
    if (ended !== null) throw ended;
    waiting = Promise.withResolvers();
    worker.postMessage(message);
    try {
      return await waiting.promise;
    } finally {
      waiting = null;
    }
  }

  return {
    // What a call answers is what lane.ts answers in the thread: here and below.
    readEntries: async (range) => (await call({ name: 'readEntries', range })) as EntriesRead,
    readCids: async (range, moment) => {
      await call({ name: 'readCids', range, moment });
    },
    // As above.
    compareBuckets: async (scope, buckets) => (await call({ name: 'compareBuckets', scope, buckets })) as Candidate[],
    // As above.
    takeSums: async () => (await call({ name: 'takeSums' })) as FoldedSums[],
    async close() {
      await worker.terminate();
    },
  };
}

function errorOf({ name, message }: { readonly name: string; readonly message: string }): Error {
  const told = new Error(message.replace(/^the database cannot be reached: /, ''));
  return name === 'DatabaseUnavailable' ? new DatabaseUnavailable(told) : Object.assign(new Error(message), { name });
}
