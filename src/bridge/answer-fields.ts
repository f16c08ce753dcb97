/**
 * Reads the fields of an answer: by name, in any order, unknown elements ignored. A field that is missing, malformed or there
 * twice is an `InvalidAnswer` that names the operation and the field, never its value (it may be a person's).
 */

import type { Stamp } from '../dict/api.ts';
import { DictError } from '../dict/errors.ts';
import { childOf, childrenOf, type XmlElement } from '../platform/xml.ts';

/** An element and where it stands, for error messages. */
export interface Fields {
  readonly element: XmlElement;
  readonly operation: string;
  /** HTTP status of the answer. */
  readonly status: number;
  /** Such as `GetEntryByCidResponse.Entry`. */
  readonly path: string;
}

/** The error that says what is wrong with the child `name`. */
export function invalidAnswer(fields: Fields, name: string, why: string): DictError {
  return new DictError('InvalidAnswer', fields.status, `${fields.operation}: ${fields.path}.${name} ${why}`);
}

function only(fields: Fields, name: string): XmlElement | null {
  const first = childOf(fields.element, name);
  if (first === undefined) return null;
  if (childrenOf(fields.element, name).length > 1) throw invalidAnswer(fields, name, 'is there more than once');
  return first;
}

/** The child element of that name, as fields again. */
export function section(fields: Fields, name: string): Fields {
  const element = only(fields, name);
  if (element === null) throw invalidAnswer(fields, name, 'is missing');
  return { ...fields, element, path: `${fields.path}.${name}` };
}

/** All elements `item` inside the child `list`; none when the list is absent. */
export function sections(fields: Fields, list: string, item: string): readonly Fields[] {
  const element = only(fields, list);
  if (element === null) return [];
  return childrenOf(element, item).map((child, index) => ({
    ...fields,
    element: child,
    path: `${fields.path}.${list}.${item}[${index}]`,
  }));
}

/** The text exactly as it came, blanks included: it may be hashed. Null when absent or empty. */
export function verbatimOrNull(fields: Fields, name: string): string | null {
  const element = only(fields, name);
  if (element === null) return null;
  if (element.children.length > 0) throw invalidAnswer(fields, name, 'holds elements where text belongs');
  return element.text === '' ? null : element.text;
}

/** The same where there must be one. */
export function verbatim(fields: Fields, name: string): string {
  const text = verbatimOrNull(fields, name);
  if (text === null) throw invalidAnswer(fields, name, 'is missing or empty');
  return text;
}

/** Text whose outer blanks mean nothing: numbers, times, digests, names from a list. */
export function tokenOrNull(fields: Fields, name: string): string | null {
  const text = verbatimOrNull(fields, name)?.trim() ?? '';
  return text === '' ? null : text;
}

/** The same where there must be one. */
export function token(fields: Fields, name: string): string {
  const text = tokenOrNull(fields, name);
  if (text === null) throw invalidAnswer(fields, name, 'is missing or empty');
  return text;
}

function optional<T>(fields: Fields, name: string, read: (text: string) => T | null, form: string): T | null {
  const text = tokenOrNull(fields, name);
  if (text === null) return null;
  const value = read(text);
  if (value === null) throw invalidAnswer(fields, name, `is not ${form}`);
  return value;
}

function required<T>(fields: Fields, name: string, read: (text: string) => T | null, form: string): T {
  const value = optional(fields, name, read, form);
  if (value === null) throw invalidAnswer(fields, name, 'is missing or empty');
  return value;
}

const HEX = /^[0-9a-fA-F]{64}$/;
const DIGEST_FORM = '64 hex digits';
const digest = (text: string): string | null => (HEX.test(text) ? text.toLowerCase() : null);

/** 64 hex digits in either case, lower-case here. */
export function hex64(fields: Fields, name: string): string {
  return required(fields, name, digest, DIGEST_FORM);
}

/** The same, or null when it is absent. */
export function hex64OrNull(fields: Fields, name: string): string | null {
  return optional(fields, name, digest, DIGEST_FORM);
}

const DATE_TIME = /^(\d{4})-(\d{2})-(\d{2})T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/;
const TIME_FORM = 'a time such as 2020-01-10T10:00:00.000Z';

/** A time with its zone, or null when the text is none. Below a millisecond it is cut off. */
function parseTime(text: string): Date | null {
  const parts = DATE_TIME.exec(text);
  if (parts === null) return null;
  // Date.parse takes 30 February for 1 March.
  const day = new Date(Date.UTC(Number(parts[1]), Number(parts[2]) - 1, Number(parts[3])));
  if (day.getUTCDate() !== Number(parts[3])) return null;
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? null : time;
}

/** A time with its zone. */
export function time(fields: Fields, name: string): Date {
  return required(fields, name, parseTime, TIME_FORM);
}

/** A time, or null when it is absent. */
export function timeOrNull(fields: Fields, name: string): Date | null {
  return optional(fields, name, parseTime, TIME_FORM);
}

const COUNT_FORM = 'a whole number of at most 15 digits';
const whole = (text: string): number | null => (/^[0-9]{1,15}$/.test(text) ? Number(text) : null);

/** A count that fits a number exactly. */
export function count(fields: Fields, name: string): number {
  return required(fields, name, whole, COUNT_FORM);
}

/** A count, or null when it is absent. */
export function countOrNull(fields: Fields, name: string): number | null {
  return optional(fields, name, whole, COUNT_FORM);
}

/** An Id as text: it may exceed what a number holds. Leading zeros are dropped, so that equal Ids are equal texts. */
export function id(fields: Fields, name: string): string {
  return required(
    fields,
    name,
    (text) => (/^[0-9]{1,38}$/.test(text) ? text.replace(/^0+(?=[0-9])/, '') : null),
    'a whole number',
  );
}

const booleans: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false],
]);

/** `true` or `false`, also as `1` or `0`. */
export function flag(fields: Fields, name: string): boolean {
  const read = (text: string): boolean | null => booleans.get(text) ?? null;
  return required(fields, name, read, 'true or false');
}

/** One of a closed list: what cannot be understood is refused by name, never guessed. */
export function oneOf<T extends string>(fields: Fields, name: string, known: readonly T[]): T {
  const text = token(fields, name);
  const value = known.find((candidate) => candidate === text);
  if (value === undefined) throw invalidAnswer(fields, name, `is not one of ${known.join(', ')}`);
  return value;
}

/** DICT's clock and correlation, as nearly every answer carries them. */
export function stamp(answer: Fields): Stamp {
  return { responseTime: time(answer, 'ResponseTime'), correlationId: token(answer, 'CorrelationId') };
}

/** The answer must be about what was asked. */
export function sameAs(fields: Fields, name: string, got: string, asked: string): void {
  if (got !== asked) throw invalidAnswer(fields, name, 'is not the one that was asked for');
}
