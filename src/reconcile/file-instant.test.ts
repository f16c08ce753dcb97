/** Placing a file in time by DICT's log. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { cidFromHex } from '../cid/cid.ts';
import type { CidSetEvent } from '../dict/api.ts';
import { emptyWindow, type LogWindow } from '../verify/event-log.ts';
import { emptyVSync, type VSync, xor } from '../vsync/vsync.ts';
import { findInstant, lastEvents } from './file-instant.ts';

const from = new Date('2026-01-10T10:00:00.000Z');
const start = xor(emptyVSync(), Buffer.alloc(32, 0x5a));

const cidOf = (index: number): string => index.toString(16).padStart(64, '1');

/** Events of these CIDs at these offsets, and DICT's VSync before the first and after each. */
function logOf(changes: readonly { readonly cid: number; readonly ms: number }[]): { window: LogWindow; vsyncs: VSync[] } {
  const sorted = changes.toSorted((a, b) => a.ms - b.ms);
  const events: CidSetEvent[] = sorted.map(({ cid, ms }) => ({
    type: 'ADDED',
    cid: cidOf(cid),
    timestamp: new Date(from.getTime() + ms),
  }));
  const vsyncs = [start];
  for (const { cid } of events) vsyncs.push(xor(vsyncs.at(-1) ?? start, cidFromHex(cid)));
  return { window: { ...emptyWindow, events, verifierEnd: vsyncs.at(-1) ?? null, pages: 1 }, vsyncs };
}

const changes = fc.uniqueArray(fc.record({ cid: fc.nat(1_000), ms: fc.nat(5) }), {
  minLength: 1,
  maxLength: 20,
  selector: ({ cid }) => cid,
});

describe('the instant of a file', () => {
  it('is the position at which DICT’s VSync was the file’s, whichever it is', () => {
    fc.assert(
      fc.property(changes, fc.nat(20), (given, chosen) => {
        const { window, vsyncs } = logOf(given);
        const at = chosen % vsyncs.length;
        const instant = findInstant(window, from, vsyncs[at] ?? start);
        assert.ok(instant);
        const upTo = window.events.filter(({ timestamp }) => timestamp < instant.at).length + instant.events;
        assert.equal(at === 0 ? 0 : upTo, at);
      }),
    );
  });

  it('is unknown where the log never passes through the file’s XOR', () => {
    const { window } = logOf([{ cid: 1, ms: 1 }]);
    assert.equal(findInstant(window, from, xor(start, Buffer.alloc(32, 1))), null);
    assert.equal(findInstant({ ...window, verifierEnd: null }, from, start), null);
    assert.equal(findInstant({ ...window, unreadable: true }, from, start), null);
  });

  it('is not looked for before a hole of the log', () => {
    const { window, vsyncs } = logOf([1, 2, 3].map((cid) => ({ cid, ms: cid })));
    const holed = { ...window, holes: [{ missing: start, atMs: from.getTime() + 2 }] };
    assert.deepEqual(findInstant(holed, from, vsyncs[2] ?? start)?.events, 1);
    assert.equal(findInstant(holed, from, vsyncs[1] ?? start), null);
  });

  it('keeps what the log last said of each CID', () => {
    const event = (type: 'ADDED' | 'REMOVED', ms: number): CidSetEvent => ({ type, cid: cidOf(1), timestamp: new Date(ms) });
    assert.equal(lastEvents([event('ADDED', 1), event('REMOVED', 1), event('ADDED', 1)]).get(cidOf(1))?.type, 'ADDED');
  });
});
