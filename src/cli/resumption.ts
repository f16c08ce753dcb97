/** What `scan` and `rebuild` have in common: they are interrupted and go on under an id, and tell how far they are. */

import { randomUUID } from 'node:crypto';
import { Option } from 'commander';
import type { ScanProgress } from '../ingest/filter-passes.ts';
import { readUnfinished, type ScanKind, ScanTakenOver, type UnfinishedRun } from '../ingest/scan-run.ts';
import { DatabaseUnavailable } from '../platform/postgres/errors.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import type { Base } from '../wire.ts';
import { CommandFailed, type Io } from './io.ts';
import type { Progress } from './progress.ts';

/** A run that has kept nothing for so long has ended: it does so every few seconds. */
const silentMs = 60_000;
const interruptedExitCode = 130;

/** `--resume ID`. */
export function resumeOption(): Option {
  return new Option('--resume <id>', 'go on with one that was interrupted; its id was told then');
}

export interface Resumption {
  readonly kind: ScanKind;
  readonly resume: string | undefined;
  readonly acceptAltered: boolean;
  readonly scopes: readonly Scope[];
}

/** The id to run under: that of the interrupted run, or a new one. Ends the command where there is no such run, or it was another. */
export async function runIdOf({ database, clock }: Base, io: Io, wanted: Resumption): Promise<string> {
  const { kind, resume } = wanted;
  const unfinished = await readUnfinished(database, kind);
  if (resume === undefined) {
    const [last] = unfinished.filter(({ updatedAt }) => clock.now().getTime() - updatedAt.getTime() > silentMs);
    if (last !== undefined) {
      io.stderr.write(
        `A ${kind} was interrupted at ${last.updatedAt.toISOString()}: --resume ${last.id} would go on with it. This one is new.\n`,
      );
    }
    return randomUUID();
  }
  const found = unfinished.find(({ id }) => id === resume);
  if (found === undefined) throw new CommandFailed(`--resume: no ${kind} ${resume} was interrupted`, 2);
  const other = differenceTo(found, wanted);
  if (other !== null) throw new CommandFailed(`--resume: ${kind} ${resume} was begun ${other}; give the same options`, 2);
  io.stderr.write(`Goes on with ${kind} ${resume}, which had come so far at ${found.updatedAt.toISOString()}.\n`);
  return resume;
}

/** What of the run is not what is wanted now. */
function differenceTo(found: UnfinishedRun, { acceptAltered, scopes }: Resumption): string | null {
  if (found.acceptAltered !== acceptAltered) return `with${found.acceptAltered ? '' : 'out'} --accept-altered`;
  const participants = new Set(found.scopes.map(({ participant }) => participant));
  const nameOf = ({ participant, keyType }: Scope): string => `${participant} ${keyType}`;
  const begun = found.scopes.map(nameOf).sort();
  const now = scopes
    .filter(({ participant }) => participants.has(participant))
    .map(nameOf)
    .sort();
  return begun.join() === now.join() ? null : `for ${begun.join(', ')}`;
}

/** Runs it; where it ends before its time, the command's message says how to go on. */
export async function resumably(io: Io, kind: ScanKind, id: string, work: () => Promise<void>): Promise<void> {
  const how = `"dict-vsync ${kind} --resume ${id}", with the same options, goes on`;
  try {
    await work();
  } catch (cause) {
    if (io.signal.aborted) throw new CommandFailed(`interrupted: ${how} from there`, interruptedExitCode, cause);
    if (cause instanceof DatabaseUnavailable) throw new CommandFailed(`${cause.message}; ${how} once it is there`, 1, cause);
    if (cause instanceof ScanTakenOver) throw new CommandFailed(cause.message, 1, cause);
    throw cause;
  }
}

/** Passes on how far a run is: the participant, and what of it is being read. */
export function tellingScan(progress: Progress): (of: ScanProgress) => void {
  return ({ participant, phase, done, total }) => progress.at({ done, total, phase: `${participant} ${phase}` });
}
