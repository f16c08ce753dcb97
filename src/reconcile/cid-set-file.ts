/**
 * What a CID set file may hold: 64 hex digits and a line feed each, in any order. Whatever is not of that form refuses the file
 * (rule R14): a skipped line would become a wrong repair. Upper-case digits are read as lower-case ones; the last line's feed may
 * be missing, since length and digest have proven the file to be whole.
 */

import { CID_BYTES } from '../cid/cid.ts';
import type { UnusualLine } from '../vsync/cid-lines.ts';

/** The file cannot be what DICT meant to send. It changes nothing. */
export class FileRefused extends Error {
  override readonly name = 'FileRefused';
  /** A short name: empty, truncated, digest, changed, altered at rest, malformed, duplicated, foreign, unconfirmed, implausible, too-large. */
  readonly kind: string;

  constructor(kind: string, detail: string) {
    super(`${kind}: ${detail}`);
    this.kind = kind;
  }
}

const lineFeed = 0x0a;
const digits = 2 * CID_BYTES;

/** The judge of lines (src/vsync/cid-lines.ts) for a file of DICT's: throws `FileRefused` naming the line. */
export function refuseLine({ number, bytes, length, ended }: UnusualLine): never {
  const wrong = bytes.findIndex((code) => !isHexDigit(code));
  const column = wrong === -1 ? length : wrong;
  if (column >= digits)
    throw malformed(number, `character ${bytes[digits] ?? 0} where the line should end after ${digits} digits`);
  if (wrong === -1 && !ended) throw malformed(number, `the last line has ${length} of ${digits} digits`);
  throw malformed(number, `character ${bytes[wrong] ?? lineFeed} at column ${column + 1} is no hex digit`);
}

function isHexDigit(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || ((code | 0x20) >= 0x61 && (code | 0x20) <= 0x66);
}

function malformed(line: number, detail: string): FileRefused {
  return new FileRefused('malformed', `line ${line}: ${detail}`);
}
