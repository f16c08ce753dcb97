/**
 * The end of the story, judged by nothing but what both sides hold: every active entry of the base beside DICT's, attribute by
 * attribute, with RequestId and CID; and every VSync computed again from the entries.
 */

import { type Cid, cidToHex, computeCid } from '../cid/cid.ts';
import type { Entry } from '../dict/entry.ts';
import type { KeyType } from '../dict/key-type.ts';
import { readEntriesAfter } from '../ingest/entry-store.ts';
import type { Database } from '../platform/postgres/database.ts';
import type { ActiveEntry, SimulatorState } from '../simulator/control.ts';
import type { Scope } from '../vsync/scope.ts';
import { vsyncOf, vsyncToHex } from '../vsync/vsync.ts';
import { readVSync } from '../vsync/vsync-store.ts';

export interface Comparison {
  readonly keyType: KeyType;
  /** Active entries that are the same on both sides. */
  readonly equal: number;
  readonly onlyHere: number;
  readonly onlyAtDict: number;
  /** In an attribute, the RequestId or the CID. */
  readonly different: number;
  /** DICT's VSync, ours as stored, and ours computed again from the entries are one. */
  readonly vsyncEqual: boolean;
  readonly vsync: string;
  readonly same: boolean;
}

const pageKeys = 5_000;

/** Compares one key type. Nothing may change on either side meanwhile. */
export async function compareSides(database: Database, state: SimulatorState, scope: Scope): Promise<Comparison> {
  const theirs = new Map<string, ActiveEntry>();
  for (const active of state.activeEntries(scope)) theirs.set(active.entry.key, active);
  const counts = { equal: 0, onlyHere: 0, different: 0 };
  const cids: Cid[] = [];
  let after: string | null = null;
  do {
    const page = await readEntriesAfter(database, scope, { after, limit: pageKeys });
    for (const stored of page) {
      if (stored.status !== 'ACTIVE') continue;
      cids.push(computeCid(stored.entry, stored.requestId));
      const active = theirs.get(stored.key);
      theirs.delete(stored.key);
      if (active === undefined) counts.onlyHere += 1;
      else if (isSame(active, stored)) counts.equal += 1;
      else counts.different += 1;
    }
    after = page.length < pageKeys ? null : (page.at(-1)?.key ?? null);
  } while (after !== null);
  const dict = state.vsync(scope);
  const ours = await readVSync(database, scope);
  const vsync = vsyncToHex(ours.vsync);
  const vsyncEqual = dict.vsync === vsync && vsyncToHex(vsyncOf(cids)) === vsync && dict.keys === ours.keys;
  const onlyAtDict = theirs.size;
  const same = vsyncEqual && counts.onlyHere === 0 && counts.different === 0 && onlyAtDict === 0;
  return { keyType: scope.keyType, ...counts, onlyAtDict, vsyncEqual, vsync, same };
}

function isSame(
  theirs: ActiveEntry,
  ours: { readonly entry: Entry; readonly requestId: string; readonly cid: Parameters<typeof cidToHex>[0] },
): boolean {
  return (
    theirs.requestId === ours.requestId &&
    theirs.cid === cidToHex(ours.cid) &&
    attributes(theirs.entry) === attributes(ours.entry)
  );
}

function attributes({ key, keyType, account, owner }: Entry): string {
  const { participant, branch, accountNumber, accountType, openingDate } = account;
  const { type, taxIdNumber, name, tradeName } = owner;
  const opened = new Date(openingDate).getTime();
  return JSON.stringify([
    key,
    keyType,
    participant,
    branch,
    accountNumber,
    accountType,
    opened,
    type,
    taxIdNumber,
    name,
    tradeName,
  ]);
}
