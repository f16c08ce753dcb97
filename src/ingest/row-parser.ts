/** Who parses blocks of rows: this thread, or several beside it. Answers come in the order of the questions. */

import { Worker } from 'node:worker_threads';
import { assert } from '../platform/assert.ts';
import { siblingModule } from '../platform/sibling-module.ts';
import { type ParsedBlock, parseBlock } from './row-block.ts';
import { StagedRows, type StagedWith } from './staged-rows.ts';

export interface RowParser {
  /** How many blocks can be under way at once. */
  readonly width: number;
  /** The block is no longer the caller's. Rejects where a worker broke. */
  parse(block: Uint8Array<ArrayBuffer>): Promise<ParsedBlock>;
  close(): Promise<void>;
}

/** Parses in this thread: for files that are done before a worker would have started (some 90 ms). */
export function inThisThread(stagedWith: StagedWith): RowParser {
  const rows = new StagedRows(stagedWith);
  return { width: 1, parse: async (block) => parseBlock(block, rows), close: async () => {} };
}

interface Waiting {
  resolve(parsed: ParsedBlock): void;
  reject(cause: Error): void;
}

/** One worker thread and the blocks it has been given, oldest first. */
class RowWorker {
  readonly #worker: Worker;
  readonly #waiting: Waiting[] = [];
  #broken: Error | null = null;

  constructor(stagedWith: StagedWith) {
    this.#worker = new Worker(siblingModule(import.meta.url, 'row-thread'), { workerData: stagedWith });
    this.#worker.on('message', (parsed: ParsedBlock) => {
      const waiting = this.#waiting.shift();
      assert(waiting !== undefined, 'a worker answers what it was asked');
      // A Buffer travels as a plain array of bytes.
      const { bytes } = parsed.staged;
      const staged = { ...parsed.staged, bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
      waiting.resolve({ ...parsed, staged });
    });
    const breakAll = (cause: Error): void => {
      this.#broken ??= cause;
      for (const waiting of this.#waiting.splice(0)) waiting.reject(cause);
    };
    this.#worker.on('error', breakAll);
    this.#worker.on('messageerror', breakAll);
    this.#worker.on('exit', (code) => breakAll(new Error(`a worker thread of the import ended with status ${code}`)));
  }

  get load(): number {
    return this.#waiting.length;
  }

  parse(block: Uint8Array<ArrayBuffer>): Promise<ParsedBlock> {
    return new Promise((resolve, reject) => {
      if (this.#broken !== null) return reject(this.#broken);
      this.#waiting.push({ resolve, reject });
      this.#worker.postMessage(block, [block.buffer]);
    });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** Parses in that many worker threads. */
export function inWorkers(stagedWith: StagedWith, count: number): RowParser {
  const workers = Array.from({ length: count }, () => new RowWorker(stagedWith));
  return {
    // Two for each: one under way, one waiting, so that no worker is idle while this thread waits for the database.
    width: count * 2,
    parse(block) {
      const [least] = workers.toSorted((a, b) => a.load - b.load);
      assert(least !== undefined, 'there is a worker');
      return least.parse(block);
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.close()));
    },
  };
}
