/** Values as the server writes them in text, read without the driver's own conversions (which take a third of ingest's time). */

import { assert } from '../assert.ts';

/** Year to second; the fraction and the zone follow. */
const secondLength = 19;

function digits(text: string, from: number, count: number): number {
  let value = 0;
  for (let at = from; at < from + count; at++) value = value * 10 + text.charCodeAt(at) - 48;
  return value;
}

/**
 * A timestamptz in the ISO style, such as `2026-03-01 12:00:00.123+00`, to the millisecond. Years before 1 and beyond 9999 are none that
 * the program writes; they break the invariant.
 */
export function instantOfText(text: string): Date {
  let at = secondLength;
  let ms = 0;
  if (text.charCodeAt(at) === 46) {
    let scale = 100;
    for (at += 1; at < text.length; at++) {
      const digit = text.charCodeAt(at) - 48;
      if (digit < 0 || digit > 9) break;
      ms += digit * scale;
      scale /= 10;
    }
  }
  const sign = text.charAt(at);
  const zone = text.length - at;
  assert((sign === '+' || sign === '-') && (zone === 3 || zone === 6 || zone === 9), `"${text}" is a time with zone`);
  const zoneMs =
    (digits(text, at + 1, 2) * 3_600 +
      (zone >= 6 ? digits(text, at + 4, 2) * 60 : 0) +
      (zone === 9 ? digits(text, at + 7, 2) : 0)) *
    1_000;
  const local = Date.UTC(
    digits(text, 0, 4),
    digits(text, 5, 2) - 1,
    digits(text, 8, 2),
    digits(text, 11, 2),
    digits(text, 14, 2),
    digits(text, 17, 2),
  );
  const time = new Date(local + Math.floor(ms) - (sign === '-' ? -zoneMs : zoneMs));
  assert(!Number.isNaN(time.getTime()), `"${text}" is a time with zone`);
  return time;
}

/** The same as `Date.toISOString` writes it. A whole second in UTC, as most are, is only put together anew: 60 ns against 900. */
export function isoOfText(text: string): string {
  const isUtcSecond = text.length === secondLength + 3 && text.endsWith('+00');
  return isUtcSecond ? `${text.slice(0, 10)}T${text.slice(11, secondLength)}.000Z` : instantOfText(text).toISOString();
}

/** A bytea in the hex style, such as `\x00ff`. */
export function bytesOfText(text: string): Buffer {
  assert(text.startsWith('\\x'), 'a bytea is written in hex');
  return Buffer.from(text.slice(2), 'hex');
}
