/** Sealed files of given texts for the tests of one file, in a folder of their own that is removed afterwards. */

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, before } from 'node:test';
import { createSealedFile, type Seal } from '../../src/platform/sealed-file.ts';
import type { StoredFile } from '../../src/reconcile/segment-folding.ts';

export interface SealedTexts {
  readonly seal: Seal;
  /** Where they lie, while tests run. */
  directory(): string;
  /** Seals that text in segments of that size. */
  write(text: string, segmentBytes: number): Promise<StoredFile>;
}

/** Makes the folder before the file's tests and removes it after them. */
export function sealedTexts(): SealedTexts {
  const seal: Seal = { key: randomBytes(32), context: randomBytes(32) };
  let directory = '';
  let files = 0;
  before(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'dict-vsync-sealed-'));
  });
  after(async () => {
    await rm(directory, { recursive: true });
  });
  return {
    seal,
    directory: () => directory,
    write: async (text, segmentBytes) => {
      files += 1;
      const file = { path: path.join(directory, `${files}`), seal };
      const writer = await createSealedFile(file.path, seal, segmentBytes);
      await writer.append(Buffer.from(text, 'latin1'));
      await writer.finish();
      await writer.close();
      return file;
    },
  };
}
