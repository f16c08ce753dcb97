/**
 * A sealed file of lines folded by several threads at once, each of which takes the next segment that nobody has taken: none waits for
 * another, however late it has started. Segments are proven each by itself, and where its lines begin follows from its number, since usual
 * lines are equally long; the lines that lie over two segments are put together in memory that all threads see. Halves, one a thread, left
 * the first one waiting for the 60 ms that the second takes to start.
 *
 * Each thread reads and decrypts what it folds, since what another one has read lies in another processor's cache, which was measured to
 * cost as much again as folding it. Whatever is not usual is only noticed here: reading in order (sealed-lines.ts) tells what it is.
 */

import { openSealedSegments, type Seal, SealedFileRefused } from '../platform/sealed-file.ts';
import { foldLines, type LineReader } from '../vsync/cid-lines.ts';
import { mergeLineBuckets } from '../vsync/line-fold.ts';
import { LINE_BYTES, type LineBuckets } from '../vsync/line-kernel.ts';

/** Where a sealed file lies and what opens it. */
export interface StoredFile {
  readonly path: string;
  readonly seal: Seal;
}

/** What the threads share; the arrays lie in memory that all of them see. */
export interface SharedFolding {
  readonly file: StoredFile;
  readonly segments: number;
  /** Of each segment but the last one. */
  readonly segmentBytes: number;
  /** By `nextAt` and the places below it. */
  readonly state: Int32Array;
  /** A line for each segment: the one that it ends in, which the next one begins with the rest of. */
  readonly edges: Uint8Array;
}

/** The next segment that nobody has taken. */
const nextAt = 0;
/** Whether a thread beside the first one has begun to take segments. */
const joinedAt = 1;
/** Bytes of the last segment, once it was read. */
const lastBytesAt = 2;
const stateBytes = 3 * Int32Array.BYTES_PER_ELEMENT;

/** Opens the folding of a file; null where its segments are too short for it. Throws `SealedFileRefused`, `ENOENT` where there is no file. */
export function shareFolding(file: StoredFile): SharedFolding | null {
  const { count, contentBytes, close } = openSealedSegments(file.path, file.seal);
  close();
  if (contentBytes < LINE_BYTES) return null;
  return {
    file,
    segments: count,
    segmentBytes: contentBytes,
    state: new Int32Array(new SharedArrayBuffer(stateBytes)),
    edges: new Uint8Array(new SharedArrayBuffer(count * LINE_BYTES)),
  };
}

/** A reader that is content with usual lines alone. */
export interface UsualLines extends LineReader {
  readonly buckets: LineBuckets;
}

/** A line or segment that is to be told by reading in order. */
class Unusual extends Error {
  override readonly name = 'Unusual';
}

/** A reader for `foldTaken`. */
export function usualLines(): UsualLines {
  return foldLines(() => {
    throw new Unusual('a line that is not usual');
  });
}

/** Whether reading the file in order will tell what went wrong. */
export function isToldInOrder(cause: unknown): boolean {
  return cause instanceof Unusual || cause instanceof SealedFileRefused;
}

/**
 * Folds the lines within segments as long as there are any that nobody has taken; gives the turn back after each. Ends the others' work
 * too where it throws; what it throws may be `isToldInOrder`.
 */
export function* foldTaken(shared: SharedFolding, reader: UsualLines): Generator<void, void, undefined> {
  const { file, segments, state } = shared;
  const sealed = openSealedSegments(file.path, file.seal);
  try {
    if (sealed.count !== segments || sealed.contentBytes !== shared.segmentBytes) throw new Unusual('a file that changes');
    // Ends: each turn takes one of `segments`.
    for (let number = Atomics.add(state, nextAt, 1); number < segments; number = Atomics.add(state, nextAt, 1)) {
      foldSegment(shared, reader, number, sealed.read(number));
      yield;
    }
  } catch (cause) {
    Atomics.store(state, nextAt, segments);
    throw cause;
  } finally {
    sealed.close();
  }
}

function foldSegment(
  { segments, segmentBytes, state, edges }: SharedFolding,
  reader: UsualLines,
  number: number,
  content: Buffer,
) {
  if (number === segments - 1) Atomics.store(state, lastBytesAt, content.length);
  else if (content.length !== segmentBytes) throw new Unusual('a segment that is not full');
  const headBytes = headBytesOf(segmentBytes, number, content.length);
  const tailBytes = (content.length - headBytes) % LINE_BYTES;
  // The line of the segment before ends where its first line would begin.
  if (headBytes > 0) edges.set(content.subarray(0, headBytes), number * LINE_BYTES - restBytesOf(segmentBytes, number));
  edges.set(content.subarray(content.length - tailBytes), number * LINE_BYTES);
  reader.read(content.subarray(headBytes, content.length - tailBytes));
}

/** How many bytes of that segment's beginning belong to a line that began before it, were the segment long enough. */
function restBytesOf(segmentBytes: number, number: number): number {
  return (LINE_BYTES - ((number * segmentBytes) % LINE_BYTES)) % LINE_BYTES;
}

function headBytesOf(segmentBytes: number, number: number, contentBytes: number): number {
  return Math.min(restBytesOf(segmentBytes, number), contentBytes);
}

/**
 * Folds the lines that lie over two segments, and the last one where its line feed is missing, and ends the reader. To be called when all
 * segments are folded, by whomever. Throws what `foldTaken` throws.
 */
function foldEdges({ segments, segmentBytes, state, edges }: SharedFolding, reader: UsualLines): void {
  const lastBytes = Atomics.load(state, lastBytesAt);
  for (let number = 0; number < segments; number++) {
    const contentBytes = number === segments - 1 ? lastBytes : segmentBytes;
    const nextBytes = number === segments - 2 ? lastBytes : segmentBytes;
    const tailBytes = (contentBytes - headBytesOf(segmentBytes, number, contentBytes)) % LINE_BYTES;
    const restBytes = number === segments - 1 ? 0 : headBytesOf(segmentBytes, number + 1, nextBytes);
    reader.read(edges.subarray(number * LINE_BYTES, number * LINE_BYTES + tailBytes + restBytes));
  }
  reader.end();
}

/** What a thread beside the first one comes to. Null: to be told by reading in order. */
export function foldBeside(shared: SharedFolding): LineBuckets | null {
  // Before the first segment is taken: where the first thread finds none left and this not set, nobody else ever took one.
  Atomics.store(shared.state, joinedAt, 1);
  const reader = usualLines();
  try {
    for (const _ of foldTaken(shared, reader));
    reader.end();
  } catch (cause) {
    if (isToldInOrder(cause)) return null;
    throw cause;
  }
  // The reader's are in the kernel's memory, which cannot be handed over.
  const { xors, counts, sums } = reader.buckets;
  return { xors: xors.slice(), counts: counts.slice(), sums: sums.slice() };
}

/**
 * Brings together what the first thread's reader has folded, when `foldTaken` has ended, and what the other one comes to, which is not
 * waited for where it came too late for any segment. Null: to be told by reading in order; may also throw what is.
 */
export async function foldedTogether(
  shared: SharedFolding,
  reader: UsualLines,
  beside: Promise<LineBuckets | null>,
): Promise<LineBuckets | null> {
  const isJoined = Atomics.load(shared.state, joinedAt) !== 0;
  const others = isJoined ? await beside : null;
  if (isJoined && others === null) return null;
  foldEdges(shared, reader);
  if (others !== null) mergeLineBuckets(reader.buckets, others);
  return reader.buckets;
}
