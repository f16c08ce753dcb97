/** The participants whose keys this base holds, and the rules that each may set for itself. */

import type { CidAlgorithm } from '../cid/cid.ts';
import type { Participant } from '../dict/participant.ts';
import { assert } from '../platform/assert.ts';
import type { Sql, Transaction } from '../platform/postgres/database.ts';

/** What happens to a key that only exists here, once proven: marked and reviewed, or removed. */
export type OrphanPolicy = 'review' | 'remove';

export interface ParticipantRules {
  readonly participant: Participant;
  readonly cidAlgorithm: CidAlgorithm;
  readonly orphanPolicy: OrphanPolicy;
  /** Settled divergences above which a person has to approve; null: the configured default. */
  readonly approvalThreshold: number | null;
  /** Settled divergences above which it is a critical incident; null: the configured default. */
  readonly criticalThreshold: number | null;
}

interface ParticipantRow {
  participant: Participant;
  cid_algorithm: CidAlgorithm;
  orphan_policy: OrphanPolicy;
  approval_threshold: number | null;
  critical_threshold: number | null;
}

function rulesOf(row: ParticipantRow): ParticipantRules {
  return {
    participant: row.participant,
    cidAlgorithm: row.cid_algorithm,
    orphanPolicy: row.orphan_policy,
    approvalThreshold: row.approval_threshold,
    criticalThreshold: row.critical_threshold,
  };
}

/** Gives participants that are not known yet the default rules. Call before any other lock is taken. */
export async function ensureParticipants(tx: Transaction, participants: readonly Participant[], now: Date): Promise<void> {
  await tx.query(
    `INSERT INTO dict_participants (participant, cid_algorithm, orphan_policy, created_at, updated_at)
     SELECT wanted.participant, 'dict', 'review', $2, $2
     FROM (SELECT DISTINCT unnest($1::text[]) AS participant) AS wanted
     WHERE NOT EXISTS (SELECT FROM dict_participants known WHERE known.participant = wanted.participant)
     ORDER BY wanted.participant
     ON CONFLICT DO NOTHING`,
    [participants, now],
  );
}

/** The rules of every participant, by ISPB. */
export async function readParticipants(sql: Sql): Promise<ParticipantRules[]> {
  const { rows } = await sql.query<ParticipantRow>(
    `SELECT participant, cid_algorithm, orphan_policy, approval_threshold, critical_threshold
     FROM dict_participants ORDER BY participant`,
  );
  return rows.map(rulesOf);
}

/** The rules of one participant; null where nothing is known of it. */
export async function readParticipant(sql: Sql, participant: Participant): Promise<ParticipantRules | null> {
  const { rows } = await sql.query<ParticipantRow>(
    `SELECT participant, cid_algorithm, orphan_policy, approval_threshold, critical_threshold
     FROM dict_participants WHERE participant = $1`,
    [participant],
  );
  return rows[0] === undefined ? null : rulesOf(rows[0]);
}

/** Writes a participant's rules, new or changed. */
export async function writeParticipant(tx: Transaction, rules: ParticipantRules, now: Date): Promise<void> {
  await tx.query(
    `INSERT INTO dict_participants (participant, cid_algorithm, orphan_policy, approval_threshold, critical_threshold,
       created_at, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $6)
     ON CONFLICT (participant) DO UPDATE SET cid_algorithm = excluded.cid_algorithm, orphan_policy = excluded.orphan_policy,
       approval_threshold = excluded.approval_threshold, critical_threshold = excluded.critical_threshold,
       updated_at = excluded.updated_at`,
    [rules.participant, rules.cidAlgorithm, rules.orphanPolicy, rules.approvalThreshold, rules.criticalThreshold, now],
  );
}

/** The rules of a participant, locked until the transaction ends, and whether it ever had a CID. */
export async function lockParticipant(
  tx: Transaction,
  participant: Participant,
): Promise<{ readonly rules: ParticipantRules; readonly hasCids: boolean }> {
  const { rows } = await tx.query<ParticipantRow & { has_cids: boolean }>(
    `SELECT participant, cid_algorithm, orphan_policy, approval_threshold, critical_threshold,
       EXISTS (SELECT FROM dict_cids WHERE dict_cids.participant = $1) AS has_cids
     FROM dict_participants WHERE participant = $1 FOR UPDATE`,
    [participant],
  );
  const [row] = rows;
  assert(row !== undefined, `participant ${participant} was made known before its rules are locked`);
  return { rules: rulesOf(row), hasCids: row.has_cids };
}
