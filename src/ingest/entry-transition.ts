/**
 * What an event does to its key: a pure function of the stored state and the event. Two things are remembered of a key, each
 * the latest of its kind whatever order events arrive in: the present (what it is) and the creation in force (whose RequestId its
 * CID is made with). Events of one millisecond: a delete beats an update, an update a creation; among equals the greater content.
 *
 * Left out: an older delete does not reach back. A key whose update came before the delete and re-creation that precede it
 * keeps the RequestId it had until that creation arrives, and then takes the new one.
 */

import type { Cid, CidAlgorithm } from '../cid/cid.ts';
import { cidToHex } from '../cid/cid.ts';
import type { Entry } from '../dict/entry.ts';
import type { EntryState, KeyCreated, KeyDeleted, KeyUpdated } from '../event/key-event.ts';
import { assert } from '../platform/assert.ts';
import type { KeyState } from './stored-entry.ts';
import { cidOfState } from './stored-entry.ts';

/** A key as an existing base had it at `occurredAt` (`import --as-of`): the present, unless something later is known. */
export interface KeyImported extends Omit<KeyCreated, 'action'>, EntryState {
  readonly action: 'base.imported';
}

/** What changes a key. */
export type ChangeEvent = KeyCreated | KeyUpdated | KeyDeleted | KeyImported;

/**
 * `applied`: the present is another. `echo`: the present is what the event says already (its time may have moved on).
 * `superseded`: the event is older than the present; at most history knows of it. `dead`: it contradicts the base.
 */
export type EntryTransition =
  | {
      readonly outcome: 'applied' | 'echo' | 'superseded';
      readonly next: KeyState;
      /** A CID that the event stands for and that is not the present's. */
      readonly history: Cid | null;
    }
  | { readonly outcome: 'dead'; readonly reason: 'request_id_conflict'; readonly detail: string };

/** The creation in force: its RequestId and since when, as far as known. */
interface Creation {
  readonly requestId: string | null;
  readonly since: Date | null;
}

const ranks = { 'base.imported': 0, 'key.created': 1, 'key.updated': 2, 'key.deleted': 3 } as const;

/** What of two things of the same instant comes later: the greater. */
export function rankOf(event: ChangeEvent): number {
  return ranks[event.action];
}

/** What decides between states of the same instant and action: any fixed order will do, so that all orders of arrival agree. */
function contentOf(entry: Entry | null): string {
  if (entry === null) return '';
  const { account, owner } = entry;
  return JSON.stringify([
    [account.branch, account.accountNumber, account.accountType, account.openingDate],
    [owner.type, owner.taxIdNumber, owner.name, owner.tradeName],
  ]);
}

/** Above 0: the event is later than the state; 0: it is what the state came from, or says the same. */
function precedence(state: KeyState, event: ChangeEvent): number {
  const ms = event.occurredAt.getTime() - state.occurredAt.getTime();
  if (ms !== 0) return ms;
  const rank = rankOf(event) - ranks[state.eventAction ?? 'base.imported'];
  if (rank !== 0) return rank;
  const mine = contentOf(state.entry);
  const theirs = contentOf(event.action === 'key.deleted' ? null : event.entry);
  if (mine === theirs) return 0;
  return theirs > mine ? 1 : -1;
}

function isBefore(time: Date, since: Date | null): boolean {
  return since !== null && time.getTime() < since.getTime();
}

/** The creation in force once this creation is known too. */
function afterCreated(known: Creation, event: KeyCreated | KeyImported, ended: boolean): Creation {
  const created = { requestId: event.requestId, since: event.occurredAt };
  if (known.since === null) return created;
  if (event.requestId !== null && event.requestId === known.requestId) {
    return isBefore(event.occurredAt, known.since) ? created : known;
  }
  if (isBefore(event.occurredAt, known.since)) return known;
  // Only when neither event nor base has a RequestId is a key unresolved; a deleted key's belongs to what was deleted.
  if (event.requestId === null && known.requestId !== null && !ended) return known;
  if (event.occurredAt.getTime() > known.since.getTime()) return created;
  return (event.requestId ?? '') > (known.requestId ?? '') ? created : known;
}

