/**
 * Reading one field of a payload: its value in the wanted type, or a `FieldProblem` that says what is wrong with it. Problems
 * are thrown within `src/event/` only and come out of it as values. Values that may identify a person are shown by their shape.
 */

import { INSTANT_FORM, isoInstant, parseInstant } from './instant.ts';
import type { InvalidReason } from './key-event.ts';

/** What makes a payload unacceptable. */
export class FieldProblem extends Error {
  override readonly name = 'FieldProblem';
  readonly reason: InvalidReason;

  constructor(reason: InvalidReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** A field under the name that its sender used for it. */
export interface Field {
  readonly label: string;
  readonly value: unknown;
}

const shownCharacters = 60;

/** A text's shape: digits as 9, letters as a, everything else as it is. Says what is wrong without saying who it is. */
function shapeOf(text: string): string {
  return text.replace(/\p{Nd}/gu, '9').replace(/\p{L}/gu, 'a');
}

/** A value for a message: cut to a line's length; by its shape where it may identify a person. */
export function shown(value: unknown, personal: boolean): string {
  if (typeof value === 'string') {
    const text = personal ? shapeOf(value) : value;
    return JSON.stringify(text.length > shownCharacters ? `${text.slice(0, shownCharacters)}…` : text);
  }
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  return personal ? `a ${typeof value}` : `the ${typeof value} ${String(value)}`;
}

export interface TextRule {
  readonly pattern: RegExp;
  /** What would be right. */
  readonly description: string;
  /** Most characters, counted as code points; the pattern alone decides where absent. */
  readonly charactersMax?: number;
  /** Whether the value may identify a person. */
  readonly personal?: boolean;
}

/** The field's text, or null where it is absent, null or empty: a CID cannot tell these apart. */
export function optionalText(field: Field, rule: TextRule): string | null {
  const { value, label } = field;
  if (value === undefined || value === null || value === '') return null;
  const fits =
    typeof value === 'string' &&
    rule.pattern.test(value) &&
    (rule.charactersMax === undefined || value.length <= rule.charactersMax || [...value].length <= rule.charactersMax);
  if (!fits) {
    throw new FieldProblem('invalid_field', `${label}: ${shown(value, rule.personal ?? false)} is not ${rule.description}`);
  }
  return value;
}

/** The field's text; a `missing_field` where there is none. */
export function requiredText(field: Field, rule: TextRule): string {
  const text = optionalText(field, rule);
  if (text === null) throw new FieldProblem('missing_field', `${field.label}: missing; it must be ${rule.description}`);
  return text;
}

/** The field's value out of a closed list. */
export function oneOf<Value extends string>(field: Field, allowed: readonly Value[]): Value {
  for (const value of allowed) if (value === field.value) return value;
  const description = `one of ${allowed.join(', ')}`;
  if (field.value === undefined || field.value === null || field.value === '') {
    throw new FieldProblem('missing_field', `${field.label}: missing; it must be ${description}`);
  }
  throw new FieldProblem('invalid_field', `${field.label}: ${shown(field.value, false)} is not ${description}`);
}

/** The field's point in time, or null where it is absent, null or empty. */
export function optionalInstant(field: Field): Date | null {
  if (field.value === undefined || field.value === null || field.value === '') return null;
  const instant = typeof field.value === 'string' ? parseInstant(field.value) : null;
  if (instant === null) {
    throw new FieldProblem('invalid_field', `${field.label}: ${shown(field.value, false)} is not ${INSTANT_FORM}`);
  }
  return instant;
}

/** The field's point in time as `Date.toISOString` writes it; a `missing_field` where there is none. */
export function requiredIsoInstant(field: Field): string {
  const iso = typeof field.value === 'string' ? isoInstant(field.value) : null;
  // What is wrong with it is said in one place.
  return iso ?? requiredInstant(field).toISOString();
}

/** The field's point in time; a `missing_field` where there is none. */
export function requiredInstant(field: Field): Date {
  const instant = optionalInstant(field);
  if (instant === null) throw new FieldProblem('missing_field', `${field.label}: missing; it must be ${INSTANT_FORM}`);
  return instant;
}
