/** Files of an existing base for tests of import, and how one is imported with limits small enough to meet all of them. */

import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import type { TestContext } from 'node:test';
import { RefusedFile } from '../../src/cli/refused-file.ts';
import type { Participant } from '../../src/dict/participant.ts';
import type { ImportResult } from '../../src/ingest/entry-import.ts';
import { type FileImportDeps, type ImportListener, importFile } from '../../src/ingest/file-import.ts';
import type { ImportFormat } from '../../src/ingest/import-run.ts';
import { ensureParticipants, lockParticipant, writeParticipant } from '../../src/ingest/participant-store.ts';
import { systemClock } from '../../src/platform/clock.ts';
import type { Database } from '../../src/platform/postgres/database.ts';

export const importedAsOf = new Date('2026-03-01T12:00:00.000Z');

/** Limits at which a file of some kilobytes meets every boundary, and an empty base is replaced whatever the file's size. */
export const smallLimits = { blockBytes: 1_024, commitBytes: 8_192, mergePages: 1, replaceBytesMin: 0 } as const;

/** A directory with a file of these lines; both are removed when the test ends. */
export function fileOf(t: Pick<TestContext, 'after'>, lines: readonly string[], name = 'base.ndjson'): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'dict-vsync-import-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const file = path.join(directory, name);
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
  return file;
}

export interface ImportGiven extends Partial<FileImportDeps> {
  readonly asOf?: Date;
  readonly listener?: Partial<ImportListener>;
}

/** Imports the file as the command does; refused rows go beside it. */
export async function importOf(database: Database, file: string, given: ImportGiven = {}): Promise<ImportResult> {
  const { asOf, listener, ...deps } = given;
  const handle = await open(file);
  const refused = new RefusedFile(`${file}.refused.ndjson`);
  const format: ImportFormat = file.endsWith('.csv') ? 'csv' : 'ndjson';
  try {
    return await importFile(
      { database, clock: systemClock, newId: randomUUID, ...smallLimits, ...deps },
      { handle, format, asOf: asOf ?? importedAsOf, refused },
      { onUnknown: () => {}, onEnd: async () => {}, ...listener },
    );
  } finally {
    await refused.close();
    await handle.close();
  }
}

/** That participant's CIDs are made by the other algorithm from now on. */
export async function withOtherAlgorithm(database: Database, ispb: Participant): Promise<void> {
  await database.transaction(async (tx) => {
    await ensureParticipants(tx, [ispb], systemClock.now());
    const { rules } = await lockParticipant(tx, ispb);
    await writeParticipant(tx, { ...rules, cidAlgorithm: 'canonical-json-1.0' }, systemClock.now());
  });
}

/** Whether nothing is left of any import but what it loaded. */
export async function isClean(database: Database): Promise<boolean> {
  const { rows } = await database.query<{ clean: boolean }>(
    `SELECT NOT EXISTS (SELECT FROM import_runs) AND to_regclass('import_entries') IS NULL AND to_regclass('import_cids') IS NULL
       AND to_regclass('import_rest') IS NULL AS clean`,
  );
  return rows[0]?.clean === true;
}
