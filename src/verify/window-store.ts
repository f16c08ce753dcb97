/** Rows of maintenance windows, one function per statement. */

import type { Participant } from '../dict/participant.ts';
import type { Sql } from '../platform/postgres/database.ts';
import type { Scope } from '../vsync/vsync-store.ts';

/** How a window came to its end. */
export type WindowEnd = 'completed' | 'expired' | 'failed';

export interface WindowRow {
  readonly id: string;
  readonly participant: Participant;
  readonly openedAt: Date;
  readonly endsAt: Date;
  readonly quietAt: Date | null;
  readonly endedBy: WindowEnd | null;
}

/** Opens a window. False: it is open already, or another of the participant's is. */
export async function insertWindow(
  sql: Sql,
  window: Pick<WindowRow, 'id' | 'participant' | 'openedAt' | 'endsAt'> & { readonly requestedBy: string },
): Promise<boolean> {
  const { rowCount } = await sql.query(
    `INSERT INTO dict_maintenance_windows (id, participant, requested_by, opened_at, ends_at)
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
    [window.id, window.participant, window.requestedBy, window.openedAt, window.endsAt],
  );
  return rowCount === 1;
}

/** The window; null where there is none of that id. */
export async function readWindow(sql: Sql, id: string): Promise<WindowRow | null> {
  const { rows } = await sql.query<{
    id: string;
    participant: Participant;
    opened_at: Date;
    ends_at: Date;
    quiet_at: Date | null;
    ended_by: WindowEnd | null;
  }>(`SELECT id, participant, opened_at, ends_at, quiet_at, ended_by FROM dict_maintenance_windows WHERE id = $1`, [id]);
  const row = rows[0];
  if (row === undefined) return null;
  return {
    id: row.id,
    participant: row.participant,
    openedAt: row.opened_at,
    endsAt: row.ends_at,
    quietAt: row.quiet_at,
    endedBy: row.ended_by,
  };
}

/** Stores since when nothing moves. */
export async function markQuiet(sql: Sql, id: string, now: Date): Promise<void> {
  await sql.query('UPDATE dict_maintenance_windows SET quiet_at = $2 WHERE id = $1 AND quiet_at IS NULL', [id, now]);
}

/** Ends a window, as expired where its time is over; null where it had ended before. */
export async function endWindow(
  sql: Sql,
  id: string,
  by: WindowEnd,
  now: Date,
): Promise<{ readonly id: string; readonly participant: Participant } | null> {
  const { rows } = await sql.query<{ id: string; participant: Participant }>(
    `UPDATE dict_maintenance_windows SET ended_at = $2, ended_by = CASE WHEN ends_at <= $2 THEN 'expired' ELSE $3 END
     WHERE id = $1 AND ended_at IS NULL RETURNING id, participant`,
    [id, now, by],
  );
  return rows[0] ?? null;
}

/** Open windows whose time is over. */
export async function expiredWindows(sql: Sql, now: Date, limit: number): Promise<string[]> {
  const { rows } = await sql.query<{ id: string }>(
    'SELECT id FROM dict_maintenance_windows WHERE ended_at IS NULL AND ends_at <= $1 ORDER BY ends_at LIMIT $2',
    [now, limit],
  );
  return rows.map((row) => row.id);
}

/** When an event of the core's last changed this VSync; null: never. */
export async function lastEventCommit(sql: Sql, scope: Scope): Promise<Date | null> {
  const { rows } = await sql.query<{ committed_at: Date }>(
    `SELECT committed_at FROM dict_vsync_changes
     WHERE participant = $1 AND key_type = $2 AND source = 'event' ORDER BY seq DESC LIMIT 1`,
    [scope.participant, scope.keyType],
  );
  return rows[0]?.committed_at ?? null;
}
