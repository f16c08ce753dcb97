/** The states of a key times the events that can meet it, and that no order of arrival makes a difference. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { cidToHex } from '../cid/cid.ts';
import type { Entry } from '../dict/entry.ts';
import { participant } from '../dict/participant.ts';
import { sampleEntries } from '../dict/sample-entries.ts';
import type { ChangeEvent } from './entry-transition.ts';
import { transitionOf } from './entry-transition.ts';
import type { KeyState } from './stored-entry.ts';
import { cidOfState } from './stored-entry.ts';

const ispb = participant('00038166');
const [sample] = sampleEntries({ seed: 'transition', participant: ispb, keyType: 'PHONE', count: 1 });
assert.ok(sample !== undefined);
const { entry: base, requestId: first } = sample;
const second = '5a1e0b5e-0000-4000-8000-000000000002';

function withAccount(accountNumber: string): Entry {
  return { ...base, account: { ...base.account, accountNumber } };
}

const created = withAccount('1');
const updated = withAccount('2');
const other = withAccount('3');

function at(minute: number): Date {
  return new Date(Date.UTC(2026, 0, 1, 12, minute));
}

let events = 0;

function event(action: ChangeEvent['action'], minute: number, entry: Entry, requestId: string | null = null): ChangeEvent {
  events += 1;
  const key = { participant: ispb, key: base.key, keyType: base.keyType };
  const common = { ...key, eventId: `e${events}`, occurredAt: at(minute), correlationId: null };
  if (action === 'key.deleted') return { ...common, action };
  return { ...common, action, entry, requestId, registeredAt: null, participantRegisteredAt: null };
}

function apply(state: KeyState | null, ...all: readonly ChangeEvent[]): KeyState {
  let next = state;
  for (const one of all) {
    const transition = transitionOf(next, one, 'dict');
    assert.notEqual(transition.outcome, 'dead');
    if (transition.outcome !== 'dead') next = transition.next;
  }
  assert.ok(next !== null);
  return next;
}

function cid(entry: Entry, requestId: string): string {
  return cidToHex(cidOfState({ entry, requestId, registeredAt: null, participantRegisteredAt: null }, 'dict'));
}

// The states of a key, each as of minute 20, its creation at minute 10 where it is known.
const active = apply(null, event('key.created', 10, created, first), event('key.updated', 20, updated));
assert.equal(active.status, 'ACTIVE');
const states = {
  none: null,
  ACTIVE: active,
  UNRESOLVED: apply(null, event('key.updated', 20, updated)),
  ORPHANED: active.status === 'ACTIVE' ? ({ ...active, status: 'ORPHANED', orphanedAt: at(21) } as const) : null,
  PENDING: active.status === 'ACTIVE' ? ({ ...active, status: 'PENDING', orphanedAt: at(21) } as const) : null,
  DELETED: apply(null, event('key.created', 10, created, first), event('key.deleted', 20, updated)),
} as const satisfies Record<string, KeyState | null>;

/** Outcome, then what the key is: its status, and which content under which RequestId its CID stands for. */
type Expected = readonly ['applied' | 'echo' | 'superseded', string, string | null, history?: string] | 'dead';

const eventTable = {
  'newer creation': event('key.created', 30, other, second),
  'newer creation without RequestId': event('key.created', 30, other),
  'newer update': event('key.updated', 30, other),
  'newer update, same content': event('key.updated', 30, updated),
  'newer update, same RequestId': event('key.updated', 30, other, first),
  'newer update, other RequestId': event('key.updated', 30, other, second),
  'newer delete': event('key.deleted', 30, other),
  'same moment, same update': event('key.updated', 20, updated),
  'same moment, creation': event('key.created', 20, other, second),
  'same moment, delete': event('key.deleted', 20, other),
  'older creation of before': event('key.created', 5, other, second),
  'the creation itself': event('key.created', 10, created, first),
  'older update of this creation': event('key.updated', 15, other),
  'older update of before': event('key.updated', 5, other),
  'older update of before, own RequestId': event('key.updated', 5, other, second),
  'older update, other RequestId': event('key.updated', 15, other, second),
  'older delete': event('key.deleted', 15, other),
} as const;

