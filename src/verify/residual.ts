/**
 * What the log and our history leave unexplained, put to DICT: where the residual is a single CID, one by-CID call tells what it
 * is. More than one hidden difference at a time cannot be told apart like this; the CID set file can.
 */

import { asCid, cidToHex } from '../cid/cid.ts';
import { membershipAsOf } from '../vsync/cid-history.ts';
import { emptyVSync, equalVSync, type VSync, xorInto } from '../vsync/vsync.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import { entryByCid } from './entry-by-cid.ts';
import { corrected, type Difference, type Explanation, isZero } from './explanation.ts';
import type { Look, LookDeps } from './look.ts';

/** Holes that are looked up one by one, at most. */
const partsMax = 16;

export interface ResolvedResidual {
  readonly explanation: Explanation;
  /** The CIDs that turned out to be in another state than the log showed. */
  readonly found: ReadonlySet<string>;
}

/**
 * Corrects the look's explanation by what DICT says about the residual: as one CID, else as the log's holes and what is left
 * besides. Null where it stays unexplained. Rejects with DICT's errors that a later try may mend.
 */
export async function resolveResidual(deps: LookDeps, scope: Scope, seen: Look): Promise<ResolvedResidual | null> {
  for (const parts of readings(seen)) {
    const changes: Omit<Difference, 'side'>[] = [];
    const ours = new Set<string>(seen.oursNow);
    for (const part of parts) {
      const change = await judge(deps, scope, seen, part);
      if (change === null) break;
      if (change.ours) ours.add(change.cid);
      changes.push(change);
    }
    if (changes.length < parts.length) continue;
    const explanation = corrected(seen.explanation, changes, ours);
    if (isZero(explanation.residual)) return { explanation, found: new Set(changes.map(({ cid }) => cid)) };
  }
  return null;
}

interface Part {
  readonly value: VSync;
  /** The latest time that the hole leaves open; null where no hole was seen. */
  readonly atMs: number | null;
}

/** The residual as a whole, and cut along the log's holes. */
function readings(seen: Look): readonly Part[][] {
  const { residual } = seen.explanation;
  const holes = seen.log.window.holes;
  const whole = holes.find((hole) => equalVSync(hole.missing, residual));
  const asOne: Part[] = [{ value: residual, atMs: whole?.atMs ?? null }];
  if (holes.length === 0 || holes.length > partsMax || whole !== undefined) return [asOne];
  const rest = emptyVSync();
  xorInto(rest, residual);
  for (const hole of holes) xorInto(rest, hole.missing);
  const parts: Part[] = holes.map((hole) => ({ value: hole.missing, atMs: hole.atMs }));
  return [asOne, isZero(rest) ? parts : [...parts, { value: rest, atMs: null }]];
}

/** Whether DICT's by-CID answer contradicts what the log made us believe of this CID; null where it does not, or nobody knows it. */
async function judge(
  deps: LookDeps,
  scope: Scope,
  seen: Look,
  part: Part,
): Promise<(Omit<Difference, 'side'> & { readonly ours: boolean }) | null> {
  const cid = asCid(part.value);
  const hex = cidToHex(cid);
  const ours = seen.oursNow.has(hex) || (await membershipAsOf(deps.database, scope, [cid], seen.seq)).has(hex);
  const differs = seen.explanation.differences.some((difference) => difference.cid === hex);
  const believed = ours !== differs;
  const answer = await entryByCid(deps, scope, hex);
  if (answer === null || answer.found === believed) return null;
  return { cid: hex, sinceMs: latest(part.atMs, answer.createdMs), ours };
}

function latest(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.max(a, b);
}
