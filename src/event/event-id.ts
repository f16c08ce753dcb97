/** The id of an event whose sender gave none: the same content has the same id, whatever the order of its fields. */

import { hash } from 'node:crypto';

/** JSON with the fields of every object in order of their names. */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonicalJson(field)}`).join(',')}}`;
}

/** SHA-256 of action, canonical payload and time, in hex. */
export function derivedEventId(action: string, payload: unknown, occurredAt: Date): string {
  return hash('sha256', canonicalJson([action, payload, occurredAt.toISOString()]), 'hex');
}
