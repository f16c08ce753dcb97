/** What the Central Bank is shown when DICT contradicts itself (rule R15): ids, hashes and times, no personal data. */

import type { Sql } from '../platform/postgres/database.ts';
import type { VerificationOutcome } from '../verify/outcome.ts';
import { vsyncToHex } from '../vsync/vsync.ts';
import { readVSync } from '../vsync/vsync-store.ts';
import type { Run } from './run-store.ts';

/** Questions of the run's verifications that the bundle lists, newest first. */
const questionsMax = 20;

/** The bundle of a run: both VSyncs, the file, and DICT's answers with their ids. */
export async function gatherEvidence(sql: Sql, run: Run, outcome: VerificationOutcome | null): Promise<Record<string, unknown>> {
  const ours = await readVSync(sql, run);
  const { rows } = await sql.query<{
    dict_id: string | null;
    result: string | null;
    response_time: Date | null;
    vsync: Buffer;
    seq: number;
  }>(
    `SELECT dict_id, result, response_time, vsync, seq FROM dict_sync_verifications
     WHERE participant = $1 AND key_type = $2 AND requested_at >= $3 ORDER BY requested_at DESC LIMIT $4`,
    [run.participant, run.keyType, run.startedAt, questionsMax],
  );
  return {
    participant: run.participant,
    key_type: run.keyType,
    base: { vsync: vsyncToHex(ours.vsync), keys: ours.keys, seq: ours.seq },
    file: {
      id: run.fileId,
      sha256: run.fileSha256?.toString('hex') ?? null,
      bytes: run.fileBytes,
      lines: run.fileLines,
      vsync: run.fileVsync === null ? null : vsyncToHex(run.fileVsync),
      request_time: run.fileRequestTime,
      creation_time: run.fileCreationTime,
      instant: run.fileInstant,
      compared_with_seq: run.comparedSeq,
      differences: run.fileDifferences,
    },
    verifications: rows.map((row) => ({
      id: row.dict_id,
      result: row.result,
      response_time: row.response_time,
      sent_vsync: row.vsync.toString('hex'),
      seq: row.seq,
    })),
    last_outcome: outcome,
  };
}
