/**
 * One of the lanes in which a participant's rows and CIDs are read side by side: it reads a part over a connection of its own, keeps
 * the sums until they are asked for, and names keys that something may be wrong with. What it says is a filter: under traffic it
 * also names keys that are sound, never too few. Which parts, and what becomes of the keys, is filter-passes.ts.
 */

import type { KeyType } from '../../dict/key-type.ts';
import type { Participant } from '../../dict/participant.ts';
import type { Database } from '../../platform/postgres/database.ts';
import { readCidRows } from './cid-rows.ts';
import type { EntryReader } from './entry-rows.ts';
import { kernelFolder } from './kernel-folder.ts';
import type { PairPlace } from './pair-sums.ts';
import { entryReader, keyOf, plainFolder } from './plain-folder.ts';
import type { Candidate, EntriesRead, FoldedSums, FolderSetup } from './row-folder.ts';
import { cidsInBuckets, cidsSource, entriesInBuckets, entriesSource } from './row-source.ts';
import type { BlockRange } from './table-files.ts';

/** As of what CIDs are read. */
export interface CidMoment {
  /** An exported snapshot. */
  readonly snapshot: string;
  /** The seq of each key type in that snapshot. */
  readonly seqs: readonly number[];
}

export interface Lane {
  /** Hashes the rows of a range (null: all of the participant) and folds those that count. */
  readEntries(range: BlockRange | null): Promise<EntriesRead>;
  /** Folds the CIDs of a range. */
  readCids(range: BlockRange | null, moment: CidMoment): Promise<void>;
  /** Compares rows and CIDs of some buckets one by one, as of one moment: keys of which they disagree, or whose rows are altered. */
  compareBuckets(scope: number, buckets: readonly number[]): Promise<readonly Candidate[]>;
  /** The sums of each key type; they begin again at nothing. */
  takeSums(): Promise<readonly FoldedSums[]>;
  close(): Promise<void>;
}

/** A lane in this thread. */
export function laneOver(database: Database, setup: FolderSetup): Lane {
  const { participant, keyTypes } = setup;
  const folder = kernelFolder(setup) ?? plainFolder(setup);
  return {
    readEntries: async (range) =>
      await database.transaction((tx) => folder.readEntries(tx, entriesSource(setup, range)), { readOnly: true }),
    async readCids(range, { snapshot, seqs }) {
      await database.transaction(
        async (tx) => {
          await tx.query(`SET TRANSACTION SNAPSHOT ${tx.connection.escapeLiteral(snapshot)}`);
          await folder.readCids(tx, cidsSource(setup, Math.min(...seqs), range), seqs);
        },
        { isolation: 'repeatable read', readOnly: true },
      );
    },
    async compareBuckets(scope, wanted) {
      const keyType = keyTypes[scope];
      if (keyType === undefined) return [];
      // The entries' reader is made anew: one key type only, and this is seldom.
      const reader = entryReader({ ...setup, keyTypes: [keyType] });
      return await compared(database, reader, { participant, keyType, scope }, wanted);
    },
    takeSums: async () => folder.takeSums(),
    async close() {},
  };
}

async function compared(
  database: Database,
  reader: EntryReader,
  of: { readonly participant: Participant; readonly keyType: KeyType; readonly scope: number },
  buckets: readonly number[],
): Promise<Candidate[]> {
  const { participant, keyType, scope } = of;
  const suspects = new Set<string>();
  /** How much oftener a pair is among the rows than among the CIDs. */
  const surplus = new Map<string, number>();
  const count = (view: PairPlace, by: 1 | -1): void => {
    const pair = `${Buffer.from(view.cidBytes.buffer, view.cidBytes.byteOffset + view.cidAt, 32).toString('latin1')}${keyOf(view)}`;
    const sum = (surplus.get(pair) ?? 0) + by;
    if (sum === 0) surplus.delete(pair);
    else surplus.set(pair, sum);
  };
  await database.transaction(
    async (tx) => {
      await reader.read(tx, entriesInBuckets(participant, keyType, buckets), (view) => {
        if (!view.sound) suspects.add(keyOf(view));
        if (view.active) count(view, 1);
      });
      await readCidRows(tx, cidsInBuckets(participant, keyType, buckets), [keyType], (view) => count(view, -1));
    },
    { isolation: 'repeatable read', readOnly: true },
  );
  for (const pair of surplus.keys()) suspects.add(pair.slice(32));
  return [...suspects].map((key) => ({ scope, key }));
}
