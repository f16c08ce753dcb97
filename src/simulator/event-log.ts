/**
 * The log of CID events of one participant and key type, with DICT's rules of paging: no cursor, both times inclusive, ascending,
 * listed only some time after it happened. Each event keeps the VSync that DICT had right after it, so a change that left no
 * event shows in the VSync of the next one.
 */

export interface LogEvent {
  readonly type: 'ADDED' | 'REMOVED';
  readonly cid: string;
  readonly atMs: number;
  /** DICT's VSync right after this event. */
  readonly vsync: string;
  /** Not listed before this instant, although later events are: an event that comes late. Absent: listed as soon as the lag allows. */
  readonly listedMs?: number;
}

export interface LogQuery {
  readonly startMs: number | null;
  readonly endMs: number | null;
  readonly limit: number;
  /** Events after this instant are not listed yet. */
  readonly visibleUntilMs: number;
  /** Late events show once it has come. Default: all of them show. */
  readonly nowMs?: number;
}

export interface EventLog {
  append(event: LogEvent): void;
  page(query: LogQuery): { readonly events: readonly LogEvent[]; readonly hasMore: boolean };
  /** While frozen, what is appended is not listed. */
  freeze(frozen: boolean): void;
  /** Takes events out of the log, as if they had never been written; says how many. */
  drop(cids: ReadonlySet<string>): number;
  /** Lists events of these CIDs twice, one right after the other; says how many there are more. */
  repeat(cids: ReadonlySet<string>): number;
  /** Every event there is, listed or not yet, oldest first. */
  all(): readonly LogEvent[];
  lastMs(): number;
}

/** An empty log that keeps about `eventsMax` events. */
export function eventLog(eventsMax: number): EventLog {
  let events: LogEvent[] = [];
  // The last event that may be listed; null when the log was frozen empty, undefined when it is not frozen.
  let frozenAfter: LogEvent | null | undefined;
  // Whether any event ever was a late one: only then does a page have to look at each.
  let lateOnes = false;

  /** Index of the first event at or after the instant. */
  function firstAt(atMs: number): number {
    let low = 0;
    let high = events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((events[middle]?.atMs ?? Number.POSITIVE_INFINITY) < atMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function listed(): number {
    if (frozenAfter === undefined) return events.length;
    return frozenAfter === null ? 0 : events.lastIndexOf(frozenAfter) + 1;
  }

  return {
    append: (event) => {
      events.push(event);
      lateOnes ||= event.listedMs !== undefined;
      // A tenth above the bound before cutting: copying at each event would be quadratic.
      if (events.length > eventsMax * 1.1) events = events.slice(-eventsMax);
    },
    page: (query) => {
      const from = query.startMs === null ? 0 : firstAt(query.startMs);
      const last = Math.min(query.visibleUntilMs, query.endMs ?? Number.POSITIVE_INFINITY);
      const upto = Math.min(firstAt(last + 1), listed());
      if (!lateOnes) {
        return {
          events: events.slice(from, Math.max(from, Math.min(upto, from + query.limit))),
          hasMore: upto > from + query.limit,
        };
      }
      const nowMs = query.nowMs ?? Number.POSITIVE_INFINITY;
      const there = events
        .slice(from, Math.max(from, upto))
        .filter(({ listedMs }) => listedMs === undefined || listedMs <= nowMs);
      return { events: there.slice(0, query.limit), hasMore: there.length > query.limit };
    },
    freeze: (frozen) => {
      frozenAfter = frozen ? (events.at(-1) ?? null) : undefined;
    },
    drop: (cids) => {
      const before = events.length;
      events = events.filter((event) => !cids.has(event.cid));
      return before - events.length;
    },
    repeat: (cids) => {
      const before = events.length;
      events = events.flatMap((event) => (cids.has(event.cid) ? [event, event] : [event]));
      return events.length - before;
    },
    all: () => events,
    lastMs: () => events.at(-1)?.atMs ?? Number.NEGATIVE_INFINITY,
  };
}
