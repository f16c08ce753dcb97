/** From records in ascending order to differences: equal CIDs are brought together, and told where the two files do not have them equally often. */

import { CID_BYTES } from '../cid/cid.ts';
import type { RecordCursor } from './sorted-records.ts';

export type Side = 0 | 1;

/** How often a file has a CID, and the first lines of those. */
export interface Occurrences {
  readonly times: number;
  readonly lines: readonly number[];
}

/** Who hears of the differences, ascending by CID. */
export interface DifferenceSink {
  /** One file has the CID and the other does not. The bytes are good during the call. */
  onlyIn(side: Side, bytes: Uint8Array, at: number): void;
  /** One file has the CID more than once, and the other less often or not at all: then besides `onlyIn`. */
  repeated(cid: string, occurrences: readonly [Occurrences, Occurrences]): void;
  /** Called now and then, and at the end; answers false where nobody wants to hear more. */
  flush(): Promise<boolean>;
}

/** More lines of one CID are only counted. */
const occurrenceLinesMax = 21;
const flushedAfterRecords = 20_000;

class OccurrenceCount implements Occurrences {
  times = 0;
  lines: number[] = [];

  add(line: number): void {
    this.times += 1;
    if (this.lines.length < occurrenceLinesMax) this.lines.push(line);
  }

  /** Most CIDs are there once: their array is used again. */
  clear(): void {
    this.times = 0;
    this.lines.length = 0;
  }
}

/** Tells the differences among the records; false where the sink wanted no more. Rejects with the signal's reason. */
export async function tellDifferences(records: RecordCursor, signal: AbortSignal, sink: DifferenceSink): Promise<boolean> {
  const cid = Buffer.alloc(CID_BYTES);
  const both = [new OccurrenceCount(), new OccurrenceCount()] as const;
  let sinceFlush = 0;
  let more = records.next();
  while (more) {
    copyCid(cid, records);
    both[0].clear();
    both[1].clear();
    do {
      both[records.side].add(records.line);
      sinceFlush += 1;
      more = records.next();
    } while (more && isSame(cid, records));
    const [a, b] = both;
    if (a.times !== b.times) {
      if (b.times === 0) sink.onlyIn(0, cid, 0);
      else if (a.times === 0) sink.onlyIn(1, cid, 0);
      if (a.times > 1 || b.times > 1) sink.repeated(cid.toString('hex'), [told(a), told(b)]);
    }
    if (sinceFlush < flushedAfterRecords) continue;
    sinceFlush = 0;
    signal.throwIfAborted();
    if (!(await sink.flush())) return false;
  }
  return await sink.flush();
}

function told({ times, lines }: Occurrences): Occurrences {
  return { times, lines: [...lines] };
}

// Byte by byte: neighbours in the order differ after three bytes as a rule, and a view of 32 bytes costs more than they do.

function copyCid(cid: Uint8Array, { bytes, at }: RecordCursor): void {
  for (let byte = 0; byte < CID_BYTES; byte++) cid[byte] = bytes[at + byte] ?? 0;
}

function isSame(cid: Uint8Array, { bytes, at }: RecordCursor): boolean {
  for (let byte = 0; byte < CID_BYTES; byte++) if (cid[byte] !== bytes[at + byte]) return false;
  return true;
}
