/**
 * Accounts for the difference between our VSync and DICT's by CIDs. Let D be ours (as of a seq) XOR DICT's (at a position of its
 * log), and M the CIDs that one side alone has, judged by the last state that each side shows since an anchor where both were
 * known. XOR(M) = D explains everything; no deltas are replayed, so overlaps and repeats do no harm. Pure.
 */

import { cidFromHex } from '../cid/cid.ts';
import type { CidSetEvent } from '../dict/api.ts';
import { emptyVSync, type VSync, xor, xorInto } from '../vsync/vsync.ts';

/** A CID that one side alone has. Times are DICT's, in milliseconds; null where nothing tells since when. */
export interface Difference {
  /** 64 lower-case hex digits. */
  readonly cid: string;
  readonly side: 'dict' | 'local';
  readonly sinceMs: number | null;
}

/** What both sides show since the anchor. CIDs are 64 lower-case hex digits. */
export interface Evidence {
  readonly ours: VSync;
  readonly dicts: VSync;
  /** DICT's log since the anchor, in order; a longer stretch does no harm. */
  readonly events: readonly CidSetEvent[];
  /** Our last change of each CID since the anchor, at DICT's time as far as clocks allow. */
  readonly changedAtMs: ReadonlyMap<string, number>;
  /** What differed at the anchor itself, since when. */
  readonly exceptions: ReadonlyMap<string, number | null>;
  /** Which of `candidatesOf` were ours at the anchor, and are now. */
  readonly oursAtAnchor: ReadonlySet<string>;
  readonly oursNow: ReadonlySet<string>;
}

export interface Explanation {
  readonly differences: readonly Difference[];
  /** D XOR XOR(M): zero when the differences explain everything. */
  readonly residual: VSync;
  /** CIDs whose state at DICT is only inferred from the anchor: no event of the log shows it. */
  readonly inferred: readonly string[];
}

/** Every CID whose state may have changed on either side since the anchor. */
export function candidatesOf(evidence: Pick<Evidence, 'events' | 'changedAtMs' | 'exceptions'>): Set<string> {
  const candidates = new Set<string>(evidence.changedAtMs.keys());
  for (const event of evidence.events) candidates.add(event.cid);
  for (const cid of evidence.exceptions.keys()) candidates.add(cid);
  return candidates;
}

/** Judges every candidate by its last state on both sides. */
export function explain(evidence: Evidence): Explanation {
  const lastEvent = new Map<string, CidSetEvent>();
  for (const event of evidence.events) lastEvent.set(event.cid, event);
  const differences: Difference[] = [];
  const inferred: string[] = [];
  const residual = xor(evidence.ours, evidence.dicts);
  for (const cid of candidatesOf(evidence)) {
    const event = lastEvent.get(cid);
    if (event === undefined) inferred.push(cid);
    const here = evidence.oursNow.has(cid);
    const there = event === undefined ? evidence.oursAtAnchor.has(cid) !== evidence.exceptions.has(cid) : event.type === 'ADDED';
    if (here === there) continue;
    xorInto(residual, cidFromHex(cid));
    differences.push({ cid, side: here ? 'local' : 'dict', sinceMs: sinceOf(evidence, cid, event) });
  }
  return { differences, residual, inferred };
}

/** The later of both sides' last changes: that is when the present disagreement began. Null where neither changed it. */
export function sinceOf(
  evidence: Pick<Evidence, 'changedAtMs' | 'exceptions'>,
  cid: string,
  event: CidSetEvent | undefined,
): number | null {
  const times = [event?.timestamp.getTime(), evidence.changedAtMs.get(cid), evidence.exceptions.get(cid)].filter(
    (time) => time !== undefined && time !== null,
  );
  return times.length === 0 ? null : Math.max(...times);
}

/** The explanation after learning that these CIDs' states at DICT are the opposite of what it took them for. */
export function corrected(
  explanation: Explanation,
  cids: readonly Omit<Difference, 'side'>[],
  oursNow: ReadonlySet<string>,
): Explanation {
  const differences = new Map(explanation.differences.map((difference) => [difference.cid, difference]));
  const residual = xor(explanation.residual, emptyVSync());
  for (const { cid, sinceMs } of cids) {
    xorInto(residual, cidFromHex(cid));
    if (!differences.delete(cid)) differences.set(cid, { cid, side: oursNow.has(cid) ? 'local' : 'dict', sinceMs });
  }
  return { ...explanation, differences: [...differences.values()], residual };
}

/** Whether a residual or a difference of VSyncs is nothing. */
export function isZero(vsync: VSync): boolean {
  return vsync.every((byte) => byte === 0);
}