const U1 = cid(updated, first);
const O1 = cid(other, first);
const O2 = cid(other, second);
const C1 = cid(created, first);

const table: Record<keyof typeof eventTable, Record<keyof typeof states, Expected>> = {
  'newer creation': {
    none: ['applied', 'ACTIVE', O2],
    ACTIVE: ['applied', 'ACTIVE', O2],
    UNRESOLVED: ['applied', 'ACTIVE', O2],
    ORPHANED: ['applied', 'ACTIVE', O2],
    PENDING: ['applied', 'ACTIVE', O2],
    DELETED: ['applied', 'ACTIVE', O2],
  },
  'newer creation without RequestId': {
    none: ['applied', 'UNRESOLVED', null],
    ACTIVE: ['applied', 'ACTIVE', O1],
    UNRESOLVED: ['applied', 'UNRESOLVED', null],
    ORPHANED: ['applied', 'ACTIVE', O1],
    PENDING: ['applied', 'ACTIVE', O1],
    DELETED: ['applied', 'UNRESOLVED', null],
  },
  'newer update': {
    none: ['applied', 'UNRESOLVED', null],
    ACTIVE: ['applied', 'ACTIVE', O1],
    UNRESOLVED: ['applied', 'UNRESOLVED', null],
    ORPHANED: ['applied', 'ACTIVE', O1],
    PENDING: ['applied', 'ACTIVE', O1],
    DELETED: ['applied', 'UNRESOLVED', null],
  },
  'newer update, same content': {
    none: ['applied', 'UNRESOLVED', null],
    ACTIVE: ['echo', 'ACTIVE', U1],
    UNRESOLVED: ['echo', 'UNRESOLVED', null],
    ORPHANED: ['applied', 'ACTIVE', U1],
    PENDING: ['applied', 'ACTIVE', U1],
    DELETED: ['applied', 'UNRESOLVED', null],
  },
  'newer update, same RequestId': {
    none: ['applied', 'ACTIVE', O1],
    ACTIVE: ['applied', 'ACTIVE', O1],
    UNRESOLVED: ['applied', 'ACTIVE', O1],
    ORPHANED: ['applied', 'ACTIVE', O1],
    PENDING: ['applied', 'ACTIVE', O1],
    DELETED: ['applied', 'ACTIVE', O1],
  },
  'newer update, other RequestId': {
    none: ['applied', 'ACTIVE', O2],
    ACTIVE: 'dead',
    UNRESOLVED: ['applied', 'ACTIVE', O2],
    ORPHANED: 'dead',
    PENDING: 'dead',
    DELETED: ['applied', 'ACTIVE', O2],
  },
  'newer delete': {
    none: ['applied', 'DELETED', null],
    ACTIVE: ['applied', 'DELETED', null],
    UNRESOLVED: ['applied', 'DELETED', null],
    ORPHANED: ['applied', 'DELETED', null],
    PENDING: ['applied', 'DELETED', null],
    DELETED: ['echo', 'DELETED', null],
  },
  'same moment, same update': {
    none: ['applied', 'UNRESOLVED', null],
    ACTIVE: ['echo', 'ACTIVE', U1],
    UNRESOLVED: ['superseded', 'UNRESOLVED', null],
    ORPHANED: ['echo', 'ORPHANED', U1],
    PENDING: ['echo', 'PENDING', U1],
    // Belongs to the creation that the delete of the same moment ended.
    DELETED: ['superseded', 'DELETED', null, U1],
  },
  'same moment, creation': {
    none: ['applied', 'ACTIVE', O2],
    // The update of that moment belongs to the creation of that moment.
    ACTIVE: ['applied', 'ACTIVE', cid(updated, second), O2],
    UNRESOLVED: ['applied', 'ACTIVE', cid(updated, second), O2],
    ORPHANED: ['superseded', 'ORPHANED', U1, O2],
    PENDING: ['superseded', 'PENDING', U1, O2],
    DELETED: ['superseded', 'DELETED', null, O2],
  },
  'same moment, delete': {
    none: ['applied', 'DELETED', null],
    ACTIVE: ['applied', 'DELETED', null],
    UNRESOLVED: ['applied', 'DELETED', null],
    ORPHANED: ['applied', 'DELETED', null],
    PENDING: ['applied', 'DELETED', null],
    DELETED: ['echo', 'DELETED', null],
  },
  'older creation of before': {
    none: ['applied', 'ACTIVE', O2],
    ACTIVE: ['superseded', 'ACTIVE', U1, O2],
    UNRESOLVED: ['applied', 'ACTIVE', cid(updated, second), O2],
    ORPHANED: ['superseded', 'ORPHANED', U1, O2],
    PENDING: ['superseded', 'PENDING', U1, O2],
    DELETED: ['superseded', 'DELETED', null, O2],
  },
  'the creation itself': {
    none: ['applied', 'ACTIVE', C1],
    ACTIVE: ['superseded', 'ACTIVE', U1, C1],
    UNRESOLVED: ['applied', 'ACTIVE', U1, C1],
    ORPHANED: ['superseded', 'ORPHANED', U1, C1],
    PENDING: ['superseded', 'PENDING', U1, C1],
    DELETED: ['superseded', 'DELETED', null, C1],
  },
  'older update of this creation': {
    none: ['applied', 'UNRESOLVED', null],
    ACTIVE: ['superseded', 'ACTIVE', U1, O1],
    UNRESOLVED: ['superseded', 'UNRESOLVED', null],
    ORPHANED: ['superseded', 'ORPHANED', U1, O1],
    PENDING: ['superseded', 'PENDING', U1, O1],
    DELETED: ['superseded', 'DELETED', null, O1],
  },
  'older update of before': {
    none: ['applied', 'UNRESOLVED', null],
    // Its RequestId is not known: that CID cannot be computed.
    ACTIVE: ['superseded', 'ACTIVE', U1],
    UNRESOLVED: ['superseded', 'UNRESOLVED', null],
    ORPHANED: ['superseded', 'ORPHANED', U1],
    PENDING: ['superseded', 'PENDING', U1],
    DELETED: ['superseded', 'DELETED', null],
  },
  'older update of before, own RequestId': {
    none: ['applied', 'ACTIVE', O2],
    ACTIVE: ['superseded', 'ACTIVE', U1, O2],
    // Nothing is known of a later creation: its RequestId is the one in force.
    UNRESOLVED: ['applied', 'ACTIVE', cid(updated, second), O2],
    ORPHANED: ['superseded', 'ORPHANED', U1, O2],
    PENDING: ['superseded', 'PENDING', U1, O2],
    DELETED: ['superseded', 'DELETED', null, O2],
  },
  'older update, other RequestId': {
    none: ['applied', 'ACTIVE', O2],
    ACTIVE: 'dead',
    UNRESOLVED: ['applied', 'ACTIVE', cid(updated, second), O2],
    ORPHANED: 'dead',
    PENDING: 'dead',
    DELETED: 'dead',
  },
  'older delete': {
    none: ['applied', 'DELETED', null],
    ACTIVE: ['superseded', 'ACTIVE', U1],
    UNRESOLVED: ['superseded', 'UNRESOLVED', null],
    ORPHANED: ['superseded', 'ORPHANED', U1],
    PENDING: ['superseded', 'PENDING', U1],
    DELETED: ['echo', 'DELETED', null],
  },
};

