/**
 * An existing base as a file: NDJSON of entries, or CSV with a header line of the flat names. Rows come out one by one, decoded or with
 * the reason why not; memory stays bounded by the longest row allowed.
 */

import { pipeline, Readable } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import type { DecodedEntry } from '../event/entry-decoding.ts';
import { decodeEntry, decodeEntryLine } from '../event/entry-decoding.ts';
import type { InvalidReason } from '../event/key-event.ts';
import { LineCutter } from './event-lines.ts';

/** Why a row is none. */
export interface RowProblem {
  readonly valid: false;
  readonly reason: InvalidReason | 'malformed_row';
  readonly detail: string;
}

export interface BaseRow {
  /** Line of the file, from 1. */
  readonly line: number;
  /** Position in the file after the row; of a malformed row of CSV: after the good row before it. */
  readonly endOffset: number;
  readonly decoded: DecodedEntry | RowProblem;
  /** The row as it stands in the file, as far as it was kept. */
  readonly raw: string;
}

/** The whole file cannot be an existing base: a CSV without the columns that every entry needs, or one that cannot be parsed. */
export class BaseFileRefused extends Error {
  override readonly name = 'BaseFileRefused';
}

/** Longest row that is looked at. */
export const ROW_BYTES_MAX = 1_048_576;
/** Malformed rows that may follow each other; they wait in memory for the next good one. */
const malformedMax = 1_000;

const requiredColumns = [
  'key',
  'key_type',
  'ispb',
  'account_number',
  'account_type',
  'account_opened_at',
  'owner_type',
  'owner_tax_id',
  'owner_name',
] as const;
const optionalColumns = ['branch', 'owner_trade_name', 'request_id', 'registered_at', 'participant_registered_at'] as const;
const knownColumns: ReadonlySet<string> = new Set([...requiredColumns, ...optionalColumns]);

/** The problem of a line of that many bytes. */
export function tooLong(lineBytes: number): RowProblem {
  const detail = `entry: the line has ${lineBytes} bytes; at most ${ROW_BYTES_MAX} are allowed`;
  return { valid: false, reason: 'line_too_long', detail };
}

/** The rows of a file of NDJSON. */
export async function* ndjsonRows(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<BaseRow, void, undefined> {
  const cutter = new LineCutter(ROW_BYTES_MAX);
  const rowOf = ({ bytes, number, endOffset, tooLongBytes }: ReturnType<LineCutter['push']>[number]): BaseRow => {
    const decoded = tooLongBytes === null ? decodeEntryLine(bytes) : tooLong(tooLongBytes);
    return { line: number, endOffset, decoded, raw: decoded.valid ? '' : Buffer.from(bytes).toString('utf8') };
  };
  for await (const chunk of chunks) for (const line of cutter.push(chunk)) yield rowOf(line);
  for (const line of cutter.end()) yield rowOf(line);
}

function checkHeader(header: readonly string[], onUnknown: (columns: readonly string[]) => void): string[] {
  const names = header.map((name) => name.trim());
  const missing = requiredColumns.filter((name) => !names.includes(name));
  if (missing.length > 0) {
    throw new BaseFileRefused(
      `the header line lacks ${missing.join(', ')}; it names the columns ${[...requiredColumns].join(', ')} and, where there are any, ` +
        optionalColumns.join(', '),
    );
  }
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new BaseFileRefused(`the header line names ${twice} twice`);
  const unknown = names.filter((name) => !knownColumns.has(name));
  if (unknown.length > 0) onUnknown(unknown);
  return names;
}

/** Where in a file of CSV to go on: after a good row, with the columns of its header line. */
export interface CsvPosition {
  readonly columns: readonly string[];
  readonly offset: number;
  readonly line: number;
}

/**
 * The rows of a file of CSV (RFC 4180, comma, header line). `onUnknown` hears of columns that are passed over, `onColumns` of the
 * header line's names; with `from` the chunks begin there, behind the header line. Throws `BaseFileRefused` where the file
 * as a whole is none.
 */
export async function* csvRows(
  chunks: AsyncIterable<Uint8Array>,
  onUnknown: (columns: readonly string[]) => void,
  from: CsvPosition | null = null,
  onColumns: (columns: readonly string[]) => void = () => {},
): AsyncGenerator<BaseRow, void, undefined> {
  const malformed: BaseRow[] = [];
  let hasHeader = from !== null;
  let endOffset = from?.offset ?? 0;
  const parser = parse({
    bom: from === null,
    columns: (header: string[]) => {
      hasHeader = true;
      const names = checkHeader(header, onUnknown);
      onColumns(names);
      return names;
    },
    ...(from === null ? {} : { columns: [...from.columns] }),
    info: true,
    raw: true,
    skip_empty_lines: true,
    skip_records_with_error: true,
    max_record_size: ROW_BYTES_MAX,
    on_skip: (error, raw) => {
      const line = (from?.line ?? 0) + (error !== undefined && typeof error['lines'] === 'number' ? error['lines'] : 0);
      const detail = `row: ${error?.code ?? 'not CSV'}; every row has the header's columns, and quotes are closed and doubled`;
      malformed.push({ line, endOffset, decoded: { valid: false, reason: 'malformed_row', detail }, raw: raw ?? '' });
      if (!hasHeader)
        parser.destroy(new BaseFileRefused(`the first line is no header line of CSV (${error?.code ?? 'not CSV'})`));
      else if (malformed.length > malformedMax) {
        parser.destroy(new BaseFileRefused(`more than ${malformedMax} rows on end are not CSV, up to line ${line}`));
      }
      return undefined;
    },
  });
  pipeline(Readable.from(chunks), parser, () => {
    // A failure of either side reaches the loop below.
  });
  try {
    for await (const row of parser) {
      yield* malformed.splice(0);
      const read = csvRow(row, from);
      yield read;
      endOffset = read.endOffset;
    }
    yield* malformed.splice(0);
  } catch (cause) {
    if (cause instanceof CsvError)
      throw new BaseFileRefused(`not CSV from line ${String(cause['lines'] ?? '?')} on: ${cause.code}`, { cause });
    throw cause;
  }
}

interface ParsedRow {
  readonly record: unknown;
  /** Counted from where parsing began. */
  readonly info: { readonly lines: number; readonly bytes: number };
  readonly raw: string;
}

/** With `info` and `raw` the parser gives each record with both beside it. */
function csvRow({ record, info, raw }: ParsedRow, from: CsvPosition | null): BaseRow {
  const decoded = decodeEntry(record);
  const [line, endOffset] = [(from?.line ?? 0) + info.lines, (from?.offset ?? 0) + info.bytes];
  return { line, endOffset, decoded, raw: decoded.valid ? '' : raw.trimEnd() };
}
