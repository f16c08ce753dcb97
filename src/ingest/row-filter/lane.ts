/**
 * One of the lanes in which a participant's rows and CIDs are read side by side: it reads a part over a connection of its own, keeps
 * the sums until they are asked for, and names keys that something may be wrong with. What it says is a filter: under traffic it
 * also names keys that are sound, never too few. Which parts, and what becomes of the keys, is filter-run.ts.
 */

import type { CidAlgorithm } from '../../cid/cid.ts';
import type { KeyType } from '../../dict/key-type.ts';
import type { Participant } from '../../dict/participant.ts';
import type { Database } from '../../platform/postgres/database.ts';
import { BUCKET_COUNT, type Buckets, emptyBuckets } from '../../vsync/buckets.ts';
import { readCidRows } from './cid-rows.ts';
import { dictEntryReader, type EntryReader } from './entry-rows.ts';
import { emptyPairSums, foldPair, type PairPlace, type PairSeed, type PairSums } from './pair-sums.ts';
import { plainEntryReader } from './plain-entries.ts';
import { cidsInBuckets, cidsSource, entriesInBuckets, entriesSource, type SourceScopes } from './row-source.ts';
import type { BlockRange } from './table-files.ts';

/** Plain data: it also travels to a thread. */
export interface LaneSetup extends SourceScopes {
  readonly algorithm: CidAlgorithm;
  readonly seed: PairSeed;
}

/** A key of one of the setup's key types, by its index. */
export interface Candidate {
  readonly scope: number;
  readonly key: string;
}

export interface EntriesRead {
  /** Rows of each key type. */
  readonly rows: readonly number[];
  readonly candidates: readonly Candidate[];
}

/** Of one key type, since they were last taken. */
export interface LaneSums {
  readonly pairs: PairSums;
  /** Null while no CIDs were read. */
  readonly buckets: Buckets | null;
}

export interface Lane {
  /** Hashes the rows of a range (null: all of the participant) and folds those that counted as of the seqs. */
  readEntries(range: BlockRange | null): Promise<EntriesRead>;
  /** Folds the CIDs of a range that counted as of the seqs, within an exported snapshot. */
  readCids(range: BlockRange | null, snapshot: string): Promise<void>;
  /** Compares rows and CIDs of some buckets one by one, as of one moment: keys of which they disagree, or whose rows are altered. */
  compareBuckets(scope: number, buckets: readonly number[]): Promise<readonly Candidate[]>;
  /** The sums of each key type; they begin again at nothing. */
  takeSums(): Promise<readonly LaneSums[]>;
  close(): Promise<void>;
}

/** A lane in this thread. */
export function laneOver(database: Database, setup: LaneSetup): Lane {
  const { participant, keyTypes, algorithm, seqs, seed } = setup;
  const reader: EntryReader =
    algorithm === 'dict' ? dictEntryReader(participant, keyTypes) : plainEntryReader(keyTypes, algorithm);
  let pairs = keyTypes.map(emptyPairSums);
  let buckets: Buckets[] | null = null;
  return {
    async readEntries(range) {
      const candidates: Candidate[] = [];
      const rows = await database.transaction(
        (tx) =>
          reader.read(tx, entriesSource(setup, range), (view) => {
            if (!view.sound) candidates.push({ scope: view.scope, key: keyOf(view) });
            const sums = pairs[view.scope];
            if (view.active && sums !== undefined && view.seq <= (seqs[view.scope] ?? 0)) foldPair(sums, seed, view, 1);
          }),
        { readOnly: true },
      );
      return { rows, candidates };
    },
    async readCids(range, snapshot) {
      buckets ??= keyTypes.map(emptyBuckets);
      const folded = buckets;
      await database.transaction(
        async (tx) => {
          await tx.query(`SET TRANSACTION SNAPSHOT ${tx.connection.escapeLiteral(snapshot)}`);
          await readCidRows(tx, cidsSource(setup, range), keyTypes, (view) => {
            const [sums, into] = [pairs[view.scope], folded[view.scope]];
            if (sums === undefined || into === undefined) return;
            foldPair(sums, seed, view, -1);
            foldBytes(into, view);
          });
        },
        { isolation: 'repeatable read', readOnly: true },
      );
    },
    async compareBuckets(scope, wanted) {
      const keyType = keyTypes[scope];
      return keyType === undefined ? [] : await compared(database, reader, { participant, keyType, scope }, wanted);
    },
    async takeSums() {
      const taken = pairs.map((sums, scope) => ({ pairs: sums, buckets: buckets?.[scope] ?? null }));
      pairs = keyTypes.map(emptyPairSums);
      buckets = null;
      return taken;
    },
    async close() {},
  };
}

function keyOf({ keyBytes, keyFrom, keyTo }: PairPlace): string {
  return keyBytes.toString('utf8', keyFrom, keyTo);
}

/** `foldCid` over bytes in place, without a view for each CID: 10,000,000 views cost a second. */
function foldBytes({ xors, counts }: Buckets, { cidBytes, cidAt }: PairPlace): void {
  const bucket = ((cidBytes[cidAt] ?? 0) << 8) | (cidBytes[cidAt + 1] ?? 0);
  counts[bucket] = (counts[bucket] ?? 0) + 1;
  const start = bucket * (xors.length / BUCKET_COUNT);
  for (let n = 0; n < 32; n++) xors[start + n] = (xors[start + n] ?? 0) ^ (cidBytes[cidAt + n] ?? 0);
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
      // The reader numbers key types by its own list; the source has one key type only.
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
