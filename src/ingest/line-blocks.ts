/**
 * A file cut into blocks of whole lines, to be parsed apart from each other. Memory is bounded by the block and the longest line
 * allowed: of a longer one the beginning is kept and the rest counted.
 */

import { ROW_BYTES_MAX } from './import-file.ts';

/** Reads into the buffer from where the last read ended; 0: the end. */
export type ReadInto = (buffer: Uint8Array, from: number) => Promise<number>;

export interface LineBlock {
  /** Whole lines; of a line that is too long, its beginning. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Position in the file after it. */
  readonly endOffset: number;
  /** The length of the one line, where it is longer than allowed and does not fit into a block; else null. */
  readonly tooLongBytes: number | null;
}

const blockBytesDefault = 1_048_576;
const lineFeed = 0x0a;

/** The blocks from that position of the file on, which is the beginning of a line. */
export async function* lineBlocks(
  read: ReadInto,
  startOffset: number,
  blockBytes: number = blockBytesDefault,
): AsyncGenerator<LineBlock, void, undefined> {
  let offset = startOffset;
  let rest: Uint8Array = new Uint8Array();
  for (let ended = false; !ended; ) {
    const buffer = Buffer.allocUnsafeSlow(rest.length + blockBytes);
    buffer.set(rest);
    const bytesRead = await read(buffer, rest.length);
    ended = bytesRead === 0;
    const filled = buffer.subarray(0, rest.length + bytesRead);
    const end = ended ? filled.length : filled.lastIndexOf(lineFeed) + 1;
    rest = filled.subarray(end);
    if (end > 0) {
      offset += end;
      // Copied before the block is given away with its memory.
      rest = new Uint8Array(rest);
      yield { bytes: filled.subarray(0, end), endOffset: offset, tooLongBytes: null };
    } else if (rest.length > ROW_BYTES_MAX) {
      const long = await restOfLine(read, rest, blockBytes);
      offset += long.bytes;
      rest = long.after;
      yield { bytes: long.kept, endOffset: offset, tooLongBytes: long.lineBytes };
    }
  }
}

/** Reads on to the end of a line that is too long. */
async function restOfLine(
  read: ReadInto,
  beginning: Uint8Array,
  blockBytes: number,
): Promise<{ kept: Uint8Array<ArrayBuffer>; lineBytes: number; bytes: number; after: Uint8Array }> {
  const kept = new Uint8Array(beginning.subarray(0, ROW_BYTES_MAX));
  const buffer = Buffer.allocUnsafeSlow(blockBytes);
  let lineBytes = beginning.length;
  // Ends with the line, or with the file.
  for (let bytesRead = await read(buffer, 0); bytesRead > 0; bytesRead = await read(buffer, 0)) {
    const end = buffer.subarray(0, bytesRead).indexOf(lineFeed);
    if (end !== -1) {
      lineBytes += end;
      return { kept, lineBytes, bytes: lineBytes + 1, after: new Uint8Array(buffer.subarray(end + 1, bytesRead)) };
    }
    lineBytes += bytesRead;
  }
  return { kept, lineBytes, bytes: lineBytes, after: new Uint8Array() };
}
