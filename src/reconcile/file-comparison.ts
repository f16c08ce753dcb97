/**
 * The CID set file against our CIDs as of one seq, in bounded memory: one pass folds the file into buckets. Where buckets differ by
 * one CID each, that tells which; where one differs by more, a second pass collects the lines of those that differ, beside a range
 * read of ours, and where much differs by slices of buckets. Nothing is judged here: what comes out are CIDs that one side alone has.
 *
 * The file is read through its decryption, which proves every byte to be what the download wrote and held against DICT's digest: it is
 * not hashed again.
 */

import { asCid, type Cid, cidToHex } from '../cid/cid.ts';
import { cidFingerprint } from '../ledger/masking.ts';
import type { Sql } from '../platform/postgres/database.ts';
import { SealedFileRefused } from '../platform/sealed-file.ts';
import { activeCidsInBuckets } from '../vsync/active-cids.ts';
import { type BucketsAsOf, readBuckets } from '../vsync/bucket-store.ts';
import { type Buckets, differingBuckets } from '../vsync/buckets.ts';
import { collectLines } from '../vsync/cid-lines.ts';
import type { LineBuckets } from '../vsync/line-kernel.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import { FileRefused, refuseLine } from './cid-set-file.ts';
import { loneDifferences } from './lone-difference.ts';
import { foldSealedLines, readSealedLines } from './sealed-lines.ts';
import type { StoredFile } from './segment-folding.ts';

/** CIDs that one side alone has, as hex. */
export interface SetDifference {
  readonly dict: ReadonlySet<string>;
  readonly local: ReadonlySet<string>;
}

export interface Comparison extends SetDifference {
  /** As of which seq ours were, and how many. */
  readonly seq: number;
  readonly keys: number;
  readonly buckets: number;
  readonly slices: number;
}

/** The file that was downloaded, by where it lies, by its digest, and by the key that it is encrypted with. */
export interface ExpectedFile {
  readonly path: string;
  readonly sha256: Buffer;
  readonly key: Buffer;
}

interface Limits {
  /** More differences than this refuse the file. */
  readonly differencesMax: number;
  /** Buckets and lines that one slice may hold in memory. */
  readonly sliceBuckets: number;
  readonly sliceCids: number;
  /** Called now and then while it goes on. */
  readonly onProgress: () => Promise<void>;
  /** Told where the file is there and is not what was downloaded. */
  readonly onRefused?: (refusal: SealedFileRefused) => void;
}

/**
 * Compares the file of that digest with our CIDs as of the present seq; null where the file is not there, or is another one, or was
 * changed. Throws `FileRefused` over duplicate lines, which it names, and over too many differences.
 */
export async function compareFile(sql: Sql, scope: Scope, expected: ExpectedFile, limits: Limits): Promise<Comparison | null> {
  const file: StoredFile = { path: expected.path, seal: { key: expected.key, context: expected.sha256 } };
  try {
    const [folded, ours] = await Promise.all([foldSealedLines(file, limits.onProgress), readBuckets(sql, scope)]);
    return await compareBuckets(sql, scope, { file, folded, ours }, limits);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return null;
    if (!(cause instanceof SealedFileRefused)) throw cause;
    limits.onRefused?.(cause);
    return null;
  }
}

interface Sides {
  readonly file: StoredFile;
  readonly folded: LineBuckets;
  readonly ours: BucketsAsOf;
}

async function compareBuckets(sql: Sql, scope: Scope, sides: Sides, limits: Limits): Promise<Comparison> {
  const { seq, keys } = sides.ours;
  const differing = differingBuckets(sides.folded, sides.ours.buckets);
  const lone = differing.length <= limits.differencesMax ? await loneDifferences(sql, scope, sides, differing) : null;
  if (lone !== null) return { ...lone, seq, keys, buckets: differing.length, slices: 0 };
  const slices = slicesOf(differing, sides, limits);
  const dict = new Set<string>();
  const local = new Set<string>();
  for (const slice of slices) {
    const found = await compareSlice(sql, scope, sides, slice, limits.onProgress);
    for (const cid of found.dict) dict.add(cid);
    for (const cid of found.local) local.add(cid);
    if (dict.size + local.size > limits.differencesMax) {
      throw new FileRefused(
        'implausible',
        `more than ${limits.differencesMax} CIDs differ: load the base anew with \`dict-vsync import\` instead`,
      );
    }
  }
  return { dict, local, seq, keys, buckets: differing.length, slices: slices.length };
}

/** Groups of buckets whose lines on both sides fit into memory together; a bucket alone always goes. */
function slicesOf(
  differing: readonly number[],
  { folded, ours }: { readonly folded: Buckets; readonly ours: BucketsAsOf },
  limits: Limits,
): number[][] {
  const slices: number[][] = [];
  let cids = 0;
  for (const bucket of differing) {
    const size = (folded.counts[bucket] ?? 0) + (ours.buckets.counts[bucket] ?? 0);
    const last = slices.at(-1);
    if (last === undefined || last.length >= limits.sliceBuckets || cids + size > limits.sliceCids) {
      slices.push([bucket]);
      cids = size;
    } else {
      last.push(bucket);
      cids += size;
    }
  }
  return slices;
}

async function compareSlice(
  sql: Sql,
  scope: Scope,
  { file, ours }: { readonly file: StoredFile; readonly ours: BucketsAsOf },
  buckets: readonly number[],
  onProgress: () => Promise<void>,
): Promise<SetDifference> {
  const lines = await linesOf(file, buckets, onProgress);
  const local = new Set<string>();
  for await (const page of activeCidsInBuckets(sql, scope, { seq: ours.seq, buckets })) {
    for (const cid of page) {
      const hex = cidToHex(cid);
      if (!lines.delete(hex)) local.add(hex);
    }
    await onProgress();
  }
  return { dict: new Set(lines.keys()), local };
}

/** The file's CIDs of these buckets, with their line numbers. A CID that stands there twice makes its bucket differ, hence is met. */
async function linesOf(
  file: StoredFile,
  buckets: readonly number[],
  onProgress: () => Promise<void>,
): Promise<Map<string, number>> {
  const lines = new Map<string, number>();
  const onFound = (cid: Cid, line: number): void => {
    const hex = cidToHex(cid);
    const before = lines.get(hex);
    if (before !== undefined) throw duplicated(cid, before, line);
    lines.set(hex, line);
  };
  await readSealedLines(file, collectLines(buckets, onFound, refuseLine), onProgress);
  return lines;
}

/** Named by line and fingerprint, since a CID is not to be shown. */
function duplicated(cid: Cid, first: number, second: number): FileRefused {
  return new FileRefused(
    'duplicated',
    `lines ${first} and ${second} hold the same CID (fingerprint ${cidFingerprint(asCid(cid))})`,
  );
}
