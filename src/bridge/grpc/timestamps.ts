/** Moments between the program's `Date` and the wire's Timestamp, to the millisecond. */

import { type Timestamp, timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';

/** The moment for the wire. */
export function timestampOf(date: Date): Timestamp {
  return timestampFromMs(date.getTime());
}

/** The moment from the wire, or null where it is none that a `Date` can hold. Finer digits than milliseconds are rounded. */
export function dateOf(timestamp: Timestamp): Date | null {
  const date = new Date(timestampMs(timestamp));
  return Number.isNaN(date.getTime()) ? null : date;
}
