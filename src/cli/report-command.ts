/** `dict-vsync report`: the runs there were, what each found and did, and how a period stands against its targets. */

import { Command, InvalidArgumentError, Option } from 'commander';
import { type DetailsKeys, DetailsUnreadable, openDetails } from '../report/details-cipher.ts';
import { summariseReports } from '../report/report-summary.ts';
import { dropReportsBefore, findReport, listReports, type SyncReport } from '../report/sync-report.ts';
import { detailsKeysOf, withBase } from '../wire.ts';
import { CommandFailed, type Io } from './io.ts';
import { keyTypeOption, participantOption, type ScopeChoice } from './scope-option.ts';
import { ageText, type Column, csv, table } from './table.ts';

const dayMs = 86_400_000;
const keptYears = 7;
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

interface Format {
  readonly json?: true;
  readonly csv?: true;
}

function formatOptions(command: Command): Command {
  return command
    .addOption(new Option('--json', 'print as JSON').conflicts('csv'))
    .addOption(new Option('--csv', 'print as CSV').conflicts('json'));
}

function instant(text: string): Date {
  const at = new Date(text);
  if (!/^\d{4}-\d{2}-\d{2}/.test(text) || Number.isNaN(at.getTime())) {
    throw new InvalidArgumentError('It must be a date or an instant in ISO 8601, such as 2026-01-31 or 2026-01-31T03:00:00Z.');
  }
  return at;
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || value < 1 || value > 10_000) {
    throw new InvalidArgumentError('It must be a whole number from 1 to 10000.');
  }
  return value;
}

const count = (value: number | null | undefined): string => (value === null || value === undefined ? '' : String(value));

const columns: readonly Column<SyncReport>[] = [
  { title: 'id', value: (report) => report.id },
  { title: 'started', value: (report) => report.startedAt.toISOString() },
  { title: 'participant', value: (report) => report.participant },
  { title: 'type', value: (report) => report.keyType },
  { title: 'status', value: (report) => report.status },
  { title: 'outcome', value: (report) => report.outcome ?? '' },
  { title: 'keys', value: (report) => count(report.figures?.totalKeysLocal), right: true },
  { title: 'missing', value: (report) => count(report.figures?.missingLocal), right: true },
  { title: 'outdated', value: (report) => count(report.figures?.outdatedLocal), right: true },
  { title: 'orphaned', value: (report) => count(report.figures?.orphaned), right: true },
  { title: 'unresolved', value: (report) => count(report.figures?.unresolved), right: true },
  { title: 'altered', value: (report) => count(report.figures?.altered), right: true },
  { title: 'open', value: (report) => count(report.figures?.divergencesOpen), right: true },
  { title: 'took', value: (report) => (report.durationMs === null ? '' : ageText(report.durationMs)), right: true },
];

/** The report with the seed's own field names, as other systems know them. */
function asJson(report: SyncReport, details: unknown): Record<string, unknown> {
  const { figures } = report;
  return {
    sync_id: report.id,
    participant: report.participant,
    key_type: report.keyType,
    sync_type: report.syncType,
    requested_by: report.requestedBy,
    status: report.status,
    outcome: report.outcome,
    started_at: report.startedAt.toISOString(),
    completed_at: report.completedAt?.toISOString() ?? null,
    duration_seconds: report.durationMs === null ? null : report.durationMs / 1_000,
    total_keys_local: figures?.totalKeysLocal ?? null,
    total_keys_bacen: figures?.totalKeysBacen ?? null,
    keys_in_sync: report.keysInSync,
    missing_local_count: figures?.missingLocal ?? null,
    data_mismatch_count: figures?.outdatedLocal ?? null,
    orphaned_count: figures?.orphaned ?? null,
    duplicated_count: figures?.duplicated ?? null,
    unresolved_count: figures?.unresolved ?? null,
    altered_count: figures?.altered ?? null,
    entries_created: figures?.entriesCreated ?? null,
    entries_updated: figures?.entriesUpdated ?? null,
    entries_deleted: figures?.entriesDeleted ?? null,
    divergences_open: figures?.divergencesOpen ?? null,
    verifications_sent: figures?.verificationsSent ?? null,
    by_cid_reads: figures?.byCidReads ?? null,
    files_requested: figures?.filesRequested ?? null,
    error_message: report.errorMessage,
    ...(details === undefined ? {} : { divergences_json: details }),
  };
}

function detailsOf(keys: DetailsKeys | null, report: SyncReport): unknown {
  if (report.details === null || keys === null) return null;
  try {
    return openDetails(keys, report.id, report.details);
  } catch (cause) {
    if (cause instanceof DetailsUnreadable) throw new CommandFailed(cause.message, 1, cause);
    throw cause;
  }
}

interface ListOptions extends Format, ScopeChoice {
  readonly status?: 'RUNNING' | 'COMPLETED' | 'PARTIAL' | 'FAILED';
  readonly since?: Date;
  readonly limit: number;
}

