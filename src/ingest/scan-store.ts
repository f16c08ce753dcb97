/** Findings of scans, kept so that a reconciliation can work through them page by page. */

import type { Cid } from '../cid/cid.ts';
import { asCid, cidToHex } from '../cid/cid.ts';
import type { Sql } from '../platform/postgres/database.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import type { KeyFault, KeyFinding } from './entry-integrity.ts';

/** What can be wrong with a whole participant and key type: what is stored is not what the CIDs give. */
export type ScopeFault = 'buckets' | 'vsync' | 'count';

export type FindingKind = KeyFault | ScopeFault;

export const KEY_FAULTS = ['altered', 'missing', 'surplus', 'duplicated'] as const;

export const FINDING_KINDS = [...KEY_FAULTS, 'buckets', 'vsync', 'count'] as const;

export interface ScopeFinding {
  readonly kind: ScopeFault;
  readonly detail: string;
}

/** Forgets what a scan found in a scope, so that it can be done again under the same id. */
export async function clearFindings(sql: Sql, scanId: string, scope: Scope): Promise<void> {
  await sql.query('DELETE FROM scan_findings WHERE scan_id = $1 AND participant = $2 AND key_type = $3', [
    scanId,
    scope.participant,
    scope.keyType,
  ]);
}

function rowOf(finding: KeyFinding | ScopeFinding): Record<string, string | null> {
  if ('detail' in finding) return { kind: finding.kind, key: null, stored: null, computed: null, detail: finding.detail };
  const { kind, key, storedCid, computedCid } = finding;
  const hex = (cid: Cid | null): string | null => (cid === null ? null : cidToHex(cid));
  return { kind, key, stored: hex(storedCid), computed: hex(computedCid), detail: null };
}

/** Keeps findings of one scope, in order. */
export async function keepFindings(
  sql: Sql,
  scanId: string,
  scope: Scope,
  findings: readonly (KeyFinding | ScopeFinding)[],
  now: Date,
): Promise<void> {
  if (findings.length === 0) return;
  await sql.query(
    `INSERT INTO scan_findings (scan_id, participant, key_type, key, kind, stored_cid, computed_cid, detail, found_at)
     SELECT $1, $2, $3, key, kind, decode(stored, 'hex'), decode(computed, 'hex'), detail, $5
     FROM json_to_recordset($4) AS finding (kind text, key text, stored text, computed text, detail text)`,
    [scanId, scope.participant, scope.keyType, JSON.stringify(findings.map(rowOf)), now],
  );
}

/** A finding about a key, as it was kept. */
export interface StoredFinding extends KeyFinding {
  readonly id: number;
}

/** The next findings about keys of a scope, in the order of their ids, after that one (0: from the first). */
export async function readKeyFindings(
  sql: Sql,
  scanId: string,
  scope: Scope,
  { after, limit }: { readonly after: number; readonly limit: number },
): Promise<StoredFinding[]> {
  const { rows } = await sql.query<{
    id: number;
    key: string;
    kind: KeyFault;
    stored_cid: Buffer | null;
    computed_cid: Buffer | null;
  }>(
    `SELECT id, key, kind, stored_cid, computed_cid FROM scan_findings
     WHERE scan_id = $1 AND participant = $2 AND key_type = $3 AND key IS NOT NULL AND id > $4 ORDER BY id LIMIT $5`,
    [scanId, scope.participant, scope.keyType, after, limit],
  );
  return rows.map(({ id, key, kind, stored_cid, computed_cid }) => ({
    id,
    key,
    kind,
    storedCid: stored_cid === null ? null : asCid(stored_cid),
    computedCid: computed_cid === null ? null : asCid(computed_cid),
  }));
}

/** The findings about a whole scope. */
export async function readScopeFindings(sql: Sql, scanId: string, scope: Scope): Promise<ScopeFinding[]> {
  const { rows } = await sql.query<{ kind: ScopeFault; detail: string }>(
    `SELECT kind, detail FROM scan_findings
     WHERE scan_id = $1 AND participant = $2 AND key_type = $3 AND key IS NULL ORDER BY id`,
    [scanId, scope.participant, scope.keyType],
  );
  return rows;
}
