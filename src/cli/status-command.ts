/** `dict-vsync status`: where each participant and key type stands, against the rule of 36 hours. */

import { Command } from 'commander';
import { type IngestBacklog, readIngestBacklog } from '../ingest/ingest-backlog.ts';
import { readSyncStatus, type SyncStatus } from '../report/sync-status.ts';
import { withBase } from '../wire.ts';
import type { Io } from './io.ts';
import { participantOption, type ScopeChoice } from './scope-option.ts';
import { ageText, table } from './table.ts';

/** How long a participant may go without a verification (Central Bank). */
const ruleMs = 36 * 3_600_000;

interface AgeLimits {
  readonly warningAgeMs: number;
  readonly criticalAgeMs: number;
}

/** What the age of the last verification means: `overdue` breaks the rule of 36 hours. */
function ageLevel(at: Date | null, now: Date, limits: AgeLimits): 'never' | 'good' | 'warning' | 'critical' | 'overdue' {
  if (at === null) return 'never';
  const ageMs = now.getTime() - at.getTime();
  if (ageMs > ruleMs) return 'overdue';
  if (ageMs > limits.criticalAgeMs) return 'critical';
  return ageMs > limits.warningAgeMs ? 'warning' : 'good';
}

function ageOf(at: Date | null, now: Date, limits: AgeLimits): string {
  if (at === null) return 'never';
  const level = ageLevel(at, now, limits);
  const text = `${ageText(now.getTime() - at.getTime())} ago`;
  return level === 'good' ? text : `${text} (${level})`;
}

function pendingText(row: SyncStatus, now: Date): string {
  if (row.oldestPendingAtCore === null) return '0';
  return `${row.pendingAtCore}, oldest ${ageText(now.getTime() - row.oldestPendingAtCore.getTime())}`;
}

function asJson(row: SyncStatus, now: Date, limits: AgeLimits): Record<string, unknown> {
  const ageSeconds = (at: Date | null): number | null => (at === null ? null : (now.getTime() - at.getTime()) / 1_000);
  return {
    ...row,
    lastVerificationAgeSeconds: ageSeconds(row.lastVerificationAt),
    lastVerificationLevel: ageLevel(row.lastVerificationAt, now, limits),
    lastOkAgeSeconds: ageSeconds(row.lastOkAt),
    lastOkLevel: ageLevel(row.lastOkAt, now, limits),
  };
}

function ingestLine({ backlog, oldestUnconsumedAt, running }: IngestBacklog, now: Date): string {
  const waiting = backlog === null ? 'an unknown number of events waits' : `${backlog} events wait`;
  const oldest = oldestUnconsumedAt === null ? '' : `, the oldest since ${ageText(now.getTime() - oldestUnconsumedAt.getTime())}`;
  return `Ingest: ${running ? 'running' : 'not running'}, ${waiting}${oldest}\n`;
}

/** `status`, for people or as JSON. */
export function statusCommand(io: Io): Command {
  return new Command('status')
    .description('Show where each participant and key type stands')
    .addOption(participantOption())
    .option('--json', 'print as JSON')
    .allowExcessArguments(false)
    .action((options: ScopeChoice & { readonly json?: true }) =>
      withBase(io, async ({ database, clock, config: { verification } }) => {
        const now = clock.now();
        const rows = await readSyncStatus(database, options.participant ?? null);
        const ingest = await readIngestBacklog(database, now);
        if (options.json === true) {
          const scopes = rows.map((row) => asJson(row, now, verification));
          io.stdout.write(`${JSON.stringify({ now, ingest, scopes }, null, 2)}\n`);
          return;
        }
        if (rows.length === 0) {
          io.stdout.write('The base is empty: "dict-vsync import FILE" loads one, "dict-vsync ingest FILE" takes in events.\n');
          return;
        }
        const text = table<SyncStatus>(
          [
            { title: 'participant', value: (row) => row.participant },
            { title: 'type', value: (row) => row.keyType },
            { title: 'keys', value: (row) => String(row.keys), right: true },
            { title: 'VSync', value: (row) => `${row.vsync.slice(0, 16)}…` },
            { title: 'last verification', value: (row) => ageOf(row.lastVerificationAt, now, verification) },
            { title: 'last OK', value: (row) => ageOf(row.lastOkAt, now, verification) },
            { title: 'last in sync', value: (row) => ageOf(row.lastProofAt, now, verification) },
            { title: 'last outcome', value: (row) => row.lastOutcome ?? '' },
            { title: 'pending at core', value: (row) => pendingText(row, now) },
            { title: 'reconciliation', value: (row) => row.openReconciliation?.state ?? 'none' },
            { title: 'reviews', value: (row) => String(row.openReviews), right: true },
            { title: 'unresolved', value: (row) => String(row.unresolvedKeys), right: true },
          ],
          rows,
          { colour: io.stdout.isTTY === true },
        );
        io.stdout.write(`${text}\n${ingestLine(ingest, now)}`);
      }),
    );
}
