/** What became of everything that was planted, read from the rows that reconciliation left; and what it touched besides. */

import type { Sql } from '../platform/postgres/database.ts';
import type { Planted, PlantedKind, PlantedRung } from './planting.ts';
import { OURS } from './settings.ts';

/** `recheck`: found while another repair was proved again. */
export type FoundBy = PlantedRung | 'recheck';

export interface Repair extends Planted {
  /** What reconciliation called it, by which rung it was found; null where it was not found. */
  readonly found: { readonly kind: PlantedKind; readonly by: FoundBy } | null;
  readonly repaired: boolean;
}

export interface Repairs {
  readonly planted: readonly Repair[];
  /** Repairs of keys that nothing had happened to. */
  readonly needless: number;
}

interface Row {
  key: string;
  kind: PlantedKind;
  found_by: FoundBy;
  state: string;
}

/** Reads them; meant for when every run has ended. */
export async function readRepairs(sql: Sql, planted: readonly Planted[]): Promise<Repairs> {
  const { rows } = await sql.query<Row>(
    // A later verification knows a residual that an earlier one has resolved from its anchor: the first to find it counts.
    `SELECT d.key, d.kind, d.state,
       CASE WHEN d.found_by = 'log' AND EXISTS (SELECT FROM dict_sync_differences s WHERE s.participant = d.participant
         AND s.key_type = d.key_type AND s.cid = d.cid AND s.found_by = 'residual') THEN 'residual' ELSE d.found_by END AS found_by
     FROM dict_divergences d
     WHERE d.participant = $1 AND d.key IS NOT NULL AND d.kind IS NOT NULL AND d.state NOT IN ('paired', 'dropped') ORDER BY d.id`,
    [OURS],
  );
  // A key that was found more than once counts by the repair, else by the last time.
  const byKey = new Map<string, Row>();
  for (const row of rows) if (byKey.get(row.key)?.state !== 'applied') byKey.set(row.key, row);
  const repairs = planted.map((one): Repair => {
    const row = byKey.get(one.key);
    byKey.delete(one.key);
    const found = row === undefined ? null : { kind: row.kind, by: row.found_by };
    return { ...one, found, repaired: row?.state === 'applied' };
  });
  const needless = [...byKey.values()].filter(({ state }) => state === 'applied').length;
  return { planted: repairs, needless };
}
