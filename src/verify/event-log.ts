/**
 * Puts DICT's event log together from its pages. The log has no cursor: a page starts at the last timestamp of the one before
 * and overlaps it, and the VSyncs after a page's first and last event are all that tells whether something is missing. A hole is
 * kept as the XOR of what is missing (rule R11). Pure; calling DICT is event-log-reading.ts.
 */

import { cidFromHex } from '../cid/cid.ts';
import type { CidSetEvent, CidSetEventPage } from '../dict/api.ts';
import { emptyVSync, equalVSync, type VSync, vsyncFromHex, xor, xorInto } from '../vsync/vsync.ts';

/** XOR of CIDs whose events the log did not show, and the latest time they can have. */
export interface LogHole {
  readonly missing: VSync;
  readonly atMs: number;
}

export interface LogWindow {
  /** Every event seen, in DICT's order. */
  readonly events: readonly CidSetEvent[];
  readonly holes: readonly LogHole[];
  /** DICT's VSync after the last event; null while there is none. */
  readonly verifierEnd: VSync | null;
  readonly pages: number;
  /** Whether the log's own VSyncs were absent or not hexadecimal: nothing can be concluded from such a log. */
  readonly unreadable: boolean;
}

export const emptyWindow: LogWindow = { events: [], holes: [], verifierEnd: null, pages: 0, unreadable: false };

/** Where the next page starts: null when the log has been read to its end. */
export interface AppendedPage {
  readonly window: LogWindow;
  readonly nextStart: Date | null;
}

/** Largest page that DICT serves. */
export const EVENTS_PER_PAGE = 200;

function sameEvent(a: CidSetEvent | undefined, b: CidSetEvent | undefined): boolean {
  return (
    a !== undefined && b !== undefined && a.cid === b.cid && a.type === b.type && a.timestamp.getTime() === b.timestamp.getTime()
  );
}

/** How many of the page's first events are the window's last ones: those of the common millisecond, told apart by position. */
function overlapOf(events: readonly CidSetEvent[], page: readonly CidSetEvent[]): number {
  const lastMs = events.at(-1)?.timestamp.getTime();
  if (lastMs === undefined) return 0;
  let first = events.length;
  while (first > 0 && events[first - 1]?.timestamp.getTime() === lastMs) first -= 1;
  const inBoth = Math.min(events.length - first, page.length);
  let common = 0;
  while (common < inBoth && sameEvent(events[first + common], page[common])) common += 1;
  return common;
}

function xorOfEvents(events: readonly CidSetEvent[]): VSync {
  const sum = emptyVSync();
  for (const event of events) xorInto(sum, cidFromHex(event.cid));
  return sum;
}

function verifier(text: string | null): VSync | null {
  return text !== null && /^[0-9a-fA-F]{64}$/.test(text) ? vsyncFromHex(text) : null;
}

/** The window with one more page. The page must have been asked for from the start that the page before it led to. */
export function appendPage(window: LogWindow, page: CidSetEventPage): AppendedPage {
  const first = page.events[0];
  const last = page.events.at(-1);
  if (first === undefined || last === undefined) {
    return { window: { ...window, pages: window.pages + 1 }, nextStart: null };
  }
  const start = verifier(page.syncVerifierStart);
  const end = verifier(page.syncVerifierEnd);
  if (start === null || end === null)
    return { window: { ...window, pages: window.pages + 1, unreadable: true }, nextStart: null };
  const common = overlapOf(window.events, page.events);
  const holes = [...window.holes, ...holesOf(window, page.events, { common, start, end })];
  const events = [...window.events, ...page.events.slice(common)];
  return {
    window: { events, holes, verifierEnd: end, pages: window.pages + 1, unreadable: window.unreadable },
    nextStart: page.hasMoreElements ? nextStart(last, common === page.events.length || wholePageOneTime(page.events)) : null,
  };
}

function wholePageOneTime(events: readonly CidSetEvent[]): boolean {
  return events.length >= EVENTS_PER_PAGE && events[0]?.timestamp.getTime() === events.at(-1)?.timestamp.getTime();
}

/** More events in one millisecond than a page holds cannot be paged: step past it. What is missing shows as a hole. */
function nextStart(last: CidSetEvent, stuck: boolean): Date {
  return new Date(last.timestamp.getTime() + (stuck ? 1 : 0));
}

function holesOf(
  window: LogWindow,
  page: readonly CidSetEvent[],
  { common, start, end }: { readonly common: number; readonly start: VSync; readonly end: VSync },
): LogHole[] {
  const holes: LogHole[] = [];
  // VSync after the last common event by this page; with none in common, before the page's first event.
  const joined = common === 0 ? xor(start, xorOfEvents(page.slice(0, 1))) : xor(start, xorOfEvents(page.slice(1, common)));
  if (window.verifierEnd !== null && !equalVSync(window.verifierEnd, joined)) {
    const atMs = (window.events.at(-1) ?? page[0])?.timestamp.getTime() ?? 0;
    holes.push({ missing: xor(window.verifierEnd, joined), atMs });
  }
  const reached = xor(start, xorOfEvents(page.slice(1)));
  if (!equalVSync(reached, end)) holes.push({ missing: xor(reached, end), atMs: page.at(-1)?.timestamp.getTime() ?? 0 });
  return holes;
}

/** DICT's VSync at a time within the window, given the one at its end: what happened later taken back. */
export function verifierAt(window: LogWindow, verifierEnd: VSync, time: Date): VSync {
  return xor(verifierEnd, xorOfEvents(window.events.filter((event) => event.timestamp > time)));
}

/** Whether any event lies between these times, both inclusive. */
export function hasEventsBetween(window: LogWindow, from: Date, to: Date): boolean {
  return window.events.some((event) => event.timestamp >= from && event.timestamp <= to);
}
