/**
 * What the participant's core system tells about its keys, decoded and found to be well formed. Whether an event changes
 * anything is decided by `src/ingest/`, against the state of its key.
 */

import type { Entry } from '../dict/entry.ts';
import type { KeyType } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';

export const EVENT_ACTIONS = ['key.created', 'key.updated', 'key.deleted', 'core.acknowledged'] as const;
export type EventAction = (typeof EVENT_ACTIONS)[number];

interface EventBase {
  /** The sender's, or derived from the content (see event-id.ts): the same event always has the same id. */
  readonly eventId: string;
  /** When it happened at its source, to the millisecond. */
  readonly occurredAt: Date;
  readonly correlationId: string | null;
  readonly participant: Participant;
  readonly key: string;
  readonly keyType: KeyType;
}

/** What a key's entry is, and where it came from. */
export interface EntryState {
  readonly entry: Entry;
  /** RequestId of the creation that the state belongs to, as a lower-case UUID; null where the sender gave none. */
  readonly requestId: string | null;
  /** When DICT registered the entry. */
  readonly registeredAt: Date | null;
  /** When the participant registered the entry. */
  readonly participantRegisteredAt: Date | null;
}

/** The key has a new entry (creation, or a claim completed in the participant's favour). */
export interface KeyCreated extends EventBase, EntryState {
  readonly action: 'key.created';
}

/** The key's entry has other account or owner data. Keeps the RequestId of its creation. */
export interface KeyUpdated extends EventBase, EntryState {
  readonly action: 'key.updated';
}

/** The participant no longer holds the key. */
export interface KeyDeleted extends EventBase {
  readonly action: 'key.deleted';
}

/** The core has carried out a correction that it was told of. */
export interface CoreAcknowledged extends EventBase {
  readonly action: 'core.acknowledged';
  /** CID of the entry that the core now holds, 64 lower-case hex digits; null: whatever it was told last. */
  readonly cid: string | null;
}

export type KeyEvent = KeyCreated | KeyUpdated | KeyDeleted | CoreAcknowledged;

/** Why an event was not accepted. The names stand in `event_dead_letters.reason`. */
export type InvalidReason =
  | 'line_too_long'
  | 'not_json'
  | 'not_an_object'
  | 'unknown_action'
  | 'missing_field'
  | 'invalid_field'
  | 'time_in_future';

/** `detail` names the field, what was given (the shape only, where it may be personal data) and what would be right. */
export interface InvalidEvent {
  readonly valid: false;
  readonly reason: InvalidReason;
  readonly detail: string;
  /** As far as they could be read. */
  readonly eventId: string | null;
  readonly participant: Participant | null;
}

export type DecodedEvent = { readonly valid: true; readonly event: KeyEvent } | InvalidEvent;
