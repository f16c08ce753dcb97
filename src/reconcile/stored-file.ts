/**
 * The CID set file on this machine's disk: never in clear, only in the working directory, and only as long as its run needs it. A name
 * begins with the run's id, so that everything a run has left, killed processes included, is found and removed. What is in the file is
 * for file-download.ts and file-comparison.ts.
 */

import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import * as path from 'node:path';
import { createSealedFile, readSealedBeginning, type Seal, type SealedFileWriter } from '../platform/sealed-file.ts';
import type { StepInput } from './claiming.ts';
import type { ReconcileDeps } from './reconciliation.ts';
import { fenceRun, readRun, updateRun } from './run-store.ts';

type Place = Pick<ReconcileDeps, 'workDirectory'>;

const keyBytes = 32;
const uuidCharacters = 36;

/** Where the run's whole and proven CID set file stands. */
export function filePath({ workDirectory }: Place, runId: string): string {
  return path.join(workDirectory, `${runId}.cids`);
}

/** The seal of the file with that digest under the run's key, which is made and committed before the first byte is written. */
export async function sealOf(
  deps: ReconcileDeps,
  input: StepInput,
  run: { readonly fileKey: Buffer | null },
  sha256: Buffer,
): Promise<Seal> {
  if (run.fileKey !== null) return { key: run.fileKey, context: sha256 };
  const key = randomBytes(keyBytes);
  await deps.database.transaction(async (tx) => {
    await fenceRun(tx, input.runId, input.token);
    await updateRun(tx, input.runId, { fileKey: key }, deps.clock.now());
  });
  return { key, context: sha256 };
}

/** A file in the making. */
export interface NewFile extends SealedFileWriter {
  /** What an interrupted download of this run's has left of the same file, proven piece by piece, to be appended again. */
  kept(): Iterable<Uint8Array>;
  /** All that was kept is in here now: the older one goes. */
  forgetKept(): Promise<void>;
  /** Finishes it and puts it in place as the run's file. */
  place(): Promise<void>;
  remove(): Promise<void>;
}

/**
 * Begins a file of a name that no other process uses: one that has lost the run may still be writing to its own.
 */
export async function beginFile(deps: Place & Pick<ReconcileDeps, 'newId'>, runId: string, seal: Seal): Promise<NewFile> {
  const { workDirectory } = deps;
  await mkdir(workDirectory, { recursive: true, mode: 0o700 });
  const target = filePath(deps, runId);
  const older = await leftOf(deps, runId);
  const part = `${target}.${deps.newId()}.part`;
  const writer = await createSealedFile(part, seal);
  return {
    ...writer,
    *kept() {
      // The longest one has the most; what is not of this file, or not whole, gives nothing.
      const [longest] = older;
      if (longest !== undefined) yield* readSealedBeginning(longest, seal);
    },
    forgetKept: async () => {
      for (const name of older) await rm(name, { force: true });
    },
    place: async () => {
      await writer.finish();
      await writer.close();
      await rename(part, target);
    },
    remove: () => rm(part, { force: true }),
  };
}

/** Files of the run, unfinished ones and one that was placed by a process that died before it could say so; the longest first. */
async function leftOf(deps: Place, runId: string): Promise<string[]> {
  const names = (await namesIn(deps)).filter((name) => name.startsWith(runId));
  const sized = await Promise.all(
    names.map(async (name) => {
      const file = path.join(deps.workDirectory, name);
      return { file, bytes: (await stat(file).catch(() => ({ size: 0 }))).size };
    }),
  );
  return sized.toSorted((a, b) => b.bytes - a.bytes).map(({ file }) => file);
}

/** Removes the run's file and all that processes which were killed while they downloaded it have left. */
export async function removeFiles(deps: Place, runId: string): Promise<void> {
  for (const name of await namesIn(deps)) {
    if (name.startsWith(runId)) await rm(path.join(deps.workDirectory, name), { force: true });
  }
}

/** Removes files of runs that are over: their process died between the end of the run and their removal, or lost the run. */
export async function removeForsaken(deps: Pick<ReconcileDeps, 'workDirectory' | 'database'>): Promise<void> {
  const names = (await namesIn(deps)).filter((name) => /^[0-9a-f-]{36}[.]cids/.test(name));
  for (const runId of new Set(names.map((name) => name.slice(0, uuidCharacters)))) {
    const run = await readRun(deps.database, runId);
    if (run === null || run.endedAt !== null) await removeFiles(deps, runId);
  }
}

async function namesIn({ workDirectory }: Place): Promise<string[]> {
  try {
    return await readdir(workDirectory);
  } catch (cause) {
    // No file was ever downloaded on this machine.
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return [];
    throw cause;
  }
}
