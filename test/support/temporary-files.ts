/** A directory of a test's own for its files, which goes with the test. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import type { TestContext } from 'node:test';

export interface TemporaryFiles {
  readonly directory: string;
  /** Writes a file and answers its path. */
  write(name: string, content: string | Uint8Array): string;
}

export function temporaryFiles(t: TestContext): TemporaryFiles {
  const directory = mkdtempSync(path.join(tmpdir(), 'dict-vsync-files-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return {
    directory,
    write: (name, content) => {
      const file = path.join(directory, name);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, content);
      return file;
    },
  };
}
