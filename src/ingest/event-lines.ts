/**
 * A byte stream cut into lines, each with its number and where it ends. Memory is bounded by the longest line allowed: of a
 * longer one the beginning is kept and the rest counted. Blank lines are passed over.
 */

export interface EventLine {
  /** Without the line break. */
  readonly bytes: Uint8Array;
  /** From 1, blank lines counted. */
  readonly number: number;
  /** Position in the stream after the line and its break. */
  readonly endOffset: number;
  /** How long the line really is, where that is more than allowed; else null. */
  readonly tooLongBytes: number | null;
}

const lineFeed = 0x0a;

/** Takes the stream chunk by chunk; a line comes out with the chunk that ends it. */
export class LineCutter {
  readonly #lineBytesMax: number;
  #parts: Uint8Array[] = [];
  #kept = 0;
  #length = 0;
  #number = 0;
  #offset = 0;

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax;
  }

  /** The lines that this chunk completes. */
  push(chunk: Uint8Array): EventLine[] {
    const lines: EventLine[] = [];
    let start = 0;
    for (let end = chunk.indexOf(lineFeed); end !== -1; end = chunk.indexOf(lineFeed, start)) {
      this.#keep(chunk.subarray(start, end));
      this.#offset += end + 1 - start;
      start = end + 1;
      const line = this.#finish();
      if (line !== null) lines.push(line);
    }
    const rest = chunk.subarray(start);
    this.#keep(rest);
    this.#offset += rest.length;
    return lines;
  }

  /** The last line, where the stream did not end with a line break. */
  end(): EventLine[] {
    if (this.#length === 0) return [];
    const line = this.#finish();
    return line === null ? [] : [line];
  }

  #keep(part: Uint8Array): void {
    this.#length += part.length;
    const room = this.#lineBytesMax - this.#kept;
    if (room <= 0 || part.length === 0) return;
    // Copied: the source may use its chunk again.
    const kept = Uint8Array.from(part.subarray(0, room));
    this.#parts.push(kept);
    this.#kept += kept.length;
  }

  #finish(): EventLine | null {
    const bytes = this.#parts.length === 1 ? (this.#parts[0] ?? new Uint8Array()) : Buffer.concat(this.#parts);
    const tooLongBytes = this.#length > this.#lineBytesMax ? this.#length : null;
    this.#parts = [];
    this.#kept = 0;
    this.#length = 0;
    this.#number += 1;
    if (tooLongBytes === null && isBlank(bytes)) return null;
    return { bytes, number: this.#number, endOffset: this.#offset, tooLongBytes };
  }
}

function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}
