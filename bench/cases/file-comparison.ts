/**
 * A CID set file, as it stands encrypted on the disk, against a base of as many keys: decrypted and proven, folded, held against the
 * stored buckets, and the keys that differ found. The peer only hashes the plain file, which nobody can do without who does not
 * encrypt it.
 */

import { createHash, hash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import * as path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { to as copyTo } from 'pg-copy-streams';
import { participant } from '../../src/dict/participant.ts';
import { assert } from '../../src/platform/assert.ts';
import type { Database } from '../../src/platform/postgres/database.ts';
import { createSealedFile } from '../../src/platform/sealed-file.ts';
import { compareFile } from '../../src/reconcile/file-comparison.ts';
import { rebuildBuckets } from '../../src/vsync/bucket-store.ts';
import { countOfBuckets, vsyncOfBuckets } from '../../src/vsync/buckets.ts';
import type { Scope } from '../../src/vsync/scope.ts';
import type { Bench } from '../bench.ts';
import { benchDatabase, sideDatabase } from '../fixtures/database.ts';

const scope: Scope = { participant: participant('00038166'), keyType: 'EVP' };
/** CIDs that each side alone has. */
const onlyHere = 50;
const onlyThere = 50;
const made = '2026-01-01T00:00:00Z';

/** History rows whose order on disk has nothing to do with their CIDs; primary key afterwards. */
async function fillBase(database: Database, keys: number): Promise<void> {
  const { participant: ispb, keyType } = scope;
  await database.transaction(async (tx) => {
    await tx.query(`SET LOCAL maintenance_work_mem = '1GB'`);
    await tx.query('ALTER TABLE dict_cids DROP CONSTRAINT dict_cids_pkey');
    await tx.query(
      `INSERT INTO dict_cids (participant, key_type, cid, key, added_seq, added_at, source, algorithm)
       SELECT $2, $3, sha256(i::text::bytea), 'key ' || i, 1, $4, 'import', 'dict' FROM generate_series(1::bigint, $1::bigint) AS i`,
      [keys, ispb, keyType, made],
    );
    await tx.query('ALTER TABLE dict_cids ADD CONSTRAINT dict_cids_pkey PRIMARY KEY (participant, key_type, cid, added_seq)');
    await tx.query(
      `INSERT INTO dict_vsyncs (participant, key_type, vsync, keys, seq, updated_at) VALUES ($1, $2, $3, 0, 1, $4)`,
      [ispb, keyType, Buffer.alloc(32), made],
    );
    const { buckets } = await rebuildBuckets(tx, scope);
    await tx.query('UPDATE dict_vsyncs SET vsync = $3, keys = $4 WHERE participant = $1 AND key_type = $2', [
      ispb,
      keyType,
      vsyncOfBuckets(buckets),
      countOfBuckets(buckets),
    ]);
  });
  await database.query('VACUUM (ANALYZE) dict_cids');
  // Lest it be done beside what is measured.
  await database.query('CHECKPOINT');
}

/** The base's CIDs, as they lie on disk, without the first ones and with some that it does not have. */
async function writeFile(database: Database, file: string): Promise<void> {
  await database.transaction(async (tx) => {
    const statement = `COPY (SELECT encode(cid, 'hex') FROM dict_cids OFFSET ${onlyHere}) TO STDOUT`;
    await pipeline(tx.connection.query(copyTo(statement)), createWriteStream(file));
  });
  const others = Array.from({ length: onlyThere }, (_, index) => `${hash('sha256', `other ${index}`)}\n`);
  await appendFile(file, others.join(''));
}

/** Opened before: a comparison is a step of a process that runs on. */
let database: Database | null = null;

async function compare(file: string, sha256: string, key: string): Promise<number> {
  const onProgress = (): Promise<void> => Promise.resolve();
  assert(database !== null, 'the database is open');
  const limits = { differencesMax: 1_000_000, sliceBuckets: 4_096, sliceCids: 250_000, onProgress };
  const expected = { path: file, sha256: Buffer.from(sha256, 'hex'), key: Buffer.from(key, 'hex') };
  const found = await compareFile(database, scope, expected, limits);
  assert(found?.local.size === onlyHere && found.dict.size === onlyThere, 'what was planted is found, and nothing else');
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
    const database = await benchDatabase(directory);
    const file = path.join(directory, 'set.cids');
    await fillBase(database, items);
    await writeFile(database, file);
    const digest = createHash('sha256');
    await pipeline(createReadStream(file), digest);
    const [sha256, key, sealed] = [digest.digest(), randomBytes(32), `${file}.sealed`];
    const writer = await createSealedFile(sealed, { key, context: sha256 });
    for await (const chunk of createReadStream(file)) await writer.append(Buffer.from(chunk));
    await writer.finish();
    await writer.close();
    const fixture = { file, sealed, sha256: sha256.toString('hex'), key: key.toString('hex'), url: database.url };
    return { fixture, release: () => database.close() };
  },
};
