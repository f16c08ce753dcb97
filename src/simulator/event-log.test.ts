/** Paging of the event log, and its ways of hiding events. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type EventLog, eventLog } from './event-log.ts';

function filled(times: readonly number[], eventsMax = 1_000): EventLog {
  const log = eventLog(eventsMax);
  for (const [index, atMs] of times.entries()) log.append({ type: 'ADDED', cid: `cid ${index}`, atMs, vsync: `vsync ${index}` });
  return log;
}

const EVERYTHING = { startMs: null, endMs: null, limit: 100, visibleUntilMs: Number.MAX_SAFE_INTEGER };

function cids(log: EventLog, query: Partial<typeof EVERYTHING> | { startMs: number } | { endMs: number } = {}): string[] {
  return log.page({ ...EVERYTHING, ...query }).events.map(({ cid }) => cid);
}

describe('event log', () => {
  it('takes both times as included', () => {
    const log = filled([10, 20, 20, 30, 40]);
    assert.deepEqual(
      log.page({ ...EVERYTHING, startMs: 20, endMs: 30 }).events.map(({ atMs }) => atMs),
      [20, 20, 30],
    );
  });

  it('says whether more follows, and nothing is lost when the next page starts at the last event', () => {
    const log = filled([10, 20, 20, 30]);
    const page = log.page({ ...EVERYTHING, limit: 2 });
    assert.equal(page.hasMore, true);
    const next = log.page({ ...EVERYTHING, startMs: page.events.at(-1)?.atMs ?? 0, limit: 3 });
    assert.deepEqual(
      next.events.map(({ cid }) => cid),
      ['cid 1', 'cid 2', 'cid 3'],
    );
    assert.equal(next.hasMore, false);
  });

  it('cannot be paged past more events in one millisecond than a page holds', () => {
    const log = filled(Array.from({ length: 250 }, () => 10));
    const page = log.page({ ...EVERYTHING, startMs: 10, limit: 200 });
    assert.equal(page.events.length, 200);
    assert.equal(page.hasMore, true);
  });

  it('shows nothing later than what may be seen', () => {
    assert.deepEqual(cids(filled([10, 20, 30]), { visibleUntilMs: 20 }), ['cid 0', 'cid 1']);
    assert.deepEqual(cids(filled([10]), { startMs: 50 }), []);
  });

  it('lists nothing new while frozen, also within the same millisecond', () => {
    const log = filled([10]);
    log.freeze(true);
    log.append({ type: 'REMOVED', cid: 'hidden', atMs: 10, vsync: '' });
    assert.deepEqual(cids(log), ['cid 0']);
    assert.deepEqual(cids(log, { startMs: 11 }), []);
    log.freeze(false);
    assert.deepEqual(cids(log), ['cid 0', 'hidden']);
    const empty = eventLog(10);
    empty.freeze(true);
    empty.append({ type: 'ADDED', cid: 'hidden', atMs: 10, vsync: '' });
    assert.deepEqual(cids(empty), []);
  });

  it('forgets dropped events and the oldest beyond its bound', () => {
    const log = filled([10, 20, 30]);
    assert.equal(log.drop(new Set(['cid 1'])), 1);
    assert.deepEqual(cids(log), ['cid 0', 'cid 2']);
    const bounded = filled(
      Array.from({ length: 12 }, (_, index) => index),
      10,
    );
    assert.equal(bounded.all().length, 10);
    assert.equal(bounded.all()[0]?.atMs, 2);
  });
});
