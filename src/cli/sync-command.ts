/**
 * `dict-vsync sync`: compare entry by entry over the paged listing of a directory that offers one, repair what DICT confirms, one report for
 * each participant. Also how a person pauses such a run and lets it go on. Without such a directory, `reconcile` does all of it.
 */

import { randomUUID } from 'node:crypto';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Participant } from '../dict/participant.ts';
import { vsyncWorkflowId } from '../flow/vsync-workflow.ts';
import type { SyncType } from '../reconcile/listing.ts';
import { readListing, readOpenListing, setListingPaused } from '../reconcile/listing-store.ts';
import type { VSyncResult } from '../report/vsync.ts';
import { FlowSuspended } from '../runner/in-process-runner.ts';
import { runVSync, type VSyncRunDeps } from '../runner/vsync-run.ts';
import { type Base, synchronisationDeps, withBase } from '../wire.ts';
import { openDict, openEntryListing } from '../wire-dict.ts';
import { CommandFailed, type Io } from './io.ts';
import { scopesOfBase } from './known-scopes.ts';
import { operatorOf } from './operator.ts';
import { type Progress, withProgress } from './progress.ts';
import { withRunStates } from './run-states.ts';
import { participantOption } from './scope-option.ts';
import { table } from './table.ts';

interface SyncOptions {
  readonly type: SyncType;
  readonly participant?: Participant;
  readonly since?: Date;
  readonly pause?: string;
  readonly resume?: string;
  readonly wait?: true;
  readonly json?: true;
}

