/** A file's SHA-256, with and without a thread. */

import assert from 'node:assert/strict';
import { hash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { describe, it } from 'node:test';
import { digestFile } from './file-digest.ts';

describe('the digest of a file', () => {
  for (const [what, size] of Object.entries({ empty: 0, small: 1_000, large: 9_000_001 })) {
    it(`is that of its bytes: ${what}`, async (t) => {
      const directory = await mkdtemp(path.join(tmpdir(), 'dict-vsync-digest-'));
      t.after(() => rm(directory, { recursive: true }));
      const bytes = randomBytes(size);
      const file = path.join(directory, 'file');
      await writeFile(file, bytes);
      const digest = digestFile(file);
      assert.deepEqual(await digest.sha256, hash('sha256', bytes, 'buffer'));
      await digest.end();
    });
  }

  it('is refused for a file that cannot be read, and given up without a trace', async () => {
    const digest = digestFile('/nowhere/at-all');
    await assert.rejects(digest.sha256, { code: 'ENOENT' });
    await digest.end();
  });
});
