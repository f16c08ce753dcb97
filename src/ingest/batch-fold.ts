/**
 * A batch of events folded key by key onto the stored states: what has to be written in the end. Pure. Events of one key are taken in
 * the order in which they occurred, so that most reordering within a batch leaves no trace.
 */

import type { Cid, CidAlgorithm } from '../cid/cid.ts';
import type { KeyType } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';
import type { CoreState } from '../ledger/core-correction.ts';
import type { CidTransition } from '../vsync/vsync-store.ts';
import type { ChangeEvent } from './entry-transition.ts';
import { rankOf, transitionOf } from './entry-transition.ts';
import type { EventOutcome } from './event-inbox.ts';
import type { KeyState, PlacedEntry } from './stored-entry.ts';
import { activeCid } from './stored-entry.ts';

/** An event's outcome; `dead` with the reason. */
export interface FoldedEvent<Event extends ChangeEvent> {
  readonly event: Event;
  readonly outcome: EventOutcome;
  readonly dead: { readonly reason: 'request_id_conflict'; readonly detail: string } | null;
}

/** The events of one key, as they came. */
export interface KeyGroup<Event extends ChangeEvent> {
  readonly participant: Participant;
  readonly keyType: KeyType;
  readonly key: string;
  readonly events: readonly Event[];
}

/** What became of one key. */
export interface FoldedKey {
  readonly participant: Participant;
  readonly keyType: KeyType;
  /** Where its row lies; null where it has none yet. */
  readonly place: string | null;
  /** The state to be written, or null where the stored one stays as it is. */
  readonly next: KeyState | null;
  readonly transitions: readonly CidTransition[];
  /** What the core showed of the key last, or null where it showed nothing that is in force. */
  readonly coreState: CoreState | null;
}

export interface Fold<Event extends ChangeEvent> {
  readonly events: readonly FoldedEvent<Event>[];
  /** In the order of the groups. */
  readonly keys: readonly FoldedKey[];
}

function inOrder(a: ChangeEvent, b: ChangeEvent): number {
  const byTime = a.occurredAt.getTime() - b.occurredAt.getTime() || rankOf(a) - rankOf(b);
  if (byTime !== 0) return byTime;
  return a.eventId < b.eventId ? -1 : 1;
}

function same(a: Cid | null, b: Cid | null): boolean {
  return a === b || (a !== null && b !== null && Buffer.compare(a, b) === 0);
}

/** Net effect on the VSync, and every CID met on the way. */
function transitionsOf(key: string, before: KeyState | null, after: KeyState | null, met: readonly Cid[]): CidTransition[] {
  const removed = activeCid(before);
  const added = activeCid(after);
  const transitions: CidTransition[] = [];
  if (!same(removed, added)) {
    if (removed !== null) transitions.push({ change: 'removed', cid: removed, key });
    if (added !== null) transitions.push({ change: 'added', cid: added, key });
  }
  const past = met.filter(
    (cid, at) => !same(cid, removed) && !same(cid, added) && !met.slice(0, at).some((one) => same(one, cid)),
  );
  for (const cid of past) transitions.push({ change: 'history', cid, key });
  return transitions;
}

/** Null where it says nothing about what the core was told: without RequestId nobody can tell, and an orphan is not in force. */
function coreStateOf(state: KeyState): CoreState | null {
  if (state.status !== 'ACTIVE' && state.status !== 'DELETED') return null;
  return { participant: state.participant, key: state.key, cid: state.cid };
}

function foldKey<Event extends ChangeEvent>(
  placed: PlacedEntry | null,
  events: readonly Event[],
  algorithm: CidAlgorithm,
  folded: FoldedEvent<Event>[],
): FoldedKey | null {
  const stored = placed?.stored ?? null;
  let state: KeyState | null = stored;
  let inForce = false;
  const met: Cid[] = [];
  for (const event of events.length > 1 ? events.toSorted(inOrder) : events) {
    const transition = transitionOf(state, event, algorithm);
    if (transition.outcome === 'dead') {
      folded.push({ event, outcome: 'dead', dead: { reason: transition.reason, detail: transition.detail } });
      continue;
    }
    folded.push({ event, outcome: transition.outcome, dead: null });
    if (transition.history !== null) met.push(transition.history);
    state = transition.next;
    if (state.cid !== null) met.push(state.cid);
    if (transition.outcome !== 'superseded') inForce = true;
  }
  if (state === null) return null;
  const { participant, key, keyType } = state;
  const next = state === stored ? null : state;
  const coreState = inForce ? coreStateOf(state) : null;
  const place = placed?.place ?? null;
  return { participant, keyType, place, next, transitions: transitionsOf(key, stored, state, met), coreState };
}

/** Events by their keys, in the order of the primary key, so that neighbours in an index are touched one after the other. */
export function groupByKey<Event extends ChangeEvent>(events: readonly Event[]): KeyGroup<Event>[] {
  const groups = new Map<string, KeyGroup<Event> & { readonly events: Event[] }>();
  for (const event of events) {
    const { participant, keyType, key } = event;
    const id = `${participant} ${keyType} ${key}`;
    const group = groups.get(id);
    if (group === undefined) groups.set(id, { participant, keyType, key, events: [event] });
    else group.events.push(event);
  }
  return [...groups.keys()].sort().flatMap((id) => groups.get(id) ?? []);
}

/** `placed`: the row of each group's key, in the same order. `algorithmOf` answers for every participant. */
export function foldGroups<Event extends ChangeEvent>(
  groups: readonly KeyGroup<Event>[],
  placed: readonly (PlacedEntry | null)[],
  algorithmOf: (participant: Participant) => CidAlgorithm,
): Fold<Event> {
  const events: FoldedEvent<Event>[] = [];
  const keys: FoldedKey[] = [];
  for (const [at, group] of groups.entries()) {
    const foldedKey = foldKey(placed[at] ?? null, group.events, algorithmOf(group.participant), events);
    if (foldedKey !== null) keys.push(foldedKey);
  }
  return { events, keys };
}
