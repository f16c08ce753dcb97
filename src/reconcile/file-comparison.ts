/**
 * The CID set file against our CIDs as of one seq, in bounded memory: one pass folds the file into buckets. Where buckets differ by
 * one CID each, that tells which; where one differs by more, a second pass collects the lines of those that differ, beside a range
 * read of ours, and where much differs by slices of buckets. Nothing is judged here: what comes out are CIDs that one side alone has.
 */

import { closeSync, openSync, readSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { asCid, type Cid, cidToHex } from '../cid/cid.ts';
import { cidFingerprint } from '../ledger/masking.ts';
import { digestFile } from '../platform/file-digest.ts';
import type { Sql } from '../platform/postgres/database.ts';
import { activeCidsInBuckets } from '../vsync/active-cids.ts';
import { type BucketsAsOf, readBuckets } from '../vsync/bucket-store.ts';
import { type Buckets, differingBuckets } from '../vsync/buckets.ts';
import { collectLines, foldLines, type LineReader } from '../vsync/cid-lines.ts';
import type { LineBuckets } from '../vsync/line-kernel.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import { FileRefused, refuseLine } from './cid-set-file.ts';
import { loneDifferences } from './lone-difference.ts';

const readBytes = 262_144;
/** After so many reads, some milliseconds, others have their turn. */
const readsPerTurn = 8;

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

/** The file that was downloaded, by where it lies and by its digest. */
export interface ExpectedFile {
  readonly path: string;
  readonly sha256: Buffer;
}

interface Limits {
  /** More differences than this refuse the file. */
  readonly differencesMax: number;
  /** Buckets and lines that one slice may hold in memory. */
  readonly sliceBuckets: number;
  readonly sliceCids: number;
  /** Called now and then while it goes on. */
  readonly onProgress: () => Promise<void>;
}

/**
 * Compares the file of that digest with our CIDs as of the present seq; null where the file is not there, or is another one. Throws
 * `FileRefused` over duplicate lines, which it names, and over too many differences. The file is hashed on another thread while this
 * one folds and collects, and nothing is told before its digest has proven right.
 */
export async function compareFile(sql: Sql, scope: Scope, file: ExpectedFile, limits: Limits): Promise<Comparison | null> {
  const digest = digestFile(file.path);
  try {
    const [folded, ours] = await Promise.all([foldFile(file.path, limits.onProgress), readBuckets(sql, scope)]);
    const comparison = await compareBuckets(sql, scope, { file: file.path, folded, ours }, limits);
    return (await digest.sha256).equals(file.sha256) ? comparison : null;
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return null;
    // Of a file that is not the one that was downloaded nothing is believed, not even what is wrong with it.
    if (cause instanceof FileRefused && !(await digest.sha256).equals(file.sha256)) return null;
    throw cause;
  } finally {
    await digest.end();
  }
}

async function foldFile(file: string, onProgress: () => Promise<void>): Promise<LineBuckets> {
  const reader = foldLines(refuseLine);
  await readLines(file, reader, onProgress);
  return reader.buckets;
}

interface Sides {
  readonly file: string;
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
  { file, ours }: { readonly file: string; readonly ours: BucketsAsOf },
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
async function linesOf(file: string, buckets: readonly number[], onProgress: () => Promise<void>): Promise<Map<string, number>> {
  const lines = new Map<string, number>();
  const onFound = (cid: Cid, line: number): void => {
    const hex = cidToHex(cid);
    const before = lines.get(hex);
    if (before !== undefined) throw duplicated(cid, before, line);
    lines.set(hex, line);
  };
  await readLines(file, collectLines(buckets, onFound, refuseLine), onProgress);
  return lines;
}

/** Named by line and fingerprint, since a CID is not to be shown. */
function duplicated(cid: Cid, first: number, second: number): FileRefused {
  return new FileRefused(
    'duplicated',
    `lines ${first} and ${second} hold the same CID (fingerprint ${cidFingerprint(asCid(cid))})`,
  );
}

/**
 * The whole file through a reader, straight into its memory. Read on this thread, a little at a time: what another one reads lies in
 * another processor's cache, which was measured to cost as much again as folding it.
 */
async function readLines(file: string, reader: LineReader, onProgress: () => Promise<void>): Promise<void> {
  const handle = openSync(file, 'r');
  try {
    for (let bytes = -1, read = 0; bytes !== 0; read++) {
      const space = reader.space();
      bytes = readSync(handle, space, 0, Math.min(space.length, readBytes), null);
      reader.filled(bytes);
      if (read % readsPerTurn === 0) {
        await onProgress();
        await setImmediate();
      }
    }
  } finally {
    closeSync(handle);
  }
  reader.end();
}
