/**
 * From the bytes of one event to a `KeyEvent`, or to the reason why it is none. Nothing is thrown for bad input and nothing is
 * corrected: who receives an `InvalidEvent` keeps the bytes as a dead letter.
 */

import type { Participant } from '../dict/participant.ts';
import { isParticipant } from '../dict/participant.ts';
import { unreachable } from '../platform/assert.ts';
import type { Payload } from './entry-payload.ts';
import { entryStateOf, isFields, keyOf, participantOf, payloadOf } from './entry-payload.ts';
import { derivedEventId } from './event-id.ts';
import type { TextRule } from './field.ts';
import { FieldProblem, optionalText, requiredInstant, shown } from './field.ts';
import type { DecodedEvent, EventAction, InvalidEvent, InvalidReason, KeyEvent } from './key-event.ts';
import { EVENT_ACTIONS } from './key-event.ts';

export interface DecodingLimits {
  /** An event later than this is refused: it would win over everything that happens to its key until then. */
  readonly occurredAtMax: Date;
}

const identifier: TextRule = {
  pattern: /^[^\p{Cc}\p{Cs}]+$/u,
  charactersMax: 200,
  description: 'a text of 1 to 200 printable characters',
};
const hexCid: TextRule = { pattern: /^[0-9a-f]{64}$/i, description: 'a CID: 64 hex digits' };

/** Decodes UTF-8 strictly: bytes that are none would otherwise be replaced, and hashed as what nobody sent. */
const utf8 = new TextDecoder('utf-8', { fatal: true });

function invalid(reason: InvalidReason, detail: string, about: Partial<InvalidEvent> = {}): InvalidEvent {
  return { valid: false, reason, detail, eventId: about.eventId ?? null, participant: about.participant ?? null };
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch (cause) {
    // The parser's own message quotes the text, which may hold personal data.
    const why = cause instanceof SyntaxError ? 'it cannot be parsed' : 'it is not UTF-8';
    throw new FieldProblem('not_json', `event: not a JSON object (${why}; ${bytes.length} bytes)`);
  }
}

function actionOf(value: unknown): EventAction {
  const action = EVENT_ACTIONS.find((known) => known === value);
  if (action !== undefined) return action;
  const given = value === undefined ? 'missing; it must be' : `${shown(value, false)} is not`;
  throw new FieldProblem(
    value === undefined ? 'missing_field' : 'unknown_action',
    `action: ${given} one of ${EVENT_ACTIONS.join(', ')}`,
  );
}

function eventOf(
  action: EventAction,
  payload: Payload,
  base: Pick<KeyEvent, 'eventId' | 'occurredAt' | 'correlationId'>,
): KeyEvent {
  switch (action) {
    case 'key.created':
    case 'key.updated': {
      const state = entryStateOf(payload);
      const { key, keyType, account } = state.entry;
      return { ...base, ...state, action, participant: account.participant, key, keyType };
    }
    case 'key.deleted':
      return { ...base, action, participant: participantOf(payload), ...keyOf(payload, false) };
    case 'core.acknowledged':
      return {
        ...base,
        action,
        participant: participantOf(payload),
        ...keyOf(payload, false),
        cid: optionalText(payload('cid'), hexCid)?.toLowerCase() ?? null,
      };
    default:
      return unreachable(action);
  }
}

/** Who an event is of, as far as it can be read although something about it is wrong. */
function readableParticipant(payload: Payload): Participant | null {
  const { value } = payload('ispb');
  return typeof value === 'string' && isParticipant(value) ? value : null;
}

function readableEventId(value: unknown): string | null {
  return typeof value === 'string' && value.length <= 200 && identifier.pattern.test(value) ? value : null;
}

/** The event in these bytes of JSON. */
export function decodeEvent(bytes: Uint8Array, limits: DecodingLimits): DecodedEvent {
  let about: Partial<InvalidEvent> = {};
  try {
    const fields = parse(bytes);
    if (!isFields(fields)) throw new FieldProblem('not_an_object', `event: ${shown(fields, true)} is not a JSON object`);
    about = { eventId: readableEventId(fields['event_id']) };
    const action = actionOf(fields['action']);
    const occurredAt = requiredInstant({ label: 'occurred_at', value: fields['occurred_at'] });
    if (!isFields(fields['payload'])) {
      const given = fields['payload'] === undefined ? 'missing; it must be' : `${shown(fields['payload'], true)} is not`;
      throw new FieldProblem('missing_field', `payload: ${given} an object`);
    }
    const payload = payloadOf(fields['payload']);
    about = { ...about, participant: readableParticipant(payload) };
    if (occurredAt.getTime() > limits.occurredAtMax.getTime()) {
      const most = limits.occurredAtMax.toISOString();
      throw new FieldProblem(
        'time_in_future',
        `occurred_at: ${occurredAt.toISOString()} is later than ${most}; is a clock wrong?`,
      );
    }
    const eventId = optionalText({ label: 'event_id', value: fields['event_id'] }, identifier);
    const correlationId = optionalText({ label: 'correlation_id', value: fields['correlation_id'] }, identifier);
    const base = { eventId: eventId ?? derivedEventId(action, fields['payload'], occurredAt), occurredAt, correlationId };
    return { valid: true, event: eventOf(action, payload, base) };
  } catch (cause) {
    if (cause instanceof FieldProblem) return invalid(cause.reason, cause.message, about);
    throw cause;
  }
}
