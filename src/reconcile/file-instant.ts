/**
 * Placing a CID set file in time. A file shows DICT at some moment between its request and its creation; where DICT's log passes
 * through the file's XOR is that moment. What the log tells about a CID after that overrides the file. Pure.
 */

import { cidFromHex } from '../cid/cid.ts';
import type { CidSetEvent } from '../dict/api.ts';
import type { LogWindow } from '../verify/event-log.ts';
import { equalVSync, type VSync, xor } from '../vsync/vsync.ts';

/** The file is DICT's set after the first `events` events of the millisecond `at`, and before any later one. */
export interface FileInstant {
  readonly at: Date;
  readonly events: number;
}

/**
 * The latest position at which DICT's VSync was the file's; null where the log never passes through it (a change without an
 * event, or a hole). A set that came back to itself has several: each leads to the same set, so any of them is right.
 */
export function findInstant(window: LogWindow, from: Date, fileVsync: VSync): FileInstant | null {
  if (window.unreadable || window.verifierEnd === null) return null;
  const holeMs = Math.max(Number.NEGATIVE_INFINITY, ...window.holes.map((hole) => hole.atMs));
  let vsync = window.verifierEnd;
  for (let index = window.events.length - 1; index >= 0; index--) {
    const event = window.events[index];
    if (event === undefined) return null;
    if (equalVSync(vsync, fileVsync)) return { at: event.timestamp, events: countUpTo(window.events, index) };
    if (event.timestamp.getTime() <= holeMs) return null;
    vsync = xor(vsync, cidFromHex(event.cid));
  }
  return equalVSync(vsync, fileVsync) ? { at: from, events: 0 } : null;
}

/** How many events of that one's millisecond there are, up to and with it. */
function countUpTo(events: readonly CidSetEvent[], index: number): number {
  const atMs = events[index]?.timestamp.getTime();
  let first = index;
  while (first > 0 && events[first - 1]?.timestamp.getTime() === atMs) first -= 1;
  return index - first + 1;
}

/** What DICT's log last said of each CID, by hex. */
export function lastEvents(events: readonly CidSetEvent[]): Map<string, CidSetEvent> {
  return new Map(events.map((event) => [event.cid, event]));
}
