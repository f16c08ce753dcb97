/** Folds rows in plain TypeScript: the specification of the kernel, and what serves where there is none or the algorithm is another. */

import { type Buckets, emptyBuckets, foldCidAt } from '../../vsync/buckets.ts';
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
        if (view.addedSeq <= seq && (view.removedSeq === null || view.removedSeq > seq))
          foldCidAt(into, view.cidBytes, view.cidAt);
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
