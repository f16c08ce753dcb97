/**
 * What runs in a lane's thread: a lane over a connection of its own, told what to do by messages (threaded-lane.ts), one at a time.
 */

import { parentPort, type TransferListItem, workerData } from 'node:worker_threads';
import { assert } from '../../platform/assert.ts';
import { openDatabase } from '../../platform/postgres/database.ts';
import { type Lane, laneOver } from './lane.ts';
import type { FoldedSums } from './row-folder.ts';
import type { LaneAnswer, LaneCall, ThreadSetup } from './threaded-lane.ts';

assert(parentPort !== null, 'a lane runs in a thread');
const port = parentPort;
// Given by threaded-lane.ts, which types it.
const { url, connectTimeoutMs, setup } = workerData as ThreadSetup;
const limits = { poolMin: 0, poolMax: 1, statementTimeoutMs: 0, connectTimeoutMs };
const opening = openDatabase({ ...limits, url, applicationName: 'dict-vsync scan' });
// Told at the first call.
opening.catch(() => {});

async function perform(lane: Lane, call: LaneCall): Promise<unknown> {
  switch (call.name) {
    case 'readEntries':
      return await lane.readEntries(call.range);
    case 'readCids':
      return await lane.readCids(call.range, call.moment);
    case 'compareBuckets':
      return await lane.compareBuckets(call.scope, call.buckets);
    case 'takeSums':
      return await lane.takeSums();
  }
}

function buffersOf(sums: readonly FoldedSums[]): TransferListItem[] {
  return sums.flatMap(({ pairs, buckets }) => [pairs, ...(buckets === null ? [] : [buckets.xors, buckets.counts])]).map(toMove);
}

/** Each array has its memory for itself. */
function toMove({ buffer }: Uint8Array | Uint32Array): TransferListItem {
  assert(buffer instanceof ArrayBuffer, 'sums are not shared');
  return buffer;
}

let lane: Lane | undefined;
port.on('message', async (call: LaneCall) => {
  let answer: LaneAnswer;
  let moved: TransferListItem[] = [];
  try {
    lane ??= laneOver(await opening, setup);
    const value = await perform(lane, call);
    // What takeSums answers, by the switch above.
    if (call.name === 'takeSums') moved = buffersOf(value as FoldedSums[]);
    answer = { done: true, value };
  } catch (cause) {
    const { name, message } = cause instanceof Error ? cause : new Error(String(cause));
    answer = { done: false, name, message };
  }
  port.postMessage(answer, moved);
});
