/**
 * The files that a table consists of (one, or one for each partition), and the block ranges in which they are read. Rows are read in
 * the order in which they lie: in the order of their keys, as before, each row costs a jump, six times the time.
 */

import type { Sql } from '../../platform/postgres/database.ts';

export interface TableFile {
  /** The table or partition, quoted as SQL wants it. */
  readonly name: string;
  /** Changes when the file is rewritten or another table takes the place. */
  readonly fileNode: number;
  readonly blocks: number;
}

/** Blocks `from` up to but without `to` of one file. */
export interface BlockRange {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

export interface TableSize {
  readonly files: readonly TableFile[];
  /** As the last analysis estimated it; 0 where there was none. */
  readonly rowsEstimate: number;
}

/** The files as they are now. */
export async function readTableSize(sql: Sql, table: 'dict_entries' | 'dict_cids'): Promise<TableSize> {
  const { rows } = await sql.query<{ name: string; file_node: number; blocks: number; rows_estimate: number }>(
    `SELECT c.oid::regclass::text AS name, pg_relation_filenode(c.oid)::bigint AS file_node,
       pg_relation_size(c.oid) / current_setting('block_size')::bigint AS blocks, greatest(0, c.reltuples)::bigint AS rows_estimate
     FROM pg_class c
     WHERE (c.oid = $1::regclass OR c.oid IN (SELECT relid FROM pg_partition_tree($1::regclass))) AND c.relkind = 'r'
     ORDER BY c.oid`,
    [table],
  );
  return {
    files: rows.map(({ name, file_node, blocks }) => ({ name, fileNode: file_node, blocks })),
    rowsEstimate: rows.reduce((sum, row) => sum + row.rows_estimate, 0),
  };
}

/** Blocks of all files together. */
export function blocksOf(files: readonly TableFile[]): number {
  return files.reduce((sum, { blocks }) => sum + blocks, 0);
}

/** The range of at most `blocks` blocks that begins at that position, counted over all files; null at the end. */
export function rangeAt(files: readonly TableFile[], position: number, blocks: number): BlockRange | null {
  let first = position;
  for (const file of files) {
    if (first < file.blocks) return { name: file.name, from: first, to: Math.min(file.blocks, first + blocks) };
    first -= file.blocks;
  }
  return null;
}

/** Whether these are still the same files; they may have grown. */
export function sameFiles(before: readonly TableFile[], now: readonly TableFile[]): boolean {
  return (
    before.length === now.length &&
    before.every(({ name, fileNode }, index) => name === now[index]?.name && fileNode === now[index].fileNode)
  );
}

/** The blocks that files have grown by. */
export function grownRanges(before: readonly TableFile[], now: readonly TableFile[]): BlockRange[] {
  return now.flatMap(({ name, blocks }, index) => {
    const from = before[index]?.blocks ?? 0;
    return blocks > from ? [{ name, from, to: blocks }] : [];
  });
}
