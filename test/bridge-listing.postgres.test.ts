/**
 * The paged listing (GetKeys) through a bridge process of its own, with signed payloads and mutual TLS on both of its sides: our client of
 * gRPC reads it page by page, and `dict-vsync sync` synchronises over it, while the bridge alone knows keys and addresses.
 */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { createBridgeClient } from '../src/bridge/grpc/bridge-client.ts';
import { type ChannelFiles, clientCredentials } from '../src/bridge/grpc/channel-files.ts';
import type { EntryListing, EntryPage } from '../src/dict/entry-listing.ts';
import { DictError } from '../src/dict/errors.ts';
import { participant } from '../src/dict/participant.ts';
import { sampleEntries } from '../src/dict/sample-entries.ts';
import { flatEntry } from '../src/event/flat-entry.ts';
import { systemClock } from '../src/platform/clock.ts';
import { demoKeyFiles, initDemoKeys } from '../src/simulator/demo-keys.ts';
import { dictSide, participantSettings } from '../src/simulator/demo-sides.ts';
import type { Operation } from '../src/simulator/operation.ts';
import { startSimulator } from '../src/simulator/simulator.ts';
import { type BridgeProcess, startBridgeProcess } from './support/bridge-process.ts';
import { testDatabase } from './support/database.ts';
import { ownDirectory, runProgram } from './support/program-run.ts';

const scope = { participant: participant('00038166'), keyType: 'EMAIL' } as const;
/** Two pages of a thousand, and a part of a third. */
const KEYS = 2_300;

/** A DICT with a paged listing, and a bridge to it; `onCall` hears of each call before it is answered. */
async function bridgedWorld(t: TestContext, onCall: (operation: Operation) => Promise<void> = async () => {}) {
  const cwd = ownDirectory(t);
  const pki = path.join(cwd, 'pki');
  initDemoKeys(pki, new Date());
  const simulator = await startSimulator({
    policies: null,
    logLagMs: 0,
    ...dictSide(pki),
    behaviour: {
      before: async ({ operation }) => {
        await onCall(operation);
        return null;
      },
    },
  });
  t.after(() => simulator.close());
  const samples = [...sampleEntries({ seed: 29, ...scope, count: KEYS })];
  simulator.state.seedEntries(samples);
  const { server, client, authorityFile } = demoKeyFiles(pki);
  const env = {
    DICT_URL: simulator.apiUrl,
    DICT_LISTING_URL: simulator.listingUrl,
    ...participantSettings(pki),
    DICT_VSYNC_BRIDGE_TLS_CERTIFICATE: server.certificateFile,
    DICT_VSYNC_BRIDGE_TLS_KEY: server.keyFile,
    DICT_VSYNC_BRIDGE_TLS_AUTHORITY: authorityFile,
  };
  const start = (port?: number): Promise<BridgeProcess> =>
    startBridgeProcess(t, { cwd, env, ...(port === undefined ? {} : { port }) });
  const files = { ...client, keyPassphrase: null, authorityFile };
  return { cwd, simulator, samples, files, start };
}

function listingThrough(t: TestContext, port: number, files: ChannelFiles): EntryListing {
  const client = createBridgeClient({
    url: `grpcs://localhost:${port}`,
    credentials: clientCredentials(files, true),
    clock: systemClock,
    callMs: 60_000,
    messageBytesMax: 16 * 1024 * 1024,
  });
  t.after(() => client.close());
  return client;
}

