/** An entry that stands by itself, as in an existing base that is imported: the same rules as for the payload of an event. */

import { entryStateOf, isFields, payloadOf } from './entry-payload.ts';
import { FieldProblem, shown } from './field.ts';
import type { EntryState, InvalidReason } from './key-event.ts';

export type DecodedEntry =
  | { readonly valid: true; readonly state: EntryState }
  | { readonly valid: false; readonly reason: InvalidReason; readonly detail: string };

/** The entry of these fields, flat or nested. */
export function decodeEntry(fields: unknown): DecodedEntry {
  try {
    if (!isFields(fields)) throw new FieldProblem('not_an_object', `entry: ${shown(fields, true)} is not an object`);
    if ('action' in fields && 'payload' in fields) {
      throw new FieldProblem('not_an_object', 'entry: this is an event (action, payload), not an entry; "ingest" takes events');
    }
    return { valid: true, state: entryStateOf(payloadOf(fields)) };
  } catch (cause) {
    if (cause instanceof FieldProblem) return { valid: false, reason: cause.reason, detail: cause.message };
    throw cause;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true });
const byteOrderMark = 0xfeff;

/** The entry in one line of NDJSON. */
export function decodeEntryLine(bytes: Uint8Array): DecodedEntry {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return notJson('it is not UTF-8', bytes.length);
  }
  return decodeEntryText(text, bytes.length);
}

/** The same of a line that is known to be UTF-8, as a text; `lineBytes`: its length. */
export function decodeEntryText(text: string, lineBytes: number): DecodedEntry {
  let fields: unknown;
  try {
    fields = JSON.parse(text.charCodeAt(0) === byteOrderMark ? text.slice(1) : text);
  } catch {
    return notJson('it cannot be parsed', lineBytes);
  }
  return decodeEntry(fields);
}

function notJson(why: string, lineBytes: number): DecodedEntry {
  return { valid: false, reason: 'not_json', detail: `entry: not a JSON object (${why}; ${lineBytes} bytes)` };
}
