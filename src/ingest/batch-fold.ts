/**
 * A batch of events folded key by key onto the stored states: what has to be written in the end. Pure. Events of one key are taken in
 * the order in which they occurred, so that most reordering within a batch leaves no trace.
 */

import type { Cid, CidAlgorithm } from '../cid/cid.ts';
import { cidToHex } from '../cid/cid.ts';
import type { KeyType } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';
import type { CoreState } from '../ledger/core-correction.ts';
import type { CidTransition } from '../vsync/vsync-store.ts';
import type { ChangeEvent } from './entry-transition.ts';
import { rankOf, transitionOf } from './entry-transition.ts';
import type { EventOutcome } from './event-inbox.ts';
import type { KeyState, StoredEntry } from './stored-entry.ts';
import { activeCid } from './stored-entry.ts';

/** An event's outcome; `dead` with the reason. */
export interface FoldedEvent<Event extends ChangeEvent> {
  readonly event: Event;
  readonly outcome: EventOutcome;
  readonly dead: { readonly reason: 'request_id_conflict'; readonly detail: string } | null;
}

/** What became of one key. */
export interface FoldedKey {
  readonly participant: Participant;
  readonly keyType: KeyType;
  /** The state to be written, or null where the stored one stays as it is. */
  readonly next: KeyState | null;
  readonly transitions: readonly CidTransition[];
  /** What the core showed of the key last, or null where it showed nothing that is in force. */
  readonly coreState: CoreState | null;
}

export interface Fold<Event extends ChangeEvent> {
  readonly events: readonly FoldedEvent<Event>[];
  /** Sorted by participant and key. */
  readonly keys: readonly FoldedKey[];
}

function inOrder(a: ChangeEvent, b: ChangeEvent): number {
  const byTime = a.occurredAt.getTime() - b.occurredAt.getTime() || rankOf(a) - rankOf(b);
  if (byTime !== 0) return byTime;
  return a.eventId < b.eventId ? -1 : 1;
}

/** Net effect on the VSync, and every CID met on the way. */
function transitionsOf(key: string, before: KeyState | null, after: KeyState | null, met: readonly Cid[]): CidTransition[] {
  const removed = activeCid(before);
  const added = activeCid(after);
  const removedHex = removed === null ? '' : cidToHex(removed);
  const addedHex = added === null ? '' : cidToHex(added);
  const transitions: CidTransition[] = [];
  if (removed !== null && removedHex !== addedHex) transitions.push({ change: 'removed', cid: removed, key });
  if (added !== null && removedHex !== addedHex) transitions.push({ change: 'added', cid: added, key });
  const past = new Map(met.map((cid) => [cidToHex(cid), cid]));
  for (const [hex, cid] of past) if (hex !== removedHex && hex !== addedHex) transitions.push({ change: 'history', cid, key });
  return transitions;
}

/** Null where it says nothing about what the core was told: without RequestId nobody can tell, and an orphan is not in force. */
function coreStateOf(state: KeyState): CoreState | null {
  if (state.status !== 'ACTIVE' && state.status !== 'DELETED') return null;
  return { participant: state.participant, key: state.key, cid: state.cid };
}

function foldKey<Event extends ChangeEvent>(
  stored: StoredEntry | null,
  events: readonly Event[],
  algorithm: CidAlgorithm,
  folded: FoldedEvent<Event>[],
): FoldedKey | null {
  let state: KeyState | null = stored;
  let inForce = false;
  const met: Cid[] = [];
  for (const event of events.toSorted(inOrder)) {
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
  return { participant, keyType, next, transitions: transitionsOf(key, stored, state, met), coreState };
}

/** `stored` and `algorithmOf` answer for every participant and key of the events. */
export function foldBatch<Event extends ChangeEvent>(
  events: readonly Event[],
  stored: (participant: Participant, key: string) => StoredEntry | null,
  algorithmOf: (participant: Participant) => CidAlgorithm,
): Fold<Event> {
  const byKey = new Map<string, Event[]>();
  for (const event of events) {
    const id = `${event.participant} ${event.key}`;
    const group = byKey.get(id);
    if (group === undefined) byKey.set(id, [event]);
    else group.push(event);
  }
  const folded: FoldedEvent<Event>[] = [];
  const keys: FoldedKey[] = [];
  for (const id of [...byKey.keys()].sort()) {
    const group = byKey.get(id) ?? [];
    const [first] = group;
    if (first === undefined) continue;
    const { participant, key } = first;
    const foldedKey = foldKey(stored(participant, key), group, algorithmOf(participant), folded);
    if (foldedKey !== null) keys.push(foldedKey);
  }
  return { events: folded, keys };
}