describe('a paged listing through a bridge process', () => {
  it('comes page by page, whole, and with what went wrong named', async (t) => {
    const { simulator, files, start } = await bridgedWorld(t);
    const listing = listingThrough(t, (await start()).port, files);
    const first = { participant: scope.participant, pageNumber: 1, pageSize: 1_000, status: 'ACTIVE' } as const;
    const pages: EntryPage[] = [];
    for (const pageNumber of [1, 2, 3]) pages.push(await listing.listEntries({ ...first, pageNumber }));
    assert.deepEqual(
      pages.map(({ entries, unreadable, totalCount, hasNextPage }) => [entries.length, unreadable, totalCount, hasNextPage]),
      [
        [1_000, [], KEYS, true],
        [1_000, [], KEYS, true],
        [300, [], KEYS, false],
      ],
    );
    const byKey = (one: { readonly key: string }, other: { readonly key: string }): number => (one.key < other.key ? -1 : 1);
    const there = [...simulator.state.activeEntries(scope)].map(({ entry }) => entry);
    assert.deepEqual(pages.flatMap(({ entries }) => entries).toSorted(byKey), there.toSorted(byKey));

    const updatedSince = new Date();
    const [changed] = there;
    assert.ok(changed);
    simulator.state.alter(changed.key, { name: 'João & Maria <Conceição> \u2028' });
    const since = await listing.listEntries({ ...first, updatedSince });
    assert.deepEqual(
      since.entries.map(({ key, owner }) => [key, owner.name]),
      [[changed.key, 'João & Maria <Conceição> \u2028']],
    );

    const faults = [
      [{ signature: 'altered' }, 'AnswerSignatureInvalid', /the document is not what was signed/],
      [{ breakConnection: true }, 'ConnectionLost', /listEntries: the connection broke/],
      [{ error: 'ServiceUnavailable', retryAfter: '7' }, 'ServiceUnavailable', /./],
    ] as const;
    for (const [fault, kind, message] of faults) {
      simulator.state.addFault({ operation: 'getKeys', times: 1, ...fault });
      const failure: unknown = await listing.listEntries(first).catch((error: unknown) => error);
      assert.ok(failure instanceof DictError, String(failure));
      assert.deepEqual([failure.kind, failure.retryAfterSec], [kind, kind === 'ServiceUnavailable' ? 7 : null]);
      assert.match(failure.message, message);
    }
  });

  it('carries a synchronisation, though the bridge is killed over the second page', async (t) => {
    let pages = 0;
    let bridge: BridgeProcess | null = null;
    let restarted: Promise<void> = Promise.resolve();
    const world = await bridgedWorld(t, async (operation) => {
      if (operation !== 'getKeys') return;
      pages += 1;
      if (pages !== 2 || bridge === null) return;
      const { port, end } = bridge;
      await end('SIGKILL');
      restarted = world.start(port).then((next) => {
        bridge = next;
      });
    });
    const { cwd, simulator, samples } = world;
    const database = await testDatabase(t);
    const lines = samples.map(({ entry, requestId }) => `${JSON.stringify(flatEntry(entry, requestId))}\n`);
    writeFileSync(path.join(cwd, 'entries.ndjson'), lines.join(''));
    bridge = await world.start();
    const env = {
      DATABASE_URL: database.url,
      DICT_VSYNC_BRIDGE_URL: `grpcs://localhost:${bridge.port}`,
      DICT_VSYNC_BRIDGE_TLS_CERTIFICATE: world.files.certificateFile,
      DICT_VSYNC_BRIDGE_TLS_KEY: world.files.keyFile,
      DICT_VSYNC_BRIDGE_TLS_AUTHORITY: world.files.authorityFile,
      DICT_VSYNC_VERIFICATION_LOG_LAG: '0',
      DICT_VSYNC_VERIFICATION_CLOCK_SKEW: '0',
      DICT_VSYNC_VERIFICATION_IN_FLIGHT_GRACE: '0',
      DICT_VSYNC_RECONCILIATION_CLOCK_SKEW: '0',
    };
    const anHourAgo = new Date(Date.now() - 3_600_000).toISOString();
    const imported = await runProgram(['import', 'entries.ndjson', '--as-of', anHourAgo], { cwd, env });
    assert.equal(imported.exitCode, 0, imported.stderr);
    const [changed, gone] = samples;
    const [fresh] = sampleEntries({ seed: 29, ...scope, count: 1, first: KEYS + 1 });
    assert.ok(changed && gone && fresh);
    simulator.state.alter(changed.entry.key, { name: 'João & Maria' });
    simulator.state.remove(gone.entry.key);
    simulator.state.insert(fresh);

    const synced = await runProgram(['sync', '--participant', scope.participant, '--json'], { cwd, env });
    await restarted;
    assert.equal(synced.exitCode, 0, synced.stdout + synced.stderr);
    const [result]: Record<string, unknown>[] = JSON.parse(synced.stdout);
    assert.deepEqual(
      ['Status', 'EntriesSynced', 'EntriesCreated', 'EntriesUpdated', 'EntriesDeleted'].map((name) => result?.[name]),
      ['COMPLETED', KEYS, 1, 1, 1],
    );
    assert.equal(pages, 4, 'three pages, one of them twice');
    const { rows } = await database.query<{ key: string; cid: string }>(
      `SELECT key, encode(cid, 'hex') AS cid FROM dict_entries WHERE status = 'ACTIVE'`,
    );
    const there = [...simulator.state.activeEntries(scope)].map(({ cid, entry }) => `${entry.key} ${cid}`);
    assert.deepEqual(rows.map(({ key, cid }) => `${key} ${cid}`).toSorted(), there.toSorted());
    assert.equal(await bridge.end('SIGTERM'), 0);
  });
});
