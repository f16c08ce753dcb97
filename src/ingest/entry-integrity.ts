/**
 * Whether one key's row and its CIDs agree: attributes hash to the CID, and exactly the ACTIVE entry's CID counts. Pure; reading
 * them is scan.ts, mending them is rebuild.ts. The history is what is believed: the VSync that DICT confirmed was made of it.
 */

import type { Cid, CidAlgorithm } from '../cid/cid.ts';
import { cidToHex } from '../cid/cid.ts';
import type { KeyState } from './stored-entry.ts';
import { cidOfState } from './stored-entry.ts';

/** What can be wrong with a key; the names stand in scan_findings. */
export type KeyFault = 'altered' | 'missing' | 'surplus' | 'duplicated';

export interface KeyFinding {
  readonly kind: KeyFault;
  readonly key: string;
  /** The CID that counts, or that the row itself has where none does. */
  readonly storedCid: Cid | null;
  /** What the stored attributes give; null where they give none. */
  readonly computedCid: Cid | null;
}

/** The CID that the stored attributes give, or null where there is no RequestId to compute one with. */
export function computedCid(state: KeyState, algorithm: CidAlgorithm): Cid | null {
  if (state.status === 'DELETED' || state.status === 'UNRESOLVED') return null;
  return cidOfState(state, algorithm);
}

/** `counting`: the CIDs that count for the key; usually one for an ACTIVE entry and none for any other. */
export function checkKey(key: string, state: KeyState | null, counting: readonly Cid[], algorithm: CidAlgorithm): KeyFinding[] {
  const computed = state === null ? null : computedCid(state, algorithm);
  if (state === null || state.status !== 'ACTIVE') {
    const surplus = counting.map((cid): KeyFinding => ({ kind: 'surplus', key, storedCid: cid, computedCid: computed }));
    const altered = state !== null && !same(state.cid, computed);
    return altered ? [...surplus, { kind: 'altered', key, storedCid: state.cid, computedCid: computed }] : surplus;
  }
  if (counting.length === 0) return [{ kind: 'missing', key, storedCid: state.cid, computedCid: computed }];
  const own = counting.find((cid) => same(cid, state.cid)) ?? counting.find((cid) => same(cid, computed)) ?? counting[0];
  if (own === undefined) return [];
  const findings: KeyFinding[] = [];
  if (!same(own, computed) || !same(own, state.cid))
    findings.push({ kind: 'altered', key, storedCid: own, computedCid: computed });
  for (const cid of counting) {
    if (!same(cid, own)) findings.push({ kind: 'duplicated', key, storedCid: cid, computedCid: computed });
  }
  return findings;
}

function same(a: Cid | null, b: Cid | null): boolean {
  return a === b || (a !== null && b !== null && cidToHex(a) === cidToHex(b));
}
