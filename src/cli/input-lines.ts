/**
 * The lines of a file or of standard input, at constant memory, as they arrive: for commands that read NDJSON or CIDs and go on
 * past a bad line. Bytes that are not UTF-8 and lines beyond the limit are told, never mended.
 */

import { isUtf8 } from 'node:buffer';
import { type ByteSource, openBytes } from './input-bytes.ts';
import type { Io } from './io.ts';

/** One line without its end. `number` counts from 1, empty lines included (they are not told). */
export type InputLine =
  | { readonly number: number; readonly text: string }
  | { readonly number: number; readonly text: null; readonly problem: string };

export const lineBytesMax = 1_048_576;

const newline = 0x0a;

/**
 * The lines that each chunk of input completes; `-` is standard input. `onRead` hears how many bytes were read, of how many where that
 * is known. Rejects with `CommandFailed` where the input cannot be read or the command is interrupted.
 */
export async function* inputLines(
  io: Io,
  file: string,
  onRead: (bytes: number, sizeBytes: number | null) => void,
): AsyncGenerator<InputLine[], void, undefined> {
  const source: ByteSource = await openBytes(io, file);
  const splitter = lineSplitter();
  let bytes = 0;
  for await (const chunk of source.chunks) {
    bytes += chunk.length;
    yield splitter.push(chunk);
    onRead(bytes, source.sizeBytes);
  }
  yield splitter.end();
}

function lineSplitter(): { push(chunk: Uint8Array): InputLine[]; end(): InputLine[] } {
  let number = 0;
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;

  const keep = (part: Uint8Array): void => {
    pendingBytes += part.length;
    // Beyond the limit only the length is kept, so that an endless line takes no memory.
    if (pendingBytes <= lineBytesMax) pending.push(part);
  };
  const take = (): InputLine[] => {
    number++;
    const bytes = pendingBytes <= lineBytesMax ? Buffer.concat(pending) : null;
    pending = [];
    pendingBytes = 0;
    if (bytes === null) return [{ number, text: null, problem: `is longer than ${lineBytesMax} bytes` }];
    if (!isUtf8(bytes)) return [{ number, text: null, problem: 'is not UTF-8 text' }];
    const text = bytes.toString('utf8');
    const line = (number === 1 && text.startsWith('\uFEFF') ? text.slice(1) : text).replace(/\r$/, '');
    return line.trim() === '' ? [] : [{ number, text: line }];
  };

  return {
    push(chunk) {
      const lines: InputLine[] = [];
      let start = 0;
      // Ends: every turn moves `start` past one more newline of the chunk.
      for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
        keep(chunk.subarray(start, end));
        lines.push(...take());
        start = end + 1;
      }
      if (start < chunk.length) keep(chunk.subarray(start));
      return lines;
    },
    end: () => (pendingBytes > 0 ? take() : []),
  };
}
