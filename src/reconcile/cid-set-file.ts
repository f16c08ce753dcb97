/**
 * The lines of a CID set file: 64 hex digits and a line feed each, in any order. Reads chunk by chunk in constant memory and
 * refuses whatever is not of that form (rule R14): a skipped line would become a wrong repair. Upper-case digits are read as
 * lower-case ones; the last line's feed may be missing, since length and digest have proven the file to be whole.
 */

import { asCid, CID_BYTES, type Cid } from '../cid/cid.ts';

/** The file cannot be what DICT meant to send. It changes nothing. */
export class FileRefused extends Error {
  override readonly name = 'FileRefused';
  /** A short name: empty, truncated, digest, malformed, duplicated, foreign, implausible, too-large. */
  readonly kind: string;

  constructor(kind: string, detail: string) {
    super(`${kind}: ${detail}`);
    this.kind = kind;
  }
}

const lineFeed = 10;
const invalid = 255;

/** Value of a hex digit by its character code. */
const digits = new Uint8Array(256).fill(invalid);
for (let value = 0; value < 16; value++) {
  const digit = value.toString(16);
  digits[digit.charCodeAt(0)] = value;
  digits[digit.toUpperCase().charCodeAt(0)] = value;
}

export interface CidReader {
  /** Reads the next bytes; throws `FileRefused` naming the line. */
  read(chunk: Uint8Array): void;
  /** Ends the file: answers how many lines it had. */
  end(): number;
}

/** Calls `onCid` for each line. The CID is one buffer, used again for the next line: copy it to keep it. */
export function readCids(onCid: (cid: Cid, line: number) => void): CidReader {
  const bytes = new Uint8Array(CID_BYTES);
  const cid = asCid(bytes);
  let column = 0;
  let lines = 0;

  function take(): void {
    lines += 1;
    onCid(cid, lines);
    column = 0;
  }

  return {
    read(chunk) {
      for (const code of chunk) {
        if (column === 2 * CID_BYTES) {
          if (code !== lineFeed) throw malformed(lines + 1, `character ${code} where the line should end after 64 digits`);
          take();
          continue;
        }
        const value = digits[code] ?? invalid;
        if (value === invalid) throw malformed(lines + 1, `character ${code} at column ${column + 1} is no hex digit`);
        const at = column >> 1;
        bytes[at] = column % 2 === 0 ? value << 4 : (bytes[at] ?? 0) | value;
        column += 1;
      }
    },
    end() {
      if (column === 2 * CID_BYTES) take();
      if (column > 0) throw malformed(lines + 1, `the last line has ${column} of 64 digits`);
      return lines;
    },
  };
}

function malformed(line: number, detail: string): FileRefused {
  return new FileRefused('malformed', `line ${line}: ${detail}`);
}
