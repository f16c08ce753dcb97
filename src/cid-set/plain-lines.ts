/** Plain lines of CIDs (64 hex digits and a line feed), taken one after the other as long as they are plain. */

import { asCid, CID_BYTES, type Cid } from '../cid/cid.ts';

const digitsInLine = 2 * CID_BYTES;
export const PLAIN_LINE_BYTES = digitsInLine + 1;
const lineFeed = 0x0a;
const invalid = 255;

/** Value of a hex digit by its character code. */
const digits = new Uint8Array(256).fill(invalid);
for (let value = 0; value < 16; value++) {
  const digit = value.toString(16);
  digits[digit.charCodeAt(0)] = value;
  digits[digit.toUpperCase().charCodeAt(0)] = value;
}

const scratch = asCid(new Uint8Array(CID_BYTES));

/** Reads 64 hex digits into `cid`; whether they are. */
export function readDigits(bytes: Uint8Array, start: number, cid: Uint8Array): boolean {
  let wrong = 0;
  for (let at = 0; at < CID_BYTES; at++) {
    const high = digits[bytes[start + 2 * at] ?? 0] ?? invalid;
    const low = digits[bytes[start + 2 * at + 1] ?? 0] ?? invalid;
    wrong |= high | low;
    cid[at] = (high << 4) | low;
  }
  return wrong < 16;
}

/** Calls `onCid` for each plain line from `start` on, with one buffer used again; answers where the first line that is not begins. */
export function takePlainLines(bytes: Uint8Array, start: number, onCid: (cid: Cid) => void): number {
  let at = start;
  while (at + PLAIN_LINE_BYTES <= bytes.length && bytes[at + digitsInLine] === lineFeed && readDigits(bytes, at, scratch)) {
    onCid(scratch);
    at += PLAIN_LINE_BYTES;
  }
  return at;
}