/** The creation in force once this update, not older than it, is known too. */
function afterUpdated(known: Creation, event: KeyUpdated, ended: Date | null): Creation {
  // A deleted key's RequestId is spent: what is updated afterwards was created in between.
  if (ended !== null) return { requestId: event.requestId, since: ended };
  if (event.requestId === null || event.requestId === known.requestId) return known;
  return { requestId: event.requestId, since: known.since ?? event.occurredAt };
}

function conflict(known: Creation, event: KeyUpdated, ended: boolean): EntryTransition | null {
  if (ended || event.requestId === null || known.requestId === null || event.requestId === known.requestId) return null;
  if (isBefore(event.occurredAt, known.since)) return null;
  const since = known.since === null ? '' : ` since ${known.since.toISOString()}`;
  const detail = `request_id: ${event.requestId} differs from ${known.requestId}, which this key has${since}; an update keeps it`;
  return { outcome: 'dead', reason: 'request_id_conflict', detail };
}

/** A RequestId that came without its time (by import or repair) is at least as old as the state it came with. */
function knownCreation(state: KeyState | null): Creation {
  if (state === null) return { requestId: null, since: null };
  const { requestId } = state;
  return { requestId, since: state.requestIdSince ?? (requestId === null ? null : state.occurredAt) };
}

type CreationResult = Creation | { readonly dead: EntryTransition };

/** `newer`: whether the event is later than the present. */
function creationAfter(state: KeyState | null, event: ChangeEvent, newer: boolean): CreationResult {
  const known = knownCreation(state);
  const endedAt = newer && state?.status === 'DELETED' ? state.occurredAt : null;
  switch (event.action) {
    case 'key.deleted':
      return known;
    case 'key.created':
    case 'base.imported':
      return afterCreated(known, event, endedAt !== null);
    case 'key.updated': {
      const dead = conflict(known, event, endedAt !== null);
      if (dead !== null) return { dead };
      return isBefore(event.occurredAt, known.since) ? known : afterUpdated(known, event, endedAt);
    }
  }
}

type Change = Exclude<ChangeEvent, KeyDeleted>;

/** The dates of an event, or those of the creation it belongs to. */
function datesOf(state: KeyState | null, event: Change): Pick<KeyState, 'registeredAt' | 'participantRegisteredAt'> {
  const kept = event.action === 'key.updated' && state !== null && state.status !== 'DELETED' ? state : null;
  return {
    registeredAt: event.registeredAt ?? kept?.registeredAt ?? null,
    participantRegisteredAt: event.participantRegisteredAt ?? kept?.participantRegisteredAt ?? null,
  };
}

/** The CID that the event itself stands for, where the RequestId it belongs to is known. */
function ownCid(state: KeyState | null, event: Change, creation: Creation, algorithm: CidAlgorithm): Cid | null {
  const belongs = event.action === 'key.updated' && creation.since !== null && !isBefore(event.occurredAt, creation.since);
  const requestId = event.requestId ?? (belongs ? creation.requestId : null);
  if (requestId === null) return null;
  return cidOfState({ entry: event.entry, requestId, ...datesOf(state, event) }, algorithm);
}

/** A state with this content under this creation: active, or unresolved where its RequestId is not known. */
function liveState(
  origin: Omit<KeyState, 'status' | 'entry' | 'requestId' | 'cid' | 'requestIdSince'>,
  entry: Entry,
  creation: Creation,
  algorithm: CidAlgorithm,
): KeyState {
  const requestIdSince = creation.since;
  const { requestId } = creation;
  if (requestId === null) return { ...origin, requestIdSince, status: 'UNRESOLVED', entry, requestId, cid: null };
  const { registeredAt, participantRegisteredAt } = origin;
  const cid = cidOfState({ entry, requestId, registeredAt, participantRegisteredAt }, algorithm);
  return { ...origin, requestIdSince, status: 'ACTIVE', entry, requestId, cid };
}

