/** Folds rows in plain TypeScript: the specification of the kernel, and what serves where there is none or the algorithm is another. */

import { BUCKET_COUNT, type Buckets, emptyBuckets } from '../../vsync/buckets.ts';
import { readCidRows } from './cid-rows.ts';
import { dictEntryReader, type EntryReader } from './entry-rows.ts';
import { emptyPairSums, foldPair, type PairPlace } from './pair-sums.ts';
import { plainEntryReader } from './plain-entries.ts';
import type { Candidate, FolderSetup, RowFolder } from './row-folder.ts';

/** What reads entries under the setup's algorithm. */
export function entryReader({ participant, keyTypes, algorithm }: FolderSetup): EntryReader {
  return algorithm === 'dict' ? dictEntryReader(participant, keyTypes) : plainEntryReader(keyTypes, algorithm);
}

/** A folder with nothing folded. */
export function plainFolder(setup: FolderSetup): RowFolder {
  const { keyTypes, seed } = setup;
  const reader = entryReader(setup);
  let pairs = keyTypes.map(emptyPairSums);
  let buckets: Buckets[] | null = null;
  return {
    async readEntries(tx, source) {
      const candidates: Candidate[] = [];
      const rows = await reader.read(tx, source, (view) => {
        if (!view.sound) candidates.push({ scope: view.scope, key: keyOf(view) });
        const sums = pairs[view.scope];
        if (view.active && sums !== undefined) foldPair(sums, seed, view, 1);
      });
      return { rows, candidates };
    },
    async readCids(tx, source, seqs) {
      buckets ??= keyTypes.map(emptyBuckets);
      const folded = buckets;
      await readCidRows(tx, source, keyTypes, (view) => {
        const [sums, into, seq] = [pairs[view.scope], folded[view.scope], seqs[view.scope]];
        if (sums === undefined || into === undefined || seq === undefined) return;
        if (view.removedSeq === null) foldPair(sums, seed, view, -1);
        if (view.addedSeq <= seq && (view.removedSeq === null || view.removedSeq > seq)) foldBytes(into, view);
      });
    },
    takeSums() {
      const taken = pairs.map((sums, scope) => ({ pairs: sums, buckets: buckets?.[scope] ?? null }));
      pairs = keyTypes.map(emptyPairSums);
      buckets = null;
      return taken;
    },
  };
}

/** The key as text. */
export function keyOf({ keyBytes, keyFrom, keyTo }: PairPlace): string {
  return keyBytes.toString('utf8', keyFrom, keyTo);
}

/** `foldCid` over bytes in place, without a view for each CID: 10,000,000 views cost a second. */
export function foldBytes({ xors, counts }: Buckets, { cidBytes, cidAt }: Pick<PairPlace, 'cidBytes' | 'cidAt'>): void {
  const bucket = ((cidBytes[cidAt] ?? 0) << 8) | (cidBytes[cidAt + 1] ?? 0);
  counts[bucket] = (counts[bucket] ?? 0) + 1;
  const start = bucket * (xors.length / BUCKET_COUNT);
  for (let n = 0; n < 32; n++) xors[start + n] = (xors[start + n] ?? 0) ^ (cidBytes[cidAt + n] ?? 0);
}