function listCommand(io: Io): Command {
  const command = new Command('list')
    .description('List runs, newest first')
    .addOption(participantOption())
    .addOption(keyTypeOption())
    .addOption(new Option('--status <status>', 'only of this status').choices(['RUNNING', 'COMPLETED', 'PARTIAL', 'FAILED']))
    .option('--since <instant>', 'only runs that started then or later', instant)
    .option('--limit <count>', 'at most so many', wholeNumber, 50)
    .allowExcessArguments(false)
    .action((options: ListOptions) =>
      withBase(io, async ({ database }) => {
        const reports = await listReports(database, options);
        if (options.json === true)
          io.stdout.write(
            `${JSON.stringify(
              reports.map((report) => asJson(report, undefined)),
              null,
              2,
            )}\n`,
          );
        else if (options.csv === true) io.stdout.write(csv(columns, reports));
        else if (reports.length === 0) io.stdout.write('No run has left a report yet.\n');
        else io.stdout.write(table(columns, reports, { colour: io.stdout.isTTY === true }));
      }),
    );
  return formatOptions(command);
}

function showCommand(io: Io): Command {
  return formatOptions(new Command('show'))
    .description('Show one run with its divergences, masked')
    .argument('<id>', 'the run’s id')
    .allowExcessArguments(false)
    .action((id: string, options: Format) =>
      withBase(io, async ({ database, config }) => {
        if (!uuid.test(id))
          throw new CommandFailed(`report show: "${id}" is not a run’s id (a UUID; "report list" shows them)`, 2);
        const report = await findReport(database, id);
        if (report === null) throw new CommandFailed(`report show: there is no run ${id}; "report list" shows those there are`);
        const shown = asJson(report, detailsOf(detailsKeysOf(config), report));
        if (options.json === true) io.stdout.write(`${JSON.stringify(shown, null, 2)}\n`);
        else if (options.csv === true) io.stdout.write(csv(columns, [report]));
        else io.stdout.write(lines(shown));
      }),
    );
}

function lines(shown: Readonly<Record<string, unknown>>): string {
  const entries = Object.entries(shown).filter(([, value]) => value !== null);
  const width = Math.max(...entries.map(([name]) => name.length));
  return entries
    .map(([name, value]) => {
      const text = typeof value === 'object' ? JSON.stringify(value, null, 2) : String(value);
      return `${name.padEnd(width)}  ${text}\n`;
    })
    .join('');
}

function metText(met: boolean | null): string {
  if (met === null) return 'no data';
  return met ? 'yes' : 'no';
}

interface SummaryOptions extends Format, ScopeChoice {
  readonly since?: Date;
  readonly until?: Date;
}

function summaryCommand(io: Io): Command {
  return formatOptions(new Command('summary'))
    .description('Add up the runs of a period and hold them against the targets (default: the last 30 days)')
    .addOption(participantOption())
    .addOption(keyTypeOption())
    .option('--since <instant>', 'start of the period', instant)
    .option('--until <instant>', 'end of the period, itself left out', instant)
    .allowExcessArguments(false)
    .action((options: SummaryOptions) =>
      withBase(io, async ({ database, clock }) => {
        const until = options.until ?? clock.now();
        const since = options.since ?? new Date(until.getTime() - 30 * dayMs);
        if (since >= until) throw new CommandFailed('report summary: --since must be before --until', 2);
        const summary = await summariseReports(database, { ...options, since, until });
        const targetColumns = [
          { title: 'target', value: (row: (typeof summary.targets)[number]) => row.name },
          { title: 'value', value: (row) => (row.value === null ? '–' : String(Number(row.value.toFixed(4)))), right: true },
          { title: 'aim', value: (row) => row.target, right: true },
          { title: 'met', value: (row) => metText(row.met) },
        ] satisfies Column<(typeof summary.targets)[number]>[];
        if (options.json === true) io.stdout.write(`${JSON.stringify(summary, null, 2)}\n`);
        else if (options.csv === true) io.stdout.write(csv(targetColumns, summary.targets));
        else {
          io.stdout.write(`From ${since.toISOString()} to ${until.toISOString()}\n\n`);
          io.stdout.write(`${lines({ ...summary.totals })}\n${table(targetColumns, summary.targets)}`);
        }
      }),
    );
}

function pruneCommand(io: Io): Command {
  return new Command('prune')
    .description(`Drop the reports of whole years that are more than ${keptYears} years past`)
    .allowExcessArguments(false)
    .action(() =>
      withBase(io, async ({ database, clock }) => {
        const oldest = clock.now();
        oldest.setUTCFullYear(oldest.getUTCFullYear() - keptYears);
        const years = await dropReportsBefore(database, oldest);
        io.stdout.write(years.length === 0 ? 'Nothing is old enough.\n' : `Dropped: ${years.join(', ')}\n`);
      }),
    );
}

/** `report list`, `show`, `summary` and `prune`. */
export function reportCommand(io: Io): Command {
  return new Command('report')
    .description('Show the reports that runs leave')
    .addCommand(listCommand(io))
    .addCommand(showCommand(io))
    .addCommand(summaryCommand(io))
    .addCommand(pruneCommand(io));
}
