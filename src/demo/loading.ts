/** The first load of the base: what the core had at one time, written to a file and imported as `dict-vsync import` does. */

import { createWriteStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import * as path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { SampleEntry } from '../dict/sample-entries.ts';
import { flatEntry } from '../event/flat-entry.ts';
import { type FileImportDeps, importFile } from '../ingest/file-import.ts';

const linesPerChunk = 1_000;
/** Small, so that whoever shows the progress has something to show. */
const commitBytes = 8_388_608;

function* linesOf(entries: Iterable<SampleEntry>): Generator<string, void, undefined> {
  let lines: string[] = [];
  for (const { entry, requestId } of entries) {
    lines.push(`${JSON.stringify(flatEntry(entry, requestId))}\n`);
    if (lines.length < linesPerChunk) continue;
    yield lines.join('');
    lines = [];
  }
  yield lines.join('');
}

/** Loads these entries as of that time; the file is gone afterwards. `onProgress` hears the rows so far. */
export async function loadBase(
  deps: Pick<FileImportDeps, 'database' | 'clock' | 'newId'> & { readonly directory: string; readonly signal: AbortSignal },
  entries: Iterable<SampleEntry>,
  asOf: Date,
  onProgress: (keys: number) => void,
): Promise<void> {
  const name = path.join(deps.directory, 'base.ndjson');
  await pipeline(Readable.from(linesOf(entries)), createWriteStream(name, { mode: 0o600 }), { signal: deps.signal });
  const handle = await open(name);
  try {
    const refused = {
      goOnAfter: async () => true,
      write: ({ line, detail }: { readonly line: number; readonly detail: string }) =>
        Promise.reject(new Error(`generated line ${line} was refused: ${detail}`)),
      settle: async () => 0,
    };
    await importFile(
      { ...deps, commitBytes },
      { handle, format: 'ndjson', asOf, refused },
      { onUnknown: () => {}, onProgress: ({ rows }) => onProgress(rows), onEnd: async () => {} },
    );
  } finally {
    await handle.close();
    await rm(name);
  }
}
