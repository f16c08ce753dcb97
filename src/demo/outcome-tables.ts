/** What the demo shows of its runs while they end, and the tables at its very end. */

import { table } from '../cli/table.ts';
import { KEY_TYPES, type KeyType } from '../dict/key-type.ts';
import type { Sql } from '../platform/postgres/database.ts';
import { findReport } from '../report/sync-report.ts';
import type { Planted, PlantedKind } from './planting.ts';
import type { Reconciled } from './reconciliation-round.ts';
import type { FoundBy, Repair, Repairs } from './repairs.ts';
import type { StageOutput } from './stage-output.ts';
import type { Verified } from './verification-round.ts';

const count = (value: number): string => value.toLocaleString('en-US');

/** What went wrong, by how it can be seen. */
export function showPlanted(output: StageOutput, planted: readonly Planted[]): void {
  const having = (wanted: (one: Planted) => boolean): string => count(planted.filter(wanted).length).padStart(3);
  const isRow = ({ deed }: Planted): boolean => deed === 'alter-row';
  const isHalfTold = ({ deed }: Planted): boolean => deed === 'insert-half-told';
  output.line(
    `${having((one) => one.rung === 'log' && !isHalfTold(one))}  changes in DICT that its event log shows and our core never told us of`,
  );
  output.line(
    `${having(({ rung }) => rung === 'residual')}  key inserted in DICT without an event, the only such change of its type`,
  );
  output.line(`${having(({ rung }) => rung === 'file')}  changes in DICT without an event, several of one type`);
  output.line(`${having(isRow)}  rows of our base altered under their CID: no VSync can show it`);
  output.line(`${having(isHalfTold)}  key whose update reached us but not its creation: no RequestId, no CID`);
}

/** One line for each run, from its report: how it ended, what it found and what that cost. */
export async function showReconciled(sql: Sql, output: StageOutput, runs: readonly Reconciled[]): Promise<void> {
  for (const { keyType, reportId, runId, status, outcome } of runs) {
    const figures = (await findReport(sql, reportId))?.figures ?? null;
    const ended = `${keyType.padEnd(5)} ${output.toned(status === 'COMPLETED' ? 'good' : 'bad', outcome)}`;
    if (figures === null || runId === null) {
      output.line(`${ended}, nothing to repair`);
      continue;
    }
    const what = [
      [figures.missingLocal, 'missing'],
      [figures.outdatedLocal, 'outdated'],
      [figures.orphaned, 'orphaned'],
      [figures.unresolved, 'without RequestId'],
      [figures.altered, 'altered'],
    ] as const;
    const found = what.flatMap(([number, name]) => (number === 0 ? [] : [`${number} ${name}`])).join(', ');
    const open = figures.divergencesOpen === 0 ? '' : `, ${output.toned('bad', `${figures.divergencesOpen} left open`)}`;
    const file = figures.totalKeysBacen === null ? 'no file' : `a file of ${count(figures.totalKeysBacen)} CIDs`;
    const cost = `${count(figures.byCidReads)} by-CID calls, ${file}`;
    output.line(`${ended}: ${found === '' ? 'nothing to repair' : `${found}, repaired`}${open}; ${cost}`);
  }
}

/** The verifications before and after, by key type. */
export function showBeforeAndAfter(output: StageOutput, before: readonly Verified[], after: readonly Verified[]): void {
  interface Row {
    readonly keyType: KeyType;
    readonly before: Verified | undefined;
    readonly after: Verified | undefined;
  }
  const rows: Row[] = KEY_TYPES.map((keyType) => ({
    keyType,
    before: before.find((one) => one.keyType === keyType),
    after: after.find((one) => one.keyType === keyType),
  }));
  const vsync = (one: Verified | undefined): string => one?.vsync.slice(0, 16) ?? '';
  const answer = (one: Verified | undefined): string => (one === undefined ? '' : `${one.answer}, ${one.outcome.kind}`);
  output.block(
    table<Row>(
      [
        { title: 'type', value: (row) => row.keyType },
        { title: 'keys', value: (row) => count(row.before?.keys ?? 0), right: true },
        { title: 'VSync before', value: (row) => vsync(row.before) },
        { title: 'DICT before', value: (row) => answer(row.before) },
        { title: 'keys', value: (row) => count(row.after?.keys ?? 0), right: true },
        { title: 'VSync after', value: (row) => vsync(row.after) },
        { title: 'DICT after', value: (row) => answer(row.after) },
      ],
      rows,
    ),
  );
}

const kinds: readonly PlantedKind[] = ['missing_local', 'outdated_local', 'orphaned', 'unresolved', 'altered'];

/** What became of everything that went wrong, by kind and by the rung that found it. */
export function showRepairs(output: StageOutput, { planted, needless }: Repairs): void {
  const by = (repairs: readonly Repair[], rung: FoundBy): string =>
    String(repairs.filter(({ found }) => found?.by === rung).length);
  interface Row {
    readonly title: string;
    readonly of: readonly Repair[];
  }
  const rechecked = by(planted, 'recheck');
  const rows: Row[] = [
    ...kinds.map((kind) => ({ title: kind, of: planted.filter((one) => one.kind === kind) })),
    { title: 'all', of: planted },
  ];
  output.block(
    table<Row>(
      [
        { title: 'divergence', value: ({ title }) => title },
        { title: 'planted', value: ({ of }) => String(of.length), right: true },
        { title: 'found', value: ({ of }) => String(of.filter(({ found, kind }) => found?.kind === kind).length), right: true },
        { title: 'by log', value: ({ of }) => by(of, 'log'), right: true },
        { title: 'by residual', value: ({ of }) => by(of, 'residual'), right: true },
        { title: 'by file', value: ({ of }) => by(of, 'file'), right: true },
        { title: 'by scan', value: ({ of }) => by(of, 'scan'), right: true },
        ...(rechecked === '0' ? [] : [{ title: 'on a second look', value: ({ of }: Row) => by(of, 'recheck'), right: true }]),
        { title: 'repaired', value: ({ of }) => String(of.filter(({ repaired }) => repaired).length), right: true },
      ],
      rows,
    ),
  );
  output.line(needless === 0 ? 'No other key was touched.' : output.toned('bad', `${needless} other keys were touched.`));
}
