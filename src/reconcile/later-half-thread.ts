/** The thread of sealed-lines.ts: folds the second half of a sealed file of lines, and ends. */

import { parentPort, type TransferListItem, workerData } from 'node:worker_threads';
import { foldFrom, type LaterHalf } from './sealed-lines.ts';

// Started by sealed-lines.ts alone, with this.
const task: LaterHalf = workerData;
const folded = foldFrom(task);
// Copies of the thread's own, each with its memory for itself.
const moved = folded === null ? [] : Object.values(folded.buckets).map(({ buffer }) => buffer as TransferListItem);
parentPort?.postMessage(folded, moved);
