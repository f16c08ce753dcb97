/** Specifies the explanation against two sets that change at random. Nothing is read from a database or DICT here. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { cidFromHex } from '../cid/cid.ts';
import type { CidSetEvent } from '../dict/api.ts';
import { vsyncOf } from '../vsync/vsync.ts';
import { corrected, type Evidence, explain, isZero } from './explanation.ts';

const cidHex = (index: number): string => createHash('sha256').update(String(index)).digest('hex');

/** A CID comes or goes on one side; what DICT does may leave no event. */
interface Change {
  readonly side: 'dict' | 'local';
  readonly cid: number;
  readonly hidden: boolean;
}

interface Scenario {
  readonly changes: readonly Change[];
  /** Both sides are known at this change; the log is read from `overlap` changes before it. */
  readonly anchor: number;
  readonly overlap: number;
}

const scenario = (hidden: fc.Arbitrary<boolean>): fc.Arbitrary<Scenario> =>
  fc.record({
    changes: fc.array(fc.record({ side: fc.constantFrom('dict' as const, 'local' as const), cid: fc.nat(9), hidden }), {
      maxLength: 60,
    }),
    anchor: fc.nat(30),
    overlap: fc.nat(30),
  });

function toggle(set: Set<string>, cid: string): boolean {
  if (set.delete(cid)) return false;
  set.add(cid);
  return true;
}

const difference = (a: ReadonlySet<string>, b: ReadonlySet<string>): string[] => [...a.symmetricDifference(b)].sort();
const xorOf = (cids: Iterable<string>) => vsyncOf([...cids].map(cidFromHex));

/** Plays the changes on two sets and keeps what a verification could know of them. */
function play({ changes, anchor, overlap }: Scenario): { evidence: Evidence; dict: Set<string>; local: Set<string> } {
  const dict = new Set<string>();
  const local = new Set<string>();
  const events: CidSetEvent[] = [];
  const changedAtMs = new Map<string, number>();
  let oursAtAnchor = new Set<string>();
  let exceptions = new Map<string, number | null>();
  for (const [index, { side, cid, hidden }] of changes.entries()) {
    if (index === anchor) {
      oursAtAnchor = new Set(local);
      exceptions = new Map(difference(dict, local).map((each) => [each, null]));
    }
    const hex = cidHex(cid);
    const added = toggle(side === 'dict' ? dict : local, hex);
    if (side === 'local' && index >= anchor) changedAtMs.set(hex, index);
    if (side === 'dict' && !hidden && index >= anchor - overlap) {
      events.push({ type: added ? 'ADDED' : 'REMOVED', cid: hex, timestamp: new Date(index) });
    }
  }
  if (anchor >= changes.length) {
    oursAtAnchor = new Set(local);
    exceptions = new Map(difference(dict, local).map((each) => [each, null]));
  }
  const evidence = { ours: xorOf(local), dicts: xorOf(dict), events, changedAtMs, exceptions, oursAtAnchor, oursNow: local };
  return { evidence, dict, local };
}

describe('explanation of a difference of VSyncs', () => {
  it('is exactly what differs, from any anchor and with any overlap, while every change left its event', () => {
    fc.assert(
      fc.property(scenario(fc.constant(false)), (given) => {
        const { evidence, dict, local } = play(given);
        const { differences, residual } = explain(evidence);
        assert.ok(isZero(residual));
        assert.deepEqual(differences.map(({ cid }) => cid).sort(), difference(dict, local));
        for (const { cid, side } of differences) assert.equal(side, dict.has(cid) ? 'dict' : 'local');
      }),
      { numRuns: 500 },
    );
  });

  it('is complete if and only if the identity of VSyncs holds, whatever was hidden', () => {
    fc.assert(
      fc.property(scenario(fc.boolean()), (given) => {
        const { evidence, dict, local } = play(given);
        const { differences, residual } = explain(evidence);
        const claimed = differences.map(({ cid }) => cid).sort();
        const actual = difference(dict, local);
        assert.equal(isZero(residual), JSON.stringify(claimed) === JSON.stringify(actual));
        // The residual is what was hidden, and putting it right explains everything.
        const hidden = difference(new Set(claimed), new Set(actual));
        assert.deepEqual(residual, xorOf(hidden));
        const right = corrected(
          { differences, residual, inferred: [] },
          hidden.map((cid) => ({ cid, sinceMs: null })),
          local,
        );
        assert.ok(isZero(right.residual));
        assert.deepEqual(right.differences.map(({ cid }) => cid).sort(), actual);
      }),
      { numRuns: 500 },
    );
  });

  it('dates a difference by the later of both sides’ last changes', () => {
    const cid = cidHex(1);
    const base = { ours: xorOf([]), dicts: xorOf([cid]), oursAtAnchor: new Set<string>(), oursNow: new Set<string>() };
    const event: CidSetEvent = { type: 'ADDED', cid, timestamp: new Date(5_000) };
    const sinceMs = (evidence: Pick<Evidence, 'events' | 'changedAtMs' | 'exceptions'>): number | null | undefined =>
      explain({ ...base, ...evidence }).differences[0]?.sinceMs;
    assert.equal(sinceMs({ events: [event], changedAtMs: new Map(), exceptions: new Map() }), 5_000);
    assert.equal(sinceMs({ events: [event], changedAtMs: new Map([[cid, 7_000]]), exceptions: new Map() }), 7_000);
    assert.equal(sinceMs({ events: [], changedAtMs: new Map(), exceptions: new Map([[cid, 3_000]]) }), 3_000);
    assert.equal(sinceMs({ events: [], changedAtMs: new Map(), exceptions: new Map([[cid, null]]) }), null);
  });
});
