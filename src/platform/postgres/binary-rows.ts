/**
 * Rows in PostgreSQL's binary COPY format, written straight into one growing buffer: no object per column, no escaping. Which columns
 * there are, and in which order, is the caller's: the fields follow each other as the COPY statement lists them.
 */

/** Stands before the first row: signature, no flags, no header extension. */
export const BINARY_ROWS_HEADER: Uint8Array = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');

/** Stands after the last row. */
export const BINARY_ROWS_TRAILER: Uint8Array = Buffer.from([0xff, 0xff]);

/** 2000-01-01, from which PostgreSQL counts microseconds. */
const epochMs = 946_684_800_000;
const two32 = 4_294_967_296;
/** A short text is written by a loop: 31 ns for 12 characters against 41 for a call into the runtime; for 20 they cost the same. */
const loopCharactersMax = 20;

/** Rows being written. `take` hands them over and begins anew. */
export class BinaryRows {
  #buffer: Buffer<ArrayBuffer>;
  #at = 0;
  readonly #startBytes: number;

  constructor(startBytes: number) {
    this.#startBytes = startBytes;
    this.#buffer = Buffer.allocUnsafeSlow(startBytes);
  }

  /** Begins a row of that many fields. */
  row(fields: number): void {
    this.#room(2);
    this.#buffer[this.#at++] = fields >> 8;
    this.#buffer[this.#at++] = fields & 0xff;
  }

  /** A field that is null. */
  empty(): void {
    this.#room(4);
    this.#int4(-1);
  }

  /** A text field; null is null. */
  text(value: string | null): void {
    if (value === null) {
      this.empty();
      return;
    }
    const characters = value.length;
    // UTF-8 needs at most three bytes for each unit of UTF-16.
    this.#room(4 + characters * 3);
    const start = this.#at + 4;
    const buffer = this.#buffer;
    let written = 0;
    if (characters <= loopCharactersMax) {
      for (; written < characters; written++) {
        const code = value.charCodeAt(written);
        if (code > 0x7f) break;
        buffer[start + written] = code;
      }
    }
    const bytes = written === characters ? written : buffer.write(value, start, 'utf8');
    this.#int4(bytes);
    this.#at += bytes;
  }

  /** A bytea field, or any other whose binary form is these bytes; null is null. */
  bytes(value: Uint8Array | null): void {
    if (value === null) {
      this.empty();
      return;
    }
    this.#room(4 + value.length);
    this.#int4(value.length);
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
  }

  /** A bytea field of that many bytes, which `put` writes before `take`: answers where. */
  later(bytes: number): number {
    this.#room(4 + bytes);
    this.#int4(bytes);
    const place = this.#at;
    this.#at += bytes;
    return place;
  }

  /** Writes what was left out there. */
  put(place: number, value: Uint8Array): void {
    this.#buffer.set(value, place);
  }

  /** A uuid field, from its usual form with hyphens; null is null. */
  uuid(value: string | null): void {
    if (value === null) {
      this.empty();
      return;
    }
    this.#room(20);
    this.#int4(16);
    const buffer = this.#buffer;
    let at = this.#at;
    for (let digit = 0; digit < value.length; digit++) {
      const high = hexValue(value.charCodeAt(digit));
      if (high < 0) continue;
      digit += 1;
      buffer[at++] = (high << 4) | hexValue(value.charCodeAt(digit));
    }
    this.#at = at;
  }

  /** Copies the value of the field written there (`length` before it) into other bytes; answers where the next field is. */
  copyField(place: number, target: Uint8Array, targetAt: number): number {
    const end = place + 4 + this.#lengthAt(place);
    for (let from = place + 4, to = targetAt; from < end; from++, to++) target[to] = this.#buffer[from] ?? 0;
    return end;
  }

  /**
   * Copies the values of fields that were written one after the other into other bytes, with a separator between them; a null one is
   * empty. Answers how many bytes that is; null, and what is there is not whole, where it would be more than `bytesMax`.
   */
  join(
    values: { readonly from: number; readonly fields: number; readonly separator: number },
    target: Uint8Array,
    targetAt: number,
    bytesMax: number,
  ): number | null {
    const buffer = this.#buffer;
    const limit = targetAt + bytesMax;
    let from = values.from;
    let to = targetAt;
    for (let field = 0; field < values.fields; field++) {
      const end = from + 4 + Math.max(0, this.#lengthAt(from));
      if (to + 1 + end - from > limit) return null;
      if (field > 0) target[to++] = values.separator;
      for (from += 4; from < end; from++) target[to++] = buffer[from] ?? 0;
    }
    return to - targetAt;
  }

  #lengthAt(place: number): number {
    const buffer = this.#buffer;
    const high = ((buffer[place] ?? 0) << 24) | ((buffer[place + 1] ?? 0) << 16);
    return high | ((buffer[place + 2] ?? 0) << 8) | (buffer[place + 3] ?? 0);
  }

  /** A timestamptz field, from milliseconds since 1970; null is null. */
  timestamp(ms: number | null): void {
    if (ms === null) {
      this.empty();
      return;
    }
    this.#room(12);
    this.#int4(8);
    // Exact also where the microseconds exceed 2^53: the halves are multiplied apart.
    const sinceEpochMs = ms - epochMs;
    const highMs = Math.floor(sinceEpochMs / two32);
    const lowMicros = (sinceEpochMs - highMs * two32) * 1_000;
    const carry = Math.floor(lowMicros / two32);
    this.#int4(highMs * 1_000 + carry);
    this.#int4(lowMicros - carry * two32);
  }

  /** Fields that are the same in every row, as another `BinaryRows` wrote them. */
  fields(written: Uint8Array): void {
    this.#room(written.length);
    this.#buffer.set(written, this.#at);
    this.#at += written.length;
  }

  /** How much is written since the last `take`. */
  get length(): number {
    return this.#at;
  }

  /** What was written. The buffer is the caller's from now on. */
  take(): Buffer<ArrayBuffer> {
    const taken = this.#buffer.subarray(0, this.#at);
    this.#buffer = Buffer.allocUnsafeSlow(this.#startBytes);
    this.#at = 0;
    return taken;
  }

  #int4(value: number): void {
    const buffer = this.#buffer;
    const at = this.#at;
    buffer[at] = value >>> 24;
    buffer[at + 1] = value >>> 16;
    buffer[at + 2] = value >>> 8;
    buffer[at + 3] = value;
    this.#at = at + 4;
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#at + bytes));
    larger.set(this.#buffer.subarray(0, this.#at));
    this.#buffer = larger;
  }
}

/** The value of a hex digit's code, or −1 for a hyphen. */
function hexValue(code: number): number {
  if (code === 0x2d) return -1;
  return code <= 0x39 ? code - 0x30 : (code | 0x20) - 0x57;
}
