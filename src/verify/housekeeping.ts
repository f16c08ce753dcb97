/**
 * Keeps what only serves for a time from growing: the journal of CID transitions behind the buckets' snapshot and the anchor, and
 * the inbox behind the time for which second deliveries are recognised. Bounded; what is left over goes the next time.
 */

import { pruneInbox } from '../ingest/event-inbox.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database } from '../platform/postgres/database.ts';
import { foldBuckets } from '../vsync/bucket-store.ts';
import { pruneChanges, unfoldedBytes } from '../vsync/vsync-journal.ts';
import { readVSync, type Scope } from '../vsync/vsync-store.ts';
import { readCursor } from './event-cursor.ts';

export interface HousekeepingDeps {
  readonly database: Database;
  readonly clock: Clock;
}

/** A snapshot is 2.3 MB: it is written once the journal behind it is worth that. */
const foldAboveBytes = 1024 * 1024;
const pruneRows = 1_000;
const rowsMax = 100_000;
/** Where nothing has been proven yet, the journal is kept this long for the first explanation to reach back to. */
const unprovenKeptMs = 7 * 86_400_000;

/** Folds the buckets of a scope where it pays, and deletes the journal that neither they nor the anchor need. */
export async function tidyJournal(deps: HousekeepingDeps, scope: Scope): Promise<void> {
  const { database } = deps;
  if ((await unfoldedBytes(database, scope)) < foldAboveBytes) return;
  await foldBuckets(database, scope);
  const anchorSeq = await neededFrom(deps, scope);
  for (let deleted = 0; deleted < rowsMax; deleted += pruneRows) {
    const pruned = await database.transaction((tx) => pruneChanges(tx, scope, { anchorSeq, rowsMax: pruneRows }));
    if (pruned < pruneRows) return;
  }
}

/** The lowest seq that a look may still ask changes from. */
async function neededFrom({ database, clock }: HousekeepingDeps, scope: Scope): Promise<number> {
  const cursor = await readCursor(database, scope);
  if (cursor !== null) return cursor.seq;
  const { rows } = await database.query<{ seq: number | null }>(
    `SELECT min(seq) AS seq FROM dict_vsync_changes WHERE participant = $1 AND key_type = $2 AND committed_at >= $3`,
    [scope.participant, scope.keyType, new Date(clock.now().getTime() - unprovenKeptMs)],
  );
  return rows[0]?.seq ?? (await readVSync(database, scope)).seq;
}

/** Forgets events that were taken in longer ago than that: a delivery of them would be applied again, and lose to what is there. */
export async function tidyInbox({ database, clock }: HousekeepingDeps, keptMs: number): Promise<void> {
  const before = new Date(clock.now().getTime() - keptMs);
  for (let deleted = 0; deleted < rowsMax; deleted += pruneRows) {
    if ((await pruneInbox(database, before, pruneRows)) < pruneRows) return;
  }
}
