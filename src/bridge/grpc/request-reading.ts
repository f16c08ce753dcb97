/**
 * Fields of requests as the rest of the program knows them. What is wrong is refused here by the field's name, so that a client learns it
 * without a token of DICT's being spent.
 */

import type { Timestamp } from '@bufbuild/protobuf/wkt';
import type { CallOptions } from '../../dict/api.ts';
import type { KeyType } from '../../dict/key-type.ts';
import { isParticipant, type Participant } from '../../dict/participant.ts';
import { keyTypes, priorities } from './dict-words.ts';
import { RequestRefused } from './request-refusal.ts';
import { dateOf } from './timestamps.ts';

/** `participant` of a request. */
export function participantOf(request: { readonly participant: string }): Participant {
  if (isParticipant(request.participant)) return request.participant;
  throw new RequestRefused('participant', 'not an ISPB (eight digits, such as 00038166)');
}

/** A key type; `field` is its name in the proto. */
export function keyTypeOf(value: number, field: string): KeyType {
  const keyType = keyTypes.wordOf(value);
  if (keyType === null) throw new RequestRefused(field, 'no key type that this bridge knows');
  return keyType;
}

/** `priority` of a request; one that is not given or newer than this bridge is routine. */
export function priorityOf(request: { readonly priority: number }): NonNullable<CallOptions['priority']> {
  return priorities.wordOf(request.priority) ?? 'routine';
}

/** 64 hex digits, in either case. */
export function hex64Of(text: string, field: string): string {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return text.toLowerCase();
  throw new RequestRefused(field, 'not 64 hex digits');
}

/** The Id of a file: a whole number, perhaps beyond 64 bits. */
export function idOf(text: string, field: string): string {
  if (/^[0-9]{1,38}$/.test(text)) return text;
  throw new RequestRefused(field, 'not the Id of a CID set file (a whole number)');
}

/** A whole number within bounds. */
export function numberOf(value: number | bigint, field: string, min: number, max: number): number {
  const number = Number(value);
  if (number >= min && number <= max) return number;
  throw new RequestRefused(field, `not a whole number from ${min} to ${max}`);
}

/** A text of 1 to 500 characters. */
export function textOf(text: string, field: string): string {
  if (text.length >= 1 && text.length <= 500) return text;
  throw new RequestRefused(field, 'not a text of 1 to 500 characters');
}

/** A moment. */
export function momentOf(timestamp: Timestamp, field: string): Date {
  const date = dateOf(timestamp);
  if (date === null) throw new RequestRefused(field, 'not a moment that can be represented');
  return date;
}
