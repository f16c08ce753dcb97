/** The oracle of a scan: every key that a row or a counting CID knows, one after the other, judged by itself. */

import { asCid, type Cid, cidToHex } from '../../src/cid/cid.ts';
import { checkKey, type KeyFinding } from '../../src/ingest/entry-integrity.ts';
import { readEntriesAfter } from '../../src/ingest/entry-store.ts';
import { readParticipant } from '../../src/ingest/participant-store.ts';
import type { Database } from '../../src/platform/postgres/database.ts';
import { storedSums } from '../../src/vsync/bucket-store.ts';
import { differingBuckets, emptyBuckets, foldCid } from '../../src/vsync/buckets.ts';
import { emptyVSync, equalVSync, vsyncToHex, xorInto } from '../../src/vsync/vsync.ts';
import type { Scope } from '../../src/vsync/vsync-store.ts';

/** What is wrong with the keys of a scope, by key. Only for a base that stands still. */
export async function findingsKeyByKey(database: Database, scope: Scope): Promise<KeyFinding[]> {
  const { participant, keyType } = scope;
  const algorithm = (await readParticipant(database, participant))?.cidAlgorithm ?? 'dict';
  const entries = new Map(
    (await readEntriesAfter(database, scope, { after: null, limit: 100_000 })).map((entry) => [entry.key, entry]),
  );
  const { rows } = await database.query<{ key: string; cid: Buffer }>(
    'SELECT key, cid FROM dict_cids WHERE participant = $1 AND key_type = $2 AND removed_seq IS NULL ORDER BY key, cid',
    [participant, keyType],
  );
  const counting = Map.groupBy(rows, ({ key }) => key);
  return [...new Set([...entries.keys(), ...counting.keys()])].flatMap((key) =>
    checkKey(
      key,
      entries.get(key) ?? null,
      (counting.get(key) ?? []).map(({ cid }) => asCid(cid)),
      algorithm,
    ),
  );
}

/** What is wrong with a scope's sums, as `kind: detail`. Only for a base that stands still. */
export async function sumFindingsOneByOne(database: Database, scope: Scope): Promise<string[]> {
  const stored = await storedSums(database, scope);
  const { rows } = await database.query<{ cid: Buffer }>(
    `SELECT cid FROM dict_cids
     WHERE participant = $1 AND key_type = $2 AND added_seq <= $3 AND (removed_seq IS NULL OR removed_seq > $3)`,
    [scope.participant, scope.keyType, stored.seq],
  );
  const buckets = emptyBuckets();
  const vsync = emptyVSync();
  for (const { cid } of rows) {
    foldCid(buckets, asCid(cid), 'added');
    xorInto(vsync, cid);
  }
  const differing = stored.buckets === null ? 0 : differingBuckets(stored.buckets, buckets).length;
  return [
    ...(differing > 0 ? [`buckets: ${differing} of the stored buckets are not the XOR of their CIDs`] : []),
    ...(equalVSync(vsync, stored.vsync)
      ? []
      : [`vsync: stored ${vsyncToHex(stored.vsync)}, XOR of the CIDs ${vsyncToHex(vsync)}`]),
    ...(rows.length === stored.keys ? [] : [`count: stored ${stored.keys}, CIDs that count ${rows.length}`]),
  ];
}

/** A finding as one comparable line. */
export function findingLine({ kind, key, storedCid, computedCid }: KeyFinding): string {
  const hex = (cid: Cid | null): string => (cid === null ? '-' : cidToHex(cid));
  return `${kind} ${key} ${hex(storedCid)} ${hex(computedCid)}`;
}
