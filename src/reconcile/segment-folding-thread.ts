/** The second thread of sealed-lines.ts: folds segments beside the first one, and ends. */

import { parentPort, type TransferListItem, workerData } from 'node:worker_threads';
import { foldBeside, type SharedFolding } from './segment-folding.ts';

// Started by sealed-lines.ts alone, with this.
const shared: SharedFolding = workerData;
const buckets = foldBeside(shared);
// Copies of the thread's own, each with its memory for itself.
const moved = buckets === null ? [] : Object.values(buckets).map(({ buffer }) => buffer as TransferListItem);
parentPort?.postMessage(buckets, moved);
