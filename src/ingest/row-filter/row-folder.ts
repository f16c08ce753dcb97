/**
 * What reads rows and folds them: in the WebAssembly kernel where it is there (kernel-folder.ts), in plain TypeScript otherwise
 * (plain-folder.ts), which is the specification.
 */

import type { CidAlgorithm } from '../../cid/cid.ts';
import type { Transaction } from '../../platform/postgres/database.ts';
import type { Buckets } from '../../vsync/buckets.ts';
import type { PairSeed, PairSums } from './pair-sums.ts';
import type { SourceScopes } from './row-source.ts';

/** Plain data: it also travels to a thread. */
export interface FolderSetup extends SourceScopes {
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
  /** Rows that may not be what they hash to. */
  readonly candidates: readonly Candidate[];
}

/** Of one key type, since they were last taken. */
export interface FoldedSums {
  /** Pairs of ACTIVE rows, minus those of CIDs that count. */
  readonly pairs: PairSums;
  /** CIDs that counted as of the seq; null while none were read. */
  readonly buckets: Buckets | null;
}

export interface RowFolder {
  /** Hashes rows of a source (row-source.ts) and folds those that count. */
  readEntries(tx: Transaction, source: string): Promise<EntriesRead>;
  /** Folds CIDs of a source; `seqs`: as of which those of each key type are put into buckets. */
  readCids(tx: Transaction, source: string, seqs: readonly number[]): Promise<void>;
  /** The sums of each key type; they begin again at nothing. */
  takeSums(): readonly FoldedSums[];
}
