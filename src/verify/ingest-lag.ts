/** Rule R1: a base that has not taken in its own events yet would only prove that ingest is behind. */

import { readIngestBacklog } from '../ingest/ingest-backlog.ts';
import type { Clock } from '../platform/clock.ts';
import type { Sql } from '../platform/postgres/database.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import type { VerifySettings } from './settings.ts';
import { verificationAges } from './verification-store.ts';

/**
 * Why a verification would be of no use now; null where ingest keeps up, or where so much time has passed since the last
 * verification or the last OK that one is due even so.
 */
export async function ingestBehind(
  deps: { readonly database: Sql; readonly clock: Clock; readonly settings: VerifySettings },
  scope: Scope,
): Promise<string | null> {
  const { database, clock, settings } = deps;
  const now = clock.now();
  const { backlog, oldestUnconsumedAt } = await readIngestBacklog(database, now);
  if (oldestUnconsumedAt === null) return null;
  const behindMs = now.getTime() - oldestUnconsumedAt.getTime();
  if (behindMs <= settings.ingestGraceMs) return null;
  const ages = await verificationAges(database, scope);
  const overdue = [ages.lastSentAt, ages.lastOkAt].some(
    (at) => at !== null && now.getTime() - at.getTime() > settings.criticalAgeMs,
  );
  if (overdue) return null;
  const waiting = backlog === null ? 'events wait' : `${backlog} events wait`;
  return `ingest behind: ${waiting}, the oldest since ${oldestUnconsumedAt.toISOString()}`;
}
