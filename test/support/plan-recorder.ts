/**
 * What PostgreSQL really does for each statement of the product: a database that explains a statement where it stands, in its own
 * transaction and with its own values, just before it runs it. Which plans are acceptable is the test's matter.
 */

import type { Database, Sql, Transaction } from '../../src/platform/postgres/database.ts';

/** Reading one table by one node of a plan. */
export interface TableRead {
  readonly table: string;
  /** Such as `Seq Scan` or `Index Scan`. */
  readonly how: string;
  readonly index: string | null;
  /** Rows that were looked at: those that came out, and those that a filter threw away. */
  readonly rows: number;
}

export interface ExplainedStatement {
  readonly text: string;
  /** `src/…/file.ts:line function`, where the product ran it. */
  readonly origin: string;
  readonly reads: readonly TableRead[];
  /** Rows that the largest sort or hash of the plan held. */
  readonly heldRows: number;
  readonly plan: PlanNode;
}

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Actual Rows'?: number;
  readonly 'Actual Loops'?: number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Rows Removed by Index Recheck'?: number;
  readonly Plans?: readonly PlanNode[];
}

/** Explained at most this often, so that other values of a later call count too. */
const timesMax = 3;
const explainable = /^\s*\(*\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b/i;

export interface PlanRecorder {
  readonly database: Database;
  /** Forgets what was explained so far. */
  begin(): void;
  statements(): readonly ExplainedStatement[];
}

/**
 * Wraps a database. Statements that match are carried out in a savepoint first and undone; others, some of which cannot stand in one,
 * are only run.
 */
export function planRecorder(database: Database, wanted: RegExp): PlanRecorder {
  let statements: ExplainedStatement[] = [];
  const times = new Map<string, number>();

  async function explain(tx: Transaction, text: string, values: readonly unknown[], origin: string): Promise<void> {
    times.set(text, (times.get(text) ?? 0) + 1);
    await tx.query('SAVEPOINT explained');
    const { rows } = await tx.query<{ 'QUERY PLAN': readonly { readonly Plan: PlanNode }[] }>(
      `EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ${text}`,
      values,
    );
    await tx.query('ROLLBACK TO SAVEPOINT explained');
    await tx.query('RELEASE SAVEPOINT explained');
    const plan = rows[0]?.['QUERY PLAN'][0]?.Plan;
    if (plan !== undefined) statements.push({ text, origin, reads: readsOf(plan), heldRows: heldRowsOf(plan), plan });
  }

  const isDue = (text: string): boolean => explainable.test(text) && wanted.test(text) && (times.get(text) ?? 0) < timesMax;

  const recording = (tx: Transaction): Transaction => ({
    ...tx,
    query: (async (text: string, values?: readonly unknown[]) => {
      const origin = originOf(new Error('where from').stack ?? '');
      if (isDue(text)) await explain(tx, text, values ?? [], origin);
      return tx.query(text, values);
      // The generic row type is the caller's claim about its columns; passing it through claims nothing more.
    }) as Sql['query'],
  });

  return {
    begin: () => {
      statements = [];
      times.clear();
    },
    statements: () => statements,
    database: {
      close: () => database.close(),
      transaction: (work, options) => database.transaction((tx) => work(recording(tx)), options),
      query: (async (text: string, values?: readonly unknown[]) => {
        const origin = originOf(new Error('where from').stack ?? '');
        if (isDue(text)) await database.transaction((tx) => explain(tx, text, values ?? [], origin));
        return database.query(text, values);
        // As above.
      }) as Sql['query'],
    },
  };
}

/** The first frame of the product's own code. */
function originOf(stack: string): string {
  const frame = stack.split('\n').find((line) => line.includes('/src/') && !line.includes('/src/platform/'));
  const found = /at (?:async )?(\S+) \(.*\/(src\/[^)]+?):[0-9]+\)/.exec(frame ?? '') ?? /\/(src\/\S+):[0-9]+/.exec(frame ?? '');
  return found === null ? 'the test' : `${found[2] ?? found[1]} ${found[2] === undefined ? '' : found[1]}`.trim();
}

function readsOf(node: PlanNode): TableRead[] {
  const below = (node.Plans ?? []).flatMap(readsOf);
  const table = node['Relation Name'];
  if (table === undefined || node['Node Type'] === 'ModifyTable' || node['Node Type'] === 'LockRows') return below;
  const perLoop =
    (node['Actual Rows'] ?? 0) + (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0);
  // The index of a bitmap stands one node below; its own rows are counted where the table is read.
  const index = node['Index Name'] ?? node.Plans?.find((child) => child['Index Name'] !== undefined)?.['Index Name'] ?? null;
  return [{ table, how: node['Node Type'], index, rows: Math.round(perLoop * (node['Actual Loops'] ?? 1)) }, ...below];
}

function heldRowsOf(node: PlanNode): number {
  const holds = ['Sort', 'Hash', 'Materialize'].includes(node['Node Type']);
  const own = holds ? (node['Actual Rows'] ?? 0) * (node['Actual Loops'] ?? 1) : 0;
  return Math.max(own, ...(node.Plans ?? []).map(heldRowsOf));
}
