/** A worker thread of an import: lines in, rows out. What it is given and what it answers travels without being copied. */

import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../platform/assert.ts';
import { parseBlock } from './row-block.ts';
import { StagedRows, type StagedWith } from './staged-rows.ts';

const port = parentPort;
assert(port !== null, 'a row worker is started as a worker thread');
// What row-parser.ts gives.
const rows = new StagedRows(workerData as StagedWith);
port.on('message', (block: Uint8Array) => {
  const parsed = parseBlock(block, rows);
  port.postMessage(parsed, [parsed.staged.bytes.buffer]);
});
