/**
 * A CID set file from DICT's file server to its differences: the step of a reconciliation that downloads it over HTTP, hashes, folds and
 * encrypts it, and the comparison with a base of as many keys. The peer hashes the plain file, which is the least that anybody has to do.
 */

import { randomUUID } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import * as path from 'node:path';
import { createDictClient } from '../../src/bridge/dict-client.ts';
import { ensureParticipants } from '../../src/ingest/participant-store.ts';
import { assert } from '../../src/platform/assert.ts';
import { systemClock } from '../../src/platform/clock.ts';
import type { Database } from '../../src/platform/postgres/database.ts';
import { compareFile } from '../../src/reconcile/file-comparison.ts';
import { openReconciliation } from '../../src/reconcile/opening.ts';
import { RECONCILE_DEFAULTS, type ReconcileDeps } from '../../src/reconcile/reconciliation.ts';
import { fenceRun, readRun, updateRun } from '../../src/reconcile/run-store.ts';
import { createReconciliationSteps } from '../../src/reconcile/steps.ts';
import { filePath } from '../../src/reconcile/stored-file.ts';
import { VERIFY_DEFAULTS } from '../../src/verify/settings.ts';
import type { Bench, Fixture } from '../bench.ts';
import { BASE_SCOPE, baseAndFile, ONLY_HERE, ONLY_THERE } from '../fixtures/cid-set-sides.ts';
import { sideDatabase } from '../fixtures/database.ts';

const settings = { ...RECONCILE_DEFAULTS, fileBytesMax: Number.MAX_SAFE_INTEGER };
const noProgress = (): Promise<void> => Promise.resolve();

/** A run that has its file to download, made before the clock starts. */
let ready: { readonly deps: ReconcileDeps; readonly runId: string; readonly token: number } | null = null;

async function openRun(database: Database, { directory, url, sha256, bytes }: Fixture): Promise<void> {
  const apiUrl = String(url);
  const deps: ReconcileDeps = {
    database,
    dict: createDictClient({ apiUrl, filesHosts: ['127.0.0.1'], clock: systemClock, random: Math.random }),
    clock: systemClock,
    settings,
    verify: VERIFY_DEFAULTS,
    workDirectory: path.join(String(directory), 'work'),
    newId: randomUUID,
    log: { info: () => {}, warn: () => {} },
  };
  // Of the round before.
  await database.query('DELETE FROM dict_reconciliations');
  await database.transaction((tx) => ensureParticipants(tx, [BASE_SCOPE.participant], systemClock.now()));
  const opening = await openReconciliation(deps, {
    ...BASE_SCOPE,
    requestedBy: { name: 'bench', authenticated: false },
    verificationRunId: null,
    fromRung: 'file',
  });
  assert(opening.kind === 'opened', 'a run is opened');
  const { runId } = opening;
  const claim = await createReconciliationSteps(deps).claimReconciliation({ runId, owner: 'bench' });
  assert(claim.kind === 'claimed', 'the run is ours');
  await database.transaction(async (tx) => {
    await fenceRun(tx, runId, claim.token);
    const file = {
      fileId: '1',
      fileUrl: `${apiUrl}set.cids`,
      fileBytes: Number(bytes),
      fileSha256: Buffer.from(String(sha256), 'hex'),
    };
    await updateRun(tx, runId, { state: 'downloading', rung: 'file', ...file }, systemClock.now());
  });
  ready = { deps, runId, token: claim.token };
}

async function downloadAndCompare(): Promise<number> {
  assert(ready !== null, 'there is a run');
  const { deps, runId, token } = ready;
  const next = await createReconciliationSteps(deps).downloadCidSetFile({ runId, token });
  assert(next.kind === 'go' && next.step === 'compareCidSetFile', 'the file is whole');
  const run = await readRun(deps.database, runId);
  assert(run !== null && run.fileKey !== null && run.fileSha256 !== null, 'it has a key');
  const limits = { differencesMax: 1_000_000, sliceBuckets: 4_096, sliceCids: 250_000, onProgress: noProgress };
  const file = { path: filePath(deps, runId), sha256: run.fileSha256, key: run.fileKey };
  const found = await compareFile(deps.database, BASE_SCOPE, file, limits);
  assert(found?.local.size === ONLY_HERE && found.dict.size === ONLY_THERE, 'what was planted is found, and nothing else');
  return found.keys;
}

export const bench: Bench = {
  what: 'a CID set file downloaded, verified, encrypted and compared with the base, 100 CIDs differing',
  items: { usual: 10_000_000, small: 300_000, unit: 'lines' },
  timed: 'work',
  rounds: 3,
  oursPeakBytesMax: 200 * 1_000_000,
  sides: {
    ours: {
      before: async (fixture) => openRun(await sideDatabase(String(fixture['database'])), fixture),
      run: () => downloadAndCompare(),
    },
    'openssl dgst': { program: ({ file }) => ['openssl', 'dgst', '-sha256', String(file)] },
  },
  // Receiving over HTTP, hashing, folding, encrypting, writing, then reading, decrypting and folding: measured at 5.4 times hashing 10,000,000 lines, and at 10.8 times 2,000,000 before.
  wanted: { 'openssl dgst': { atMost: 15, smallAtMost: 60 } },
  async prepare(items, directory) {
    const { database, file, sha256 } = await baseAndFile(items, directory);
    const server = createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'text/plain; charset=us-ascii' });
      createReadStream(file).pipe(response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    assert(typeof address === 'object' && address !== null, 'the server listens');
    const url = `http://127.0.0.1:${address.port}/`;
    const fixture = { directory, file, url, database: database.url, sha256: sha256.toString('hex'), bytes: statSync(file).size };
    return {
      fixture,
      release: async () => {
        server.closeAllConnections();
        server.close();
        await database.close();
      },
    };
  },
};
