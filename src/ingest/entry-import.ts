/**
 * Loads an existing base as it was at one time. Each row is what its key was then: it loses to whatever is known from later (rule
 * R16), and a second run finds everything as it is. Batches of rows, one transaction each, folded like events: a set-based merge of a
 * COPY would be faster, and would have to repeat every rule of entry-transition.ts in SQL.
 */

import type { Participant } from '../dict/participant.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database } from '../platform/postgres/database.ts';
import { commitKeys, lockScopes, untilUncontended } from './batch-commit.ts';
import { foldGroups, groupByKey } from './batch-fold.ts';
import { readHeldEntries } from './entry-store.ts';
import type { KeyImported } from './entry-transition.ts';
import type { BaseRow } from './import-file.ts';

export interface ImportDeps {
  readonly database: Database;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  /** Rows in one transaction. Default 2,000. */
  readonly batchRows?: number;
}

export interface ImportCounts {
  readonly rows: number;
  /** Became the present of their keys. */
  readonly loaded: number;
  /** Found as they are. */
  readonly unchanged: number;
  /** Something later is known of the key; at most history learned of the row. */
  readonly superseded: number;
  readonly refused: number;
  /** Rows taken that have no RequestId. */
  readonly withoutRequestId: number;
}

export interface ImportResult extends ImportCounts {
  /** Whose keys the file has. */
  readonly participants: readonly Participant[];
}

export type RefusedRow = BaseRow & { readonly decoded: { readonly valid: false } };

const batchRowsDefault = 2_000;
const lineDigits = 12;

/**
 * Imports the rows as of a time. `onRefused` is given each row that is none; `onBatch` hears the counts after each commit. The rest
 * proceeds; only the database, the file or the signal makes it reject, and running it again goes on.
 */
export async function importBase(
  deps: ImportDeps,
  rows: AsyncIterable<BaseRow>,
  asOf: Date,
  onRefused: (row: RefusedRow) => Promise<void>,
  onBatch: (soFar: ImportCounts) => void = () => {},
): Promise<ImportResult> {
  const counts = { rows: 0, loaded: 0, unchanged: 0, superseded: 0, refused: 0, withoutRequestId: 0 };
  const participants = new Set<Participant>();
  const batchRows = deps.batchRows ?? batchRowsDefault;
  let batch: KeyImported[] = [];
  const flush = async (): Promise<void> => {
    if (batch.length === 0) return;
    const outcomes = await importBatch(deps, batch);
    counts.loaded += outcomes.loaded;
    counts.unchanged += outcomes.unchanged;
    counts.superseded += outcomes.superseded;
    batch = [];
    onBatch(counts);
  };
  for await (const row of rows) {
    deps.signal?.throwIfAborted();
    counts.rows += 1;
    const { decoded } = row;
    if (!decoded.valid) {
      counts.refused += 1;
      await onRefused({ ...row, decoded });
      continue;
    }
    const { entry, requestId } = decoded.state;
    if (requestId === null) counts.withoutRequestId += 1;
    participants.add(entry.account.participant);
    const key = { participant: entry.account.participant, key: entry.key, keyType: entry.keyType };
    batch.push({
      ...decoded.state,
      ...key,
      action: 'base.imported',
      // Of rows of one key, those that come first are folded first.
      eventId: `line ${String(row.line).padStart(lineDigits, '0')}`,
      occurredAt: asOf,
      correlationId: null,
    });
    if (batch.length >= batchRows) await flush();
  }
  await flush();
  return { ...counts, participants: [...participants].sort() };
}

type Outcomes = Pick<ImportCounts, 'loaded' | 'unchanged' | 'superseded'>;

async function importBatch(deps: ImportDeps, rows: readonly KeyImported[]): Promise<Outcomes> {
  return await untilUncontended(() =>
    deps.database.transaction(async (tx) => {
      const now = deps.clock.now();
      const locks = await lockScopes(tx, rows, now);
      const groups = groupByKey(rows);
      const fold = foldGroups(groups, await readHeldEntries(tx, groups), locks.algorithmOf);
      await commitKeys(tx, locks, fold.keys, 'import', now);
      const having = (outcome: string): number => fold.events.filter((event) => event.outcome === outcome).length;
      return { loaded: having('applied'), unchanged: having('echo'), superseded: having('superseded') };
    }),
  );
}
