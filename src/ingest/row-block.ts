/**
 * A block of whole lines of a file of NDJSON → rows for import_entries, and the lines that are refused. The work of a worker thread
 * (row-thread.ts), or of the main thread where the file is small.
 */

import { isUtf8 } from 'node:buffer';
import type { DecodedEntry } from '../event/entry-decoding.ts';
import { decodeEntryLine, decodeEntryText } from '../event/entry-decoding.ts';
import { ROW_BYTES_MAX, type RowProblem, tooLong } from './import-file.ts';
import type { StagedBlock, StagedRows } from './staged-rows.ts';

/** A line that is no entry. */
export interface RefusedLine {
  /** Of the file, from 1; within a block: of that block. */
  readonly line: number;
  readonly reason: RowProblem['reason'];
  readonly detail: string;
  readonly raw: string;
}

/** What a block came to. */
export interface ParsedBlock {
  readonly staged: StagedBlock;
  /** How many lines it has, blank ones included. */
  readonly lines: number;
  readonly refused: readonly RefusedLine[];
}

const lineFeed = 0x0a;

/** Every line of the block, in order; blank lines are passed over. */
export function parseBlock(block: Uint8Array, rows: StagedRows): ParsedBlock {
  const refused: RefusedLine[] = [];
  const buffer = Buffer.from(block.buffer, block.byteOffset, block.length);
  // Asked once for all its lines; a block with a line that is not is read line by line.
  const isText = isUtf8(block);
  let lines = 0;
  for (let start = 0; start < block.length; ) {
    const found = block.indexOf(lineFeed, start);
    const end = found === -1 ? block.length : found;
    lines += 1;
    const from = start;
    start = end + 1;
    if (isBlank(block, from, end)) continue;
    const decoded = decodedLine(buffer, from, end, isText);
    if (decoded.valid) rows.add(decoded.state);
    else refused.push({ line: lines, reason: decoded.reason, detail: decoded.detail, raw: textOf(block.subarray(from, end)) });
  }
  return { staged: rows.take(), lines, refused };
}

/** As much of a refused line as is kept. */
export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, ROW_BYTES_MAX)).toString('utf8');
}

function decodedLine(block: Buffer, from: number, end: number, isText: boolean): DecodedEntry | RowProblem {
  if (end - from > ROW_BYTES_MAX) return tooLong(end - from);
  return isText ? decodeEntryText(block.toString('utf8', from, end), end - from) : decodeEntryLine(block.subarray(from, end));
}

function isBlank(block: Uint8Array, from: number, end: number): boolean {
  for (let at = from; at < end; at++) {
    const byte = block[at];
    if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0d) return false;
  }
  return true;
}
