/**
 * A sealed file of lines folded by several threads at once, each of which takes the next segment that nobody has taken: none waits for
 * another, however late it has started. Segments are written to hold whole lines (`SEGMENT_BYTES`) and are proven each by itself, so
 * that it does not matter who folds which. Halves, one a thread, left the first one waiting for the 60 ms that the second takes to start.
 *
 * Each thread reads and decrypts what it folds, since what another one has read lies in another processor's cache, which was measured to
 * cost as much again as folding it. Whatever is not usual is only noticed here: reading in order (sealed-lines.ts) tells what it is.
 */

import { openSealedSegments, type Seal, SealedFileRefused } from '../platform/sealed-file.ts';
import { foldLines, type LineReader } from '../vsync/cid-lines.ts';
import { LINE_BYTES, type LineBuckets } from '../vsync/line-kernel.ts';

/** Where a sealed file lies and what opens it. */
export interface StoredFile {
  readonly path: string;
  readonly seal: Seal;
}

/** What the threads share. */
export interface SharedFolding {
  readonly file: StoredFile;
  readonly segments: number;
  /** By `nextAt` and `joinedAt`, on memory that all threads see. */
  readonly state: Int32Array;
}

/** Content of a segment of CID set files: whole lines, and small enough to stay in the processor's cache. */
export const SEGMENT_BYTES = 4_032 * LINE_BYTES;

/** The next segment that nobody has taken. */
const nextAt = 0;
/** Whether a thread beside the first one has begun to take segments. */
const joinedAt = 1;
const stateBytes = 2 * Int32Array.BYTES_PER_ELEMENT;

/** Opens the folding of a file. Throws `SealedFileRefused` over its header, `ENOENT` where there is no file. */
export function shareFolding(file: StoredFile): SharedFolding {
  const { count, close } = openSealedSegments(file.path, file.seal);
  close();
  return { file, segments: count, state: new Int32Array(new SharedArrayBuffer(stateBytes)) };
}

/** Whether a thread of another one's has taken part, or still may. Told after `foldTaken` has ended. */
export function isJoined({ state }: SharedFolding): boolean {
  return Atomics.load(state, joinedAt) !== 0;
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
 * Folds segments as long as there are any that nobody has taken; gives the turn back after each. Ends the others' work too where it
 * throws; what it throws may be `isToldInOrder`.
 */
export function* foldTaken({ file, segments, state }: SharedFolding, reader: UsualLines): Generator<void, void, undefined> {
  const sealed = openSealedSegments(file.path, file.seal);
  try {
    if (sealed.count !== segments) throw new Unusual('a file that changes');
    // Ends: each turn takes one of `segments`.
    for (let number = Atomics.add(state, nextAt, 1); number < segments; number = Atomics.add(state, nextAt, 1)) {
      const content = sealed.read(number);
      if (content.length % LINE_BYTES !== 0 && number < segments - 1) throw new Unusual('a line that lies over two segments');
      reader.read(content);
      yield;
    }
    reader.end();
  } catch (cause) {
    Atomics.store(state, nextAt, segments);
    throw cause;
  } finally {
    sealed.close();
  }
}

/** What a thread beside the first one comes to. Null: to be told by reading in order. */
export function foldBeside(shared: SharedFolding): LineBuckets | null {
  // Before the first segment is taken: where the first thread finds none left and this not set, nobody else ever took one.
  Atomics.store(shared.state, joinedAt, 1);
  const reader = usualLines();
  try {
    for (const _ of foldTaken(shared, reader));
  } catch (cause) {
    if (isToldInOrder(cause)) return null;
    throw cause;
  }
  // The reader's are in the kernel's memory, which cannot be handed over.
  const { xors, counts, sums } = reader.buckets;
  return { xors: xors.slice(), counts: counts.slice(), sums: sums.slice() };
}
