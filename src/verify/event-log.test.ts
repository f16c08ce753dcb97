/** Specifies how pages become a log, against a model of DICT's log with pages of any size. Calls to DICT are not made here. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { cidFromHex } from '../cid/cid.ts';
import type { CidSetEvent, CidSetEventPage } from '../dict/api.ts';
import { emptyVSync, equalVSync, type VSync, vsyncOf, vsyncToHex, xor } from '../vsync/vsync.ts';
import { appendPage, EVENTS_PER_PAGE, emptyWindow, hasEventsBetween, type LogWindow, verifierAt } from './event-log.ts';

const startMs = Date.parse('2026-01-10T10:00:00.000Z');

const cidHex = (index: number): string => createHash('sha256').update(String(index)).digest('hex');

interface Logged extends CidSetEvent {
  readonly vsync: VSync;
}

/** A log of toggles: `gaps` are the milliseconds between one event and the next, `hidden` leaves the event out. */
function logOf(toggles: readonly { readonly cid: number; readonly gap: number; readonly hidden?: boolean }[]): Logged[] {
  const present = new Set<number>();
  let ms = startMs;
  let vsync = emptyVSync();
  const events: Logged[] = [];
  for (const { cid, gap, hidden } of toggles) {
    ms += gap;
    const type = present.delete(cid) ? 'REMOVED' : 'ADDED';
    if (type === 'ADDED') present.add(cid);
    vsync = xor(vsync, cidFromHex(cidHex(cid)));
    if (hidden !== true) events.push({ type, cid: cidHex(cid), timestamp: new Date(ms), vsync });
  }
  return events;
}

function pageOf(log: readonly Logged[], start: Date, limit: number): CidSetEventPage {
  const from = log.filter(({ timestamp }) => timestamp >= start);
  const events = from.slice(0, limit);
  return {
    hasMoreElements: from.length > limit,
    syncVerifierStart: events[0] === undefined ? null : vsyncToHex(events[0].vsync),
    syncVerifierEnd: vsyncToHex(events.at(-1)?.vsync ?? emptyVSync()).toUpperCase(),
    events: events.map(({ type, cid, timestamp }) => ({ type, cid, timestamp })),
    responseTime: new Date(startMs),
    correlationId: '',
  };
}

function readAll(log: readonly Logged[], limit = EVENTS_PER_PAGE): LogWindow {
  let window = emptyWindow;
  let start: Date | null = new Date(startMs);
  while (start !== null) {
    assert.ok(window.pages < 5_000, 'the reading never ends');
    const appended = appendPage(window, pageOf(log, start, limit));
    window = appended.window;
    start = appended.nextStart;
  }
  return window;
}

const plain = (events: readonly CidSetEvent[]): unknown[] =>
  events.map(({ type, cid, timestamp }) => [type, cid, timestamp.getTime()]);

const toggles = fc.array(fc.record({ cid: fc.nat(20), gap: fc.constantFrom(0, 0, 1, 5) }), { maxLength: 120 });

describe('event log from pages', () => {
  it('is every event once and in order, however the milliseconds fall, while none holds more than a page', () => {
    fc.assert(
      fc.property(toggles, fc.integer({ min: 4, max: 30 }), (each, limit) => {
        const log = logOf(each);
        const perMs = Map.groupBy(log, ({ timestamp }) => timestamp.getTime());
        fc.pre([...perMs.values()].every((events) => events.length < limit));
        const window = readAll(log, limit);
        assert.deepEqual(plain(window.events), plain(log));
        assert.deepEqual(window.holes, []);
        const end = log.at(-1)?.vsync;
        assert.ok(
          end === undefined ? window.verifierEnd === null : window.verifierEnd !== null && equalVSync(window.verifierEnd, end),
        );
      }),
    );
  });

  it('R11: ends, and knows the XOR of what it could not page, with more events in one millisecond than a page holds', () => {
    for (const crammed of [200, 201, 250, 399, 650]) {
      const each = [...Array(1_000).keys()].map((cid) => ({ cid, gap: cid > 100 && cid <= 100 + crammed - 1 ? 0 : 1 }));
      const log = logOf(each);
      const window = readAll(log);
      const seen = new Set(window.events.map(({ cid }) => cid));
      const missing = log.filter(({ cid }) => !seen.has(cid)).map(({ cid }) => cidFromHex(cid));
      assert.equal(missing.length, Math.max(0, crammed - EVENTS_PER_PAGE), `${crammed} events`);
      assert.equal(window.events.length + missing.length, log.length);
      assert.equal(window.holes.length, missing.length === 0 ? 0 : 1);
      assert.ok(equalVSync(window.holes[0]?.missing ?? emptyVSync(), vsyncOf(missing)));
      assert.ok(window.pages < 10);
    }
  });

  it('R11: tells identical events apart by their position in the millisecond', () => {
    const each = [...Array(300).keys()].map((index) => ({ cid: 1, gap: index % 90 === 0 ? 1 : 0 }));
    const log = logOf(each);
    assert.deepEqual(plain(readAll(log).events), plain(log));
  });

  it('notices a change that left no event, between pages and within one, by its XOR', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 398 }), (at) => {
        const each = [...Array(400).keys()].map((cid) => ({ cid, gap: 1, hidden: cid === at }));
        const window = readAll(logOf(each));
        assert.equal(window.holes.length, 1);
        assert.ok(equalVSync(window.holes[0]?.missing ?? emptyVSync(), vsyncOf([cidFromHex(cidHex(at))])));
      }),
      { numRuns: 30 },
    );
  });

  it('reads an empty log, and refuses one without readable VSyncs', () => {
    assert.equal(readAll([]).verifierEnd, null);
    const log = logOf([{ cid: 1, gap: 1 }]);
    const { window } = appendPage(emptyWindow, { ...pageOf(log, new Date(startMs), 200), syncVerifierEnd: null });
    assert.equal(window.unreadable, true);
  });

  it('knows the VSync of every moment, and what lies near it', () => {
    const log = logOf([...Array(20).keys()].map((cid) => ({ cid, gap: 10 })));
    const window = readAll(log);
    for (const { timestamp, vsync } of log) {
      assert.ok(window.verifierEnd !== null && equalVSync(verifierAt(window, window.verifierEnd, timestamp), vsync));
    }
    assert.equal(hasEventsBetween(window, new Date(startMs + 10), new Date(startMs + 10)), true);
    assert.equal(hasEventsBetween(window, new Date(startMs + 11), new Date(startMs + 19)), false);
  });
});
