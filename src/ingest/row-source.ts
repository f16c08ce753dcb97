/**
 * The rows of a file in the order of the file, ready to be copied into import_entries, from any position at which an earlier run
 * ended. NDJSON is parsed by blocks, several at once; CSV row by row, since only its parser knows where a row ends.
 */

import { type BaseRow, type CsvPosition, csvRows, tooLong } from './import-file.ts';
import type { LineBlock } from './line-blocks.ts';
import { type RefusedLine, textOf } from './row-block.ts';
import type { RowParser } from './row-parser.ts';
import type { StagedBlock, StagedRows } from './staged-rows.ts';

/** Some rows on end, and where in the file they end. */
export interface SourcedRows {
  /** Null: all of them are refused. */
  readonly staged: StagedBlock | null;
  readonly refused: readonly RefusedLine[];
  readonly endOffset: number;
  /** Lines up to there. */
  readonly endLine: number;
}

/** The rows of these blocks of NDJSON, before which the file has so many lines; up to `parser.width` are under way while one is taken. */
export async function* ndjsonSource(
  blocks: AsyncIterable<LineBlock>,
  linesBefore: number,
  parser: RowParser,
): AsyncGenerator<SourcedRows, void, undefined> {
  const underWay: Promise<Omit<SourcedRows, 'endLine'> & { readonly lines: number }>[] = [];
  let line = linesBefore;
  const next = async (): Promise<SourcedRows | null> => {
    const first = underWay.shift();
    if (first === undefined) return null;
    const { staged, refused, endOffset, lines } = await first;
    const before = line;
    line += lines;
    return { staged, refused: refused.map((row) => ({ ...row, line: before + row.line })), endOffset, endLine: line };
  };
  for await (const { bytes, endOffset, tooLongBytes } of blocks) {
    if (tooLongBytes === null) {
      underWay.push(parser.parse(bytes).then((parsed) => ({ ...parsed, endOffset })));
    } else {
      const { reason, detail } = tooLong(tooLongBytes);
      underWay.push(
        Promise.resolve({ staged: null, refused: [{ line: 1, reason, detail, raw: textOf(bytes) }], endOffset, lines: 1 }),
      );
    }
    // Whoever stops listening is not told of what was still under way.
    underWay.at(-1)?.catch(() => {});
    if (underWay.length > parser.width) {
      const rows = await next();
      if (rows !== null) yield rows;
    }
  }
  for (let rows = await next(); rows !== null; rows = await next()) yield rows;
}

/** About as much as a block of NDJSON. */
const csvBytes = 1_048_576;
const csvRefusedMax = 1_000;

/** The rows of CSV from that position on, or from the beginning. */
export async function* csvSource(
  chunks: AsyncIterable<Uint8Array>,
  from: CsvPosition | null,
  rows: StagedRows,
  listener: { onColumns(columns: readonly string[]): void; onUnknown(columns: readonly string[]): void },
): AsyncGenerator<SourcedRows, void, undefined> {
  let refused: RefusedLine[] = [];
  let last: BaseRow | null = null;
  for await (const row of csvRows(chunks, listener.onUnknown, from, listener.onColumns)) {
    const { line, decoded, raw } = row;
    if (decoded.valid) rows.add(decoded.state);
    else refused.push({ line, reason: decoded.reason, detail: decoded.detail, raw });
    last = row;
    const isMalformed = !decoded.valid && decoded.reason === 'malformed_row';
    // The parser can go on only after a row that is CSV.
    if (isMalformed || (rows.length < csvBytes && refused.length < csvRefusedMax)) continue;
    yield { staged: rows.take(), refused, endOffset: row.endOffset, endLine: line };
    refused = [];
    last = null;
  }
  if (last !== null) yield { staged: rows.take(), refused, endOffset: last.endOffset, endLine: last.line };
}