// The keys of a record written out above; Object.keys only knows them as text.
const eventNames = Object.keys(table) as (keyof typeof table)[];
// Likewise.
const stateNames = Object.keys(states) as (keyof typeof states)[];

describe('an event and the state of its key (states x events)', () => {
  for (const eventName of eventNames) {
    for (const stateName of stateNames) {
      it(`${stateName}: ${eventName}`, () => {
        const expected = table[eventName][stateName];
        const transition = transitionOf(states[stateName], eventTable[eventName], 'dict');
        if (transition.outcome === 'dead' || expected === 'dead') {
          assert.equal(transition.outcome, expected === 'dead' ? 'dead' : expected[0]);
          return;
        }
        const { next, history } = transition;
        const seen = [transition.outcome, next.status, next.cid === null ? null : cidToHex(next.cid)];
        assert.deepEqual(seen, expected.slice(0, 3));
        assert.equal(history === null ? undefined : cidToHex(history), expected[3]);
      });
    }
  }

  it('leaves a tombstone that knows when, and which creation it ended, and nothing else', () => {
    const { entry, cid: none, occurredAt, requestId, requestIdSince, registeredAt } = states.DELETED;
    assert.deepEqual([entry, none, registeredAt], [null, null, null]);
    assert.deepEqual([occurredAt, requestId, requestIdSince], [at(20), first, at(10)]);
  });

  it('takes the time of an echo, so that what came before it stays before it', () => {
    const echoed = apply(active, event('key.updated', 30, updated));
    const late = transitionOf(echoed, event('key.updated', 25, other), 'dict');
    assert.equal(late.outcome, 'superseded');
  });

  it('keeps a RequestId that an import or a repair brought without its time against older creations', () => {
    const imported = { ...active, requestIdSince: null, eventAction: null } satisfies KeyState;
    const late = transitionOf(imported, event('key.created', 15, other, second), 'dict');
    assert.equal(late.outcome, 'superseded');
  });

  it('names both RequestIds where an update contradicts the base', () => {
    const dead = transitionOf(active, eventTable['newer update, other RequestId'], 'dict');
    assert.ok(dead.outcome === 'dead');
    assert.match(dead.detail, new RegExp(`^request_id: ${second} differs from ${first}`));
  });
});

