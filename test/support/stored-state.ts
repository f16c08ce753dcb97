/** What a base is in the end, for comparing two of them, and whether it agrees with itself. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { scanScope } from '../../src/ingest/scan.ts';
import { systemClock } from '../../src/platform/clock.ts';
import type { Database } from '../../src/platform/postgres/database.ts';
import { readBuckets } from '../../src/vsync/bucket-store.ts';
import { readAllVSyncs } from '../../src/vsync/vsync-store.ts';

export interface BaseState {
  readonly entries: readonly unknown[];
  readonly counting: readonly unknown[];
  readonly vsyncs: readonly unknown[];
  readonly deadLetters: readonly unknown[];
}

/** Everything that must not depend on how the work was cut into commits: seqs and times of writing are left out. */
export async function baseState(database: Database): Promise<BaseState> {
  const rows = async (text: string): Promise<unknown[]> => (await database.query<Record<string, unknown> & object>(text)).rows;
  return {
    entries: await rows(
      `SELECT participant, key, key_type, status, encode(cid, 'hex') AS cid, branch, account_number, account_type, account_opened_at,
         owner_type, owner_tax_id, owner_name, owner_trade_name, request_id, request_id_since, occurred_at, event_action
       FROM dict_entries ORDER BY participant, key`,
    ),
    counting: await rows(
      `SELECT participant, key_type, encode(cid, 'hex') AS cid, key FROM dict_cids WHERE removed_seq IS NULL ORDER BY 1, 2, 3`,
    ),
    vsyncs: await rows(`SELECT participant, key_type, encode(vsync, 'hex') AS vsync, keys FROM dict_vsyncs ORDER BY 1, 2`),
    deadLetters: await rows(`SELECT id, event_id, participant, reason, detail, origin FROM event_dead_letters ORDER BY id`),
  };
}

/** Entries, CIDs, buckets and VSync agree: XOR of the CIDs = XOR of the buckets = VSync, and every CID hashes. */
export async function assertSound(database: Database): Promise<void> {
  for (const { scope, keys } of await readAllVSyncs(database)) {
    const result = await scanScope({ database, clock: systemClock }, scope, randomUUID());
    assert.deepEqual([result.scopeFindings, result.examples], [[], []]);
    assert.equal((await readBuckets(database, scope)).keys, keys);
  }
}