function newerState(state: KeyState | null, event: ChangeEvent, creation: Creation, algorithm: CidAlgorithm): KeyState {
  const origin = {
    participant: event.participant,
    key: event.key,
    keyType: event.keyType,
    externalId: state?.externalId ?? null,
    syncedFrom: null,
    orphanedAt: null,
    occurredAt: event.occurredAt,
    eventAction: event.action === 'base.imported' ? null : event.action,
  };
  if (event.action !== 'key.deleted') return liveState({ ...origin, ...datesOf(state, event) }, event.entry, creation, algorithm);
  const erased = { registeredAt: null, participantRegisteredAt: null, entry: null, cid: null };
  return { ...origin, ...erased, status: 'DELETED', requestId: creation.requestId, requestIdSince: creation.since };
}

function sameCid(a: Cid | null, b: Cid | null): boolean {
  return a === b || (a !== null && b !== null && cidToHex(a) === cidToHex(b));
}

function applyNewer(state: KeyState | null, event: ChangeEvent, creation: Creation, algorithm: CidAlgorithm): EntryTransition {
  const next = newerState(state, event, creation, algorithm);
  const same =
    state !== null &&
    next.status === state.status &&
    sameCid(next.cid, state.cid) &&
    contentOf(next.entry) === contentOf(state.entry);
  return { outcome: same ? 'echo' : 'applied', next, history: null };
}

/** An older event: the present keeps its content, but a creation that it lacked gives it its RequestId. */
function applyOlder(state: KeyState, event: ChangeEvent, creation: Creation, algorithm: CidAlgorithm): EntryTransition {
  if (event.action === 'key.deleted') {
    return { outcome: state.status === 'DELETED' ? 'echo' : 'superseded', next: state, history: null };
  }
  const own = ownCid(state, event, creation, algorithm);
  const next = withCreation(state, event, creation, algorithm);
  if (!sameCid(next.cid, state.cid)) return { outcome: 'applied', next, history: sameCid(own, next.cid) ? null : own };
  if (own !== null && sameCid(own, state.cid)) return { outcome: 'echo', next, history: null };
  return { outcome: 'superseded', next, history: own };
}

function withCreation(state: KeyState, event: Change, creation: Creation, algorithm: CidAlgorithm): KeyState {
  const sameCreation = creation.requestId === state.requestId;
  const sameSince = creation.since?.getTime() === state.requestIdSince?.getTime();
  switch (state.status) {
    case 'DELETED':
      return sameCreation && sameSince ? state : { ...state, requestId: creation.requestId, requestIdSince: creation.since };
    case 'ORPHANED':
    case 'PENDING':
      // Judged with the RequestId it has; only a later event or DICT itself brings it back.
      return sameCreation && !sameSince ? { ...state, requestIdSince: creation.since } : state;
    case 'ACTIVE':
    case 'UNRESOLVED': {
      if (isBefore(event.occurredAt, creation.since)) return state;
      const registeredAt = state.registeredAt ?? event.registeredAt;
      const participantRegisteredAt = state.participantRegisteredAt ?? event.participantRegisteredAt;
      const sameDates = registeredAt === state.registeredAt && participantRegisteredAt === state.participantRegisteredAt;
      if (sameCreation && sameSince && sameDates) return state;
      return liveState({ ...state, registeredAt, participantRegisteredAt }, state.entry, creation, algorithm);
    }
  }
}

/** What the event makes of its key; `state` is null where nothing is known of the key yet. */
export function transitionOf(state: KeyState | null, event: ChangeEvent, algorithm: CidAlgorithm): EntryTransition {
  assert(
    state === null || (state.participant === event.participant && state.key === event.key && state.keyType === event.keyType),
    'an event is applied to the state of its own key',
  );
  const order = state === null ? 1 : precedence(state, event);
  const creation = creationAfter(state, event, order > 0);
  if ('dead' in creation) return creation.dead;
  if (state === null || order > 0) return applyNewer(state, event, creation, algorithm);
  return applyOlder(state, event, creation, algorithm);
}
