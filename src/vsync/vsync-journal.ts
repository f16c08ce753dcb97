/**
 * The journal (dict_vsync_changes): which CIDs each commit added and removed. What changed between two seqs, which seq was the
 * last at a time, and how old rows are pruned. Bulk commits leave a row without CIDs.
 */

import { asCid, CID_BYTES, type Cid } from '../cid/cid.ts';
import { assert } from '../platform/assert.ts';
import { arrayOf } from '../platform/postgres/binary-parameters.ts';
import type { Prepared, Sql, Transaction } from '../platform/postgres/database.ts';
import type { Scope } from './scope.ts';

/** Where a change of the base came from. */
export type ChangeSource = 'event' | 'import' | 'repair' | 'rebuild';

/** One CID that began or ceased to count. */
export interface JournalledChange {
  readonly cid: Cid;
  readonly change: 'added' | 'removed';
  readonly seq: number;
  readonly committedAt: Date;
}

/**
 * `bulk`: a commit in between does not say which CIDs it changed. `pruned`: the journal no longer reaches back so far.
 * `too-many`: more CIDs than asked for.
 */
export type ChangesBetween =
  | { readonly complete: true; readonly changes: readonly JournalledChange[] }
  | { readonly complete: false; readonly reason: 'bulk' | 'pruned' | 'too-many' };

const recordBytes = 1 + CID_BYTES;
const addedFlag = 1;
const removedFlag = 0;

/** What one commit writes into the journal. `changes` null: a bulk commit, which does not say which CIDs it changed. */
export interface NewChanges {
  readonly scope: Scope;
  readonly seq: number;
  readonly at: Date;
  readonly source: ChangeSource;
  readonly changes: {
    readonly added: readonly { readonly cid: Cid }[];
    readonly removed: readonly { readonly cid: Cid }[];
  } | null;
}

const append: Prepared = {
  name: 'journal-append',
  text: `INSERT INTO dict_vsync_changes (participant, key_type, seq, source, changes, committed_at)
    SELECT participant, key_type, seq, source, changes, committed_at
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bytea[], $6::timestamptz[])
      AS given (participant, key_type, seq, source, changes, committed_at)`,
};

/** Writes the journal rows of commits. */
export async function appendChanges(tx: Transaction, commits: readonly NewChanges[]): Promise<void> {
  await tx.prepared(append, [
    arrayOf(
      'text',
      commits.map(({ scope }) => scope.participant),
    ),
    arrayOf(
      'text',
      commits.map(({ scope }) => scope.keyType),
    ),
    arrayOf(
      'bigint',
      commits.map(({ seq }) => seq),
    ),
    arrayOf(
      'text',
      commits.map(({ source }) => source),
    ),
    arrayOf(
      'bytea',
      commits.map(({ changes }) => (changes === null ? null : packChanges(changes.added, changes.removed))),
    ),
    arrayOf(
      'timestamptz',
      commits.map(({ at }) => at),
    ),
  ]);
}

/** What the commits after `afterSeq`, up to and with `uptoSeq`, changed, in their order. At most `cidsMax` changes. */
export async function changesBetween(
  sql: Sql,
  scope: Scope,
  range: { readonly afterSeq: number; readonly uptoSeq: number; readonly cidsMax: number },
): Promise<ChangesBetween> {
  const { afterSeq, uptoSeq, cidsMax } = range;
  assert(afterSeq <= uptoSeq, `changes after seq ${afterSeq} cannot end at seq ${uptoSeq}`);
  const size = await journalSize(sql, scope, range);
  if (size.rows < uptoSeq - afterSeq) return { complete: false, reason: 'pruned' };
  if (size.bulk > 0) return { complete: false, reason: 'bulk' };
  if (size.bytes > cidsMax * recordBytes) return { complete: false, reason: 'too-many' };
  const { rows } = await sql.query<{ seq: number; changes: Buffer; committed_at: Date }>(
    `SELECT seq, changes, committed_at
     FROM dict_vsync_changes
     WHERE participant = $1 AND key_type = $2 AND seq > $3 AND seq <= $4
     ORDER BY seq`,
    [scope.participant, scope.keyType, afterSeq, uptoSeq],
  );
  const changes = rows.flatMap((row) =>
    [...unpackChanges(row.changes)].map((change) => ({ ...change, seq: row.seq, committedAt: row.committed_at })),
  );
  return { complete: true, changes };
}

/**
 * The last seq that was committed at or before a time; 0 where there is none, or where the journal of that time is pruned
 * (`changesBetween` from 0 then answers `pruned`).
 */
