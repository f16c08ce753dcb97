/** The first load of the base: what the core had at one time, written to a file and imported as `dict-vsync import` does. */

import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import * as path from 'node:path';
import type { SampleEntry } from '../dict/sample-entries.ts';
import { flatEntry } from '../event/flat-entry.ts';
import { type ImportDeps, importBase } from '../ingest/entry-import.ts';
import { ndjsonRows } from '../ingest/import-file.ts';
import type { DemoWorld } from './world.ts';

/** Loads these entries as of that time. `onProgress` hears the rows so far. */
export async function loadBase(
  world: Pick<DemoWorld, 'directory'> & { readonly base: ImportDeps },
  entries: readonly SampleEntry[],
  asOf: Date,
  onProgress: (keys: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const file = path.join(world.directory, 'base.ndjson');
  const lines = entries.map(({ entry, requestId }) => `${JSON.stringify(flatEntry(entry, requestId))}\n`);
  await writeFile(file, lines.join(''), { mode: 0o600 });
  const { database, clock } = world.base;
  await importBase(
    { database, clock, signal },
    ndjsonRows(createReadStream(file)),
    asOf,
    (row) => {
      throw new Error(`generated line ${row.line} was refused: ${row.decoded.detail}`);
    },
    ({ rows }) => onProgress(rows),
  );
}
