/** The heap after everything that can go has gone: what a process really holds. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');

/** Collects the garbage and answers the bytes in use, but for buffers outside the heap, which the network's fill and empty. */
export function collectedHeapBytes(): number {
  if (typeof collect !== 'function') throw new TypeError('V8 gives no access to its collector');
  collect();
  return process.memoryUsage().heapUsed;
}
