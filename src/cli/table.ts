/** Plain columns for people. Machines get `--json` or `--csv`. */

import { styleText } from 'node:util';

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
  /** Numbers stand at the right. */
  readonly right?: boolean;
}

/** Rows in aligned columns under their titles, ready to be written; without rows, the titles alone. */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[], { colour = false } = {}): string {
  const cells = rows.map((row) => columns.map((column) => column.value(row)));
  const widths = columns.map((column, at) => Math.max(column.title.length, ...cells.map((line) => (line[at] ?? '').length)));
  const padded = (text: string, at: number): string =>
    columns[at]?.right === true ? text.padStart(widths[at] ?? 0) : text.padEnd(widths[at] ?? 0);
  const heading = columns
    .map((column, at) => padded(column.title, at))
    .join('  ')
    .trimEnd();
  const lines = cells.map((line) => line.map(padded).join('  ').trimEnd());
  return `${[colour ? styleText('bold', heading) : heading, ...lines].join('\n')}\n`;
}

/** Rows as CSV (RFC 4180) with a header line. */
export function csv<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const quote = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = rows.map((row) => columns.map((column) => quote(column.value(row))).join(','));
  return `${[columns.map((column) => quote(column.title)).join(','), ...lines].join('\r\n')}\r\n`;
}

/** A duration as people say it: 12 s, 3 min, 5 h, 2 d. */
export function ageText(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 120_000) return `${Math.round(ms / 1_000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 172_800_000) return `${Math.round(ms / 3_600_000)} h`;
  return `${Math.round(ms / 86_400_000)} d`;
}