export async function seqAtTime(sql: Sql, scope: Scope, time: Date): Promise<number> {
  const { rows } = await sql.query<{ seq: number }>(
    `SELECT seq
     FROM dict_vsync_changes
     WHERE participant = $1 AND key_type = $2 AND committed_at <= $3
     ORDER BY seq DESC
     LIMIT 1`,
    [scope.participant, scope.keyType, time],
  );
  return rows[0]?.seq ?? 0;
}

/**
 * Bytes of the journal that no snapshot of the buckets contains yet; with no snapshot, of the whole journal. The upper bound leaves
 * nothing out: with one bound alone, whose value it cannot know, PostgreSQL expects a third of the journal and reads all of it.
 */
export async function unfoldedBytes(sql: Sql, scope: Scope): Promise<number> {
  const { rows } = await sql.query<{ bytes: number }>(
    `SELECT coalesce(sum(octet_length(changes)), 0)::bigint AS bytes
     FROM dict_vsync_changes
     WHERE participant = $1 AND key_type = $2
       AND seq > coalesce((SELECT seq FROM dict_vsync_buckets WHERE participant = $1 AND key_type = $2), 0)
       AND seq <= (SELECT seq FROM dict_vsyncs WHERE participant = $1 AND key_type = $2)`,
    [scope.participant, scope.keyType],
  );
  return rows[0]?.bytes ?? 0;
}

/**
 * Deletes at most `rowsMax` of the oldest journal rows that nothing needs: older than the folded buckets and than `anchorSeq`,
 * the lowest seq that someone may still ask changes from. The row of that seq itself stays, so that its time can be found.
 * Answers how many were deleted; fewer than `rowsMax` means that no more can be.
 */
export async function pruneChanges(
  tx: Transaction,
  scope: Scope,
  limits: { readonly anchorSeq: number; readonly rowsMax: number },
): Promise<number> {
  const { rowCount } = await tx.query(
    `DELETE FROM dict_vsync_changes
     WHERE participant = $1 AND key_type = $2 AND seq IN (
       SELECT c.seq
       FROM dict_vsync_changes c
       JOIN dict_vsync_buckets b ON b.participant = c.participant AND b.key_type = c.key_type
       WHERE c.participant = $1 AND c.key_type = $2 AND c.seq < LEAST(b.seq, $3::bigint)
       ORDER BY c.seq
       LIMIT $4)`,
    [scope.participant, scope.keyType, limits.anchorSeq, limits.rowsMax],
  );
  return rowCount;
}

/** The records of a journal row: flag and CID. */
export function* unpackChanges(packed: Uint8Array): Generator<{ cid: Cid; change: 'added' | 'removed' }, void, undefined> {
  assert(packed.length % recordBytes === 0, `journal row of ${packed.length} bytes`);
  for (let at = 0; at < packed.length; at += recordBytes) {
    const flag = packed[at];
    assert(flag === addedFlag || flag === removedFlag, `journal record begins with ${flag}`);
    yield { cid: asCid(packed.subarray(at + 1, at + recordBytes)), change: flag === addedFlag ? 'added' : 'removed' };
  }
}

function packChanges(added: readonly { readonly cid: Cid }[], removed: readonly { readonly cid: Cid }[]): Buffer {
  const packed = Buffer.allocUnsafe((added.length + removed.length) * recordBytes);
  let at = 0;
  const put = (flag: number, cid: Cid): void => {
    packed[at] = flag;
    packed.set(cid, at + 1);
    at += recordBytes;
  };
  for (const { cid } of removed) put(removedFlag, cid);
  for (const { cid } of added) put(addedFlag, cid);
  return packed;
}

async function journalSize(
  sql: Sql,
  scope: Scope,
  range: { readonly afterSeq: number; readonly uptoSeq: number },
): Promise<{ rows: number; bulk: number; bytes: number }> {
  const { rows } = await sql.query<{ rows: number; bulk: number; bytes: number }>(
    `SELECT count(*) AS rows, count(*) - count(changes) AS bulk, coalesce(sum(octet_length(changes)), 0)::bigint AS bytes
     FROM dict_vsync_changes
     WHERE participant = $1 AND key_type = $2 AND seq > $3 AND seq <= $4`,
    [scope.participant, scope.keyType, range.afterSeq, range.uptoSeq],
  );
  const size = rows[0];
  assert(size !== undefined, 'an aggregate answers one row');
  return size;
}
