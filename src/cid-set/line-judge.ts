/**
 * What a line that is not 64 hex digits and a line feed means to the commands: CRLF, blanks around the digits and a byte order mark are
 * tolerated, blank lines passed over, everything else is a bad line with its reason. A CID set file of DICT is judged more strictly.
 */

import { isUtf8 } from 'node:buffer';
import { CID_BYTES, type Cid } from '../cid/cid.ts';
import type { UnusualLine } from '../vsync/cid-lines.ts';
import { readHexCid } from '../vsync/line-fold.ts';

/** The text is in an encoding that no CID could be read from: nothing of the file is used. */
export class EncodingRefused extends Error {
  override readonly name = 'EncodingRefused';

  constructor(name: string) {
    super(`${name} is UTF-16 text; CIDs are read from ASCII or UTF-8 ("iconv -f UTF-16 -t UTF-8" converts it)`);
  }
}

const digitsInLine = 2 * CID_BYTES;
const carriageReturn = 0x0d;
const shownCharacters = 80;

/** The CID, null for a blank line, or why it is neither. The CID lies in a buffer that is used again. Throws `EncodingRefused`. */
export function judgeLine({ number, bytes, length }: UnusualLine, fileName: string): Cid | null | string {
  if (number === 1 && isUtf16(bytes)) throw new EncodingRefused(fileName);
  if (length === digitsInLine || (length === digitsInLine + 1 && bytes[digitsInLine] === carriageReturn)) {
    const cid = readHexCid(bytes, 0);
    if (cid !== null) return cid;
  }
  return judgeText(bytes, length, number === 1);
}

function judgeText(bytes: Uint8Array, length: number, isFirst: boolean): Cid | null | string {
  // Blanks may be as many as they like, but not more than are kept.
  if (length > bytes.length) return `has ${length} bytes and is not a CID (64 hex digits)`;
  if (!isUtf8(bytes)) return 'is not UTF-8 text, and not a CID (64 hex digits)';
  const text = Buffer.from(bytes).toString('utf8');
  const digits = (isFirst && text.startsWith('\uFEFF') ? text.slice(1) : text).trim();
  if (digits === '') return null;
  const cid = digits.length === digitsInLine ? readHexCid(Buffer.from(digits, 'latin1'), 0) : null;
  return cid ?? `${JSON.stringify(shown(digits))} is not a CID (64 hex digits)`;
}

function isUtf16(bytes: Uint8Array): boolean {
  const mark = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
  return mark === 0xfffe || mark === 0xfeff;
}

function shown(text: string): string {
  return text.length <= shownCharacters ? text : `${text.slice(0, shownCharacters - 3)}...`;
}
