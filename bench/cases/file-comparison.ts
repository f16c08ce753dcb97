/**
 * A CID set file, as it stands encrypted on the disk, against a base of as many keys: decrypted and proven, folded, held against the
 * stored buckets, and the keys that differ found. The peer only hashes the plain file, which nobody can do without who does not
 * encrypt it.
 */

import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { assert } from '../../src/platform/assert.ts';
import type { Database } from '../../src/platform/postgres/database.ts';
import { createSealedFile } from '../../src/platform/sealed-file.ts';
import { compareFile } from '../../src/reconcile/file-comparison.ts';
import type { Bench } from '../bench.ts';
import { BASE_SCOPE, baseAndFile, ONLY_HERE, ONLY_THERE } from '../fixtures/cid-set-sides.ts';
import { sideDatabase } from '../fixtures/database.ts';

/** Opened before: a comparison is a step of a process that runs on. */
let database: Database | null = null;

async function compare(file: string, sha256: string, key: string): Promise<number> {
  const onProgress = (): Promise<void> => Promise.resolve();
  assert(database !== null, 'the database is open');
  const limits = { differencesMax: 1_000_000, sliceBuckets: 4_096, sliceCids: 250_000, onProgress };
  const expected = { path: file, sha256: Buffer.from(sha256, 'hex'), key: Buffer.from(key, 'hex') };
  const found = await compareFile(database, BASE_SCOPE, expected, limits);
  assert(found?.local.size === ONLY_HERE && found.dict.size === ONLY_THERE, 'what was planted is found, and nothing else');
  return found.keys;
}

export const bench: Bench = {
  what: 'an encrypted CID set file read and compared with the base, 100 CIDs differing',
  items: { usual: 10_000_000, small: 1_000_000, unit: 'lines' },
  timed: 'work',
  rounds: 7,
  oursPeakBytesMax: 150 * 1_000_000,
  sides: {
    ours: {
      before: async ({ url }) => {
        database = await sideDatabase(String(url));
      },
      run: async ({ sealed, sha256, key }) => compare(String(sealed), String(sha256), String(key)),
    },
    'openssl dgst': { program: ({ file }) => ['openssl', 'dgst', '-sha256', String(file)] },
  },
  wanted: { 'openssl dgst': { atMost: 1.15, smallAtMost: 8 } },
  async prepare(items, directory) {
    const { database, file, sha256 } = await baseAndFile(items, directory);
    const [key, sealed] = [randomBytes(32), `${file}.sealed`];
    const writer = await createSealedFile(sealed, { key, context: sha256 });
    for await (const chunk of createReadStream(file)) await writer.append(Buffer.from(chunk));
    await writer.finish();
    await writer.close();
    const fixture = { file, sealed, sha256: sha256.toString('hex'), key: key.toString('hex'), url: database.url };
    return { fixture, release: () => database.close() };
  },
};
