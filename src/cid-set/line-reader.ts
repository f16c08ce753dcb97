/**
 * The lines of a file of CIDs, in whatever chunks it arrives. Plain lines go to the sink in long stretches; every other line is judged
 * here, one by one: CRLF, blanks around the digits, a byte order mark and a missing last line feed are tolerated, blank lines passed
 * over, everything else is a bad line with its reason. Memory is bounded however long a line is.
 */

import { isUtf8 } from 'node:buffer';
import { asCid, CID_BYTES, type Cid } from '../cid/cid.ts';
import { PLAIN_LINE_BYTES, readDigits } from './plain-lines.ts';

/** What becomes of the lines. Numbers count from 1, blank lines included. */
export interface LineSink {
  /** Takes plain lines from `start` on, the first of them having that number; answers where the first line that is not begins. */
  plain(bytes: Uint8Array, start: number, line: number): number;
  /** The CID of a line that is not plain. One buffer, used again. */
  single(cid: Cid, line: number): void;
  bad(line: number, reason: string): void;
}

/** The text is in an encoding that no CID could be read from: nothing of the file is used. */
export class EncodingRefused extends Error {
  override readonly name = 'EncodingRefused';
}

const lineFeed = 0x0a;
/** Of a longer line the beginning is kept, for its message. */
const keptBytes = 1_024;
const shownCharacters = 40;

const plainDigits = PLAIN_LINE_BYTES - 1;
const carriageReturn = 0x0d;

/** Reads chunk by chunk; `end` answers how many lines there were. */
export class LineReader {
  readonly #sink: LineSink;
  readonly #kept = Buffer.alloc(keptBytes);
  readonly #cid = asCid(new Uint8Array(CID_BYTES));
  /** Bytes of the line begun, which may be more than are kept. */
  #begunBytes = 0;
  #lines = 0;

  constructor(sink: LineSink) {
    this.#sink = sink;
  }

  /** Lines so far. */
  get lines(): number {
    return this.#lines;
  }

  read(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#begunBytes === 0) {
        const next = this.#sink.plain(chunk, at, this.#lines + 1);
        this.#lines += (next - at) / PLAIN_LINE_BYTES;
        at = next;
        if (at === chunk.length) return;
      }
      const end = chunk.indexOf(lineFeed, at);
      this.#keep(chunk, at, end === -1 ? chunk.length : end);
      if (end === -1) return;
      this.#judge();
      at = end + 1;
    }
  }

  /** Ends the file: its last line may lack a line feed. */
  end(): number {
    if (this.#begunBytes > 0) this.#judge();
    return this.#lines;
  }

  #keep(chunk: Uint8Array, from: number, to: number): void {
    const room = keptBytes - this.#begunBytes;
    if (room > 0) this.#kept.set(chunk.subarray(from, Math.min(to, from + room)), this.#begunBytes);
    this.#begunBytes += to - from;
    if (this.#lines === 0 && this.#begunBytes >= 2) refuseUtf16(this.#kept);
  }

  #judge(): void {
    this.#lines += 1;
    const length = this.#begunBytes;
    this.#begunBytes = 0;
    if (length === 0) return;
    const digitsOnly = length === plainDigits || (length === plainDigits + 1 && this.#kept[plainDigits] === carriageReturn);
    if (digitsOnly && readDigits(this.#kept, 0, this.#cid)) {
      this.#sink.single(this.#cid, this.#lines);
      return;
    }
    const judged = judgeText(this.#kept.subarray(0, Math.min(length, keptBytes)), length, this.#lines === 1);
    if (judged === null) return;
    if (typeof judged === 'string') this.#sink.bad(this.#lines, judged);
    else this.#sink.single(judged, this.#lines);
  }
}

function refuseUtf16(kept: Uint8Array): void {
  const mark = ((kept[0] ?? 0) << 8) | (kept[1] ?? 0);
  if (mark !== 0xfffe && mark !== 0xfeff) return;
  throw new EncodingRefused('it is UTF-16 text; CIDs are read from ASCII or UTF-8 ("iconv -f UTF-16 -t UTF-8" converts it)');
}

/** The CID, null for a blank line, or why it is neither. */
function judgeText(kept: Uint8Array, lineBytes: number, isFirst: boolean): Cid | null | string {
  if (lineBytes > kept.length) return `is longer than ${keptBytes} bytes, and no CID (64 hex digits)`;
  if (!isUtf8(kept)) return 'is not UTF-8 text, and no CID (64 hex digits)';
  const text = Buffer.from(kept).toString('utf8');
  const digits = (isFirst && text.startsWith('\uFEFF') ? text.slice(1) : text).trim();
  if (digits === '') return null;
  const bytes = Buffer.from(digits, 'latin1');
  const cid = asCid(new Uint8Array(CID_BYTES));
  if (digits.length === plainDigits && readDigits(bytes, 0, cid)) return cid;
  return `${JSON.stringify(shown(digits))} is not a CID (64 hex digits)`;
}

function shown(text: string): string {
  return text.length <= 2 * shownCharacters ? text : `${text.slice(0, 2 * shownCharacters - 3)}...`;
}