interface Synced {
  readonly participant: Participant;
  readonly status: VSyncResult['Status'] | 'WAITING' | 'ELSEWHERE' | 'REFUSED';
  /** Null where it did not end. */
  readonly result: VSyncResult | null;
  readonly reason: string;
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const waitingExitCode = 3;
/** Participants whose listings are read at a time: each reads one page after the other. */
const atATime = 4;

function idOf(text: string): string {
  if (!uuid.test(text)) throw new InvalidArgumentError('It must be the id of a synchronisation, a UUID.');
  return text;
}

function instantOf(text: string): Date {
  const at = new Date(text);
  if (!/^\d{4}-\d{2}-\d{2}/.test(text) || Number.isNaN(at.getTime())) {
    throw new InvalidArgumentError('It must be a date or an instant in ISO 8601, such as 2026-01-31T03:00:00Z.');
  }
  return at;
}

async function setPaused(base: Base, id: string, paused: boolean): Promise<boolean> {
  const now = base.clock.now();
  return base.database.transaction((tx) => setListingPaused(tx, id, paused ? now : null, now));
}

async function pauseSync(base: Base, io: Io, id: string): Promise<void> {
  if (!(await setPaused(base, id, true))) {
    throw new CommandFailed(`sync: there is no open synchronisation ${id}, or it is paused already`);
  }
  io.stdout.write(`Synchronisation ${id} stops before its next step. "dict-vsync sync --resume ${id}" lets it go on.\n`);
}

/** The participant of a paused or abandoned synchronisation, which then goes on. */
async function resumedParticipant(base: Base, id: string): Promise<Participant> {
  const listing = await readListing(base.database, id);
  if (listing === null) {
    throw new CommandFailed(`sync: there is no synchronisation ${id}; "dict-vsync report list" shows those there are`);
  }
  if (listing.endedAt !== null) {
    throw new CommandFailed(`sync: synchronisation ${id} has ended; what it left open is carried into the next`);
  }
  await setPaused(base, id, false);
  return listing.participant;
}

async function syncParticipant(base: Base, participant: Participant, options: SyncOptions, deps: VSyncRunDeps): Promise<Synced> {
  const input = {
    ParticipantISPB: participant,
    SyncType: options.type,
    LastSyncDate: options.since?.toISOString() ?? null,
  };
  const start = {
    listingId: randomUUID(),
    owner: `${vsyncWorkflowId(participant)} ${randomUUID()}`,
    requestedBy: operatorOf(base.config),
    keyTypes: base.config.program.keyTypes,
  };
  try {
    const outcome = await runVSync(deps, input, start);
    switch (outcome.kind) {
      case 'ended':
        return { participant, status: outcome.result.Status, result: outcome.result, reason: outcome.result.ErrorMessage };
      case 'refused':
        return { participant, status: 'REFUSED', result: null, reason: outcome.reason };
      case 'elsewhere':
        return { participant, status: 'ELSEWHERE', result: null, reason: 'another process works on it' };
    }
  } catch (cause) {
    if (!(cause instanceof FlowSuspended)) throw cause;
    return { participant, status: 'WAITING', result: null, reason: await whyWaiting(base, participant) };
  }
}

async function whyWaiting(base: Base, participant: Participant): Promise<string> {
  const open = await readOpenListing(base.database, participant);
  if (open !== null && open.pausedAt !== null) return `paused; "dict-vsync sync --resume ${open.id}" lets it go on`;
  return 'a list of repairs waits for approval: "dict-vsync status" shows the run, "dict-vsync approve RUN --reason TEXT" decides; then run sync again';
}

/** All of them, some at a time. */
async function syncAll(
  participants: readonly Participant[],
  one: (participant: Participant) => Promise<Synced>,
): Promise<Synced[]> {
  const results: Synced[] = [];
  for (let at = 0; at < participants.length; at += atATime) {
    results.push(...(await Promise.all(participants.slice(at, at + atATime).map(one))));
  }
  return results;
}

function print(io: Io, results: readonly Synced[], json: boolean): void {
  if (json) {
    const rows = results.map(({ participant, status, result, reason }) => ({
      workflow: vsyncWorkflowId(participant),
      ParticipantISPB: participant,
      ...(result ?? { Status: status, ErrorMessage: reason }),
    }));
    io.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
    return;
  }
  const figure = (value: number | undefined): string => (value === undefined ? '' : String(value));
  io.stdout.write(
    table<Synced>(
      [
        { title: 'participant', value: ({ participant }) => participant },
        { title: 'status', value: ({ status }) => status },
        { title: 'listed', value: ({ result }) => figure(result?.EntriesSynced), right: true },
        { title: 'created', value: ({ result }) => figure(result?.EntriesCreated), right: true },
        { title: 'updated', value: ({ result }) => figure(result?.EntriesUpdated), right: true },
        { title: 'flagged', value: ({ result }) => figure(result?.EntriesDeleted), right: true },
        { title: 'report', value: ({ result }) => result?.ReportID ?? '' },
        { title: 'reason', value: ({ reason }) => reason },
      ],
      results,
      { colour: io.stdout.isTTY === true },
    ),
  );
}

function failureOf(results: readonly Synced[]): CommandFailed | null {
  const waiting = results.filter(({ status }) => status === 'WAITING');
  const failed = results.filter(({ status }) => status !== 'COMPLETED' && status !== 'WAITING');
  if (failed.length > 0) {
    return new CommandFailed(`sync: ${failed.length} of ${results.length} not completed; "dict-vsync report show ID" says why`);
  }
  const [first] = waiting;
  if (first === undefined) return null;
  return new CommandFailed(`sync: ${waiting.length} of ${results.length} wait: ${first.reason}`, waitingExitCode);
}

async function sync(io: Io, base: Base, options: SyncOptions, progress: Progress): Promise<void> {
  if (options.pause !== undefined) return pauseSync(base, io, options.pause);
  const chosen = options.resume === undefined ? options.participant : await resumedParticipant(base, options.resume);
  const scopes = await scopesOfBase(base, chosen === undefined ? {} : { participant: chosen });
  const participants = [...new Set(scopes.map(({ participant }) => participant))];
  if (participants.length === 0) {
    throw new CommandFailed('sync: the base knows no participant; "dict-vsync import FILE" loads one', 2);
  }
  const listing = await openEntryListing(base);
  const dict = await openDict(base);
  try {
    const deps = { ...synchronisationDeps(base, dict, io.signal), ...listing, suspendOnWait: options.wait !== true };
    const results = await withRunStates<void, Synced[]>(io, base, scopes, progress, () =>
      syncAll(participants, (participant) => syncParticipant(base, participant, options, deps)),
    );
    print(io, results, options.json === true);
    const failure = failureOf(results);
    if (failure !== null) throw failure;
  } finally {
    await Promise.all([dict.close(), listing.listing.close()]);
  }
}

/** `sync`: exit status 0 when all is done, 1 when something is not, 3 when something waits for a decision. */
export function syncCommand(io: Io): Command {
  return new Command('sync')
    .description(
      'Compare entry by entry over a paged listing (DICT_LISTING_URL) and repair the base; exit status 0: done, 1: not completed, 3: waits',
    )
    .addOption(
      new Option('--type <type>', 'every entry, or those changed since a time (which flags none as missing at Bacen)')
        .choices(['FULL', 'INCREMENTAL'])
        .default('FULL'),
    )
    .addOption(participantOption())
    .addOption(new Option('--since <instant>', 'for INCREMENTAL; default: since the last that completed').argParser(instantOf))
    .addOption(new Option('--pause <id>', 'stop a synchronisation before its next step').argParser(idOf).conflicts(['resume']))
    .addOption(new Option('--resume <id>', 'go on with one that was paused, or whose process ended').argParser(idOf))
    .option('--wait', 'wait for an approval instead of ending with status 3')
    .option('--json', 'print VSyncResult as JSON')
    .allowExcessArguments(false)
    .action((options: SyncOptions) => {
      if (options.since !== undefined && options.type === 'FULL') {
        throw new CommandFailed('sync: --since is for --type INCREMENTAL; a FULL synchronisation looks at every entry', 2);
      }
      return withProgress(io, { title: 'sync', unit: 'participants' }, (apart, progress) =>
        withBase(apart, (base) => sync(apart, base, options, progress)),
      );
    });
}