/** What must not depend on the order of arrival. */
function essence(state: KeyState): unknown {
  const { status, entry, requestId, occurredAt } = state;
  return { status, entry, requestId, occurredAt, cid: state.cid === null ? null : cidToHex(state.cid) };
}

interface Life {
  readonly updates: readonly number[];
  readonly deleted: boolean;
}

/** The events of a key that was created, updated and deleted several times; the updates of a life may share their moments. */
function eventsOf(lives: readonly Life[]): ChangeEvent[] {
  const all: ChangeEvent[] = [];
  let minute = 0;
  for (const [index, { updates, deleted }] of lives.entries()) {
    minute += 1;
    const requestId = `5a1e0b5e-0000-4000-8000-00000000001${index}`;
    all.push(event('key.created', minute, withAccount(String(100 + index)), requestId));
    for (const step of updates) {
      minute += step;
      all.push(event('key.updated', minute, withAccount(String(200 + all.length))));
    }
    if (deleted || index < lives.length - 1) all.push(event('key.deleted', minute, created));
  }
  return all;
}

const lives = fc.array(
  fc.record({ updates: fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 3 }), deleted: fc.boolean() }),
  { minLength: 1, maxLength: 3 },
);

describe('whole lives of a key', () => {
  it('end in the same state in whatever order, and however often, their events arrive', () => {
    const deliveries = lives.map(eventsOf).chain((all) =>
      fc.record({
        all: fc.constant(all),
        delivered: fc
          .tuple(fc.shuffledSubarray(all, { minLength: all.length }), fc.shuffledSubarray(all))
          .map((both) => both.flat()),
      }),
    );
    fc.assert(
      fc.property(deliveries, ({ all, delivered }) => {
        assert.deepEqual(essence(apply(null, ...delivered)), essence(apply(null, ...all)));
      }),
      { numRuns: 2_000 },
    );
  });

  it('know the CID of every creation, whatever the order', () => {
    const shuffled = lives.map(eventsOf).chain((all) => fc.shuffledSubarray(all, { minLength: all.length }));
    fc.assert(
      fc.property(shuffled, (delivered) => {
        const met = new Set<string>();
        let state: KeyState | null = null;
        for (const one of delivered) {
          const transition = transitionOf(state, one, 'dict');
          assert.ok(transition.outcome !== 'dead');
          state = transition.next;
          if (state.cid !== null) met.add(cidToHex(state.cid));
          if (transition.history !== null) met.add(cidToHex(transition.history));
        }
        for (const one of delivered) {
          if (one.action === 'key.created' && one.requestId !== null) assert.ok(met.has(cid(one.entry, one.requestId)));
        }
      }),
      { numRuns: 500 },
    );
  });
});
