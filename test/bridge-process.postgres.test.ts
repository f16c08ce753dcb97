/**
 * The whole product with the bridge as a process of its own: the commands know neither DICT's address nor any key, the bridge signs and
 * verifies, and is killed and started again while a reconciliation with a CID set file is under way.
 */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { participant } from '../src/dict/participant.ts';
import { sampleEntries } from '../src/dict/sample-entries.ts';
import { flatEntry } from '../src/event/flat-entry.ts';
import { signerFromFiles, trustFromFiles } from '../src/platform/key-files.ts';
import { demoKeyFiles, initDemoKeys } from '../src/simulator/demo-keys.ts';
import type { Operation } from '../src/simulator/operation.ts';
import { startSimulator } from '../src/simulator/simulator.ts';
import { type BridgeProcess, startBridgeProcess } from './support/bridge-process.ts';
import { testDatabase } from './support/database.ts';
import { ownDirectory, type ProgramOutcome, runProgram } from './support/program-run.ts';

const scope = { participant: participant('00038166'), keyType: 'EMAIL' } as const;

/** Waits and graces of a real directory would take minutes. */
const hasty = {
  DICT_VSYNC_VERIFICATION_LOG_LAG: '0',
  DICT_VSYNC_VERIFICATION_CLOCK_SKEW: '0',
  DICT_VSYNC_VERIFICATION_IN_FLIGHT_GRACE: '0',
  DICT_VSYNC_VERIFICATION_FIRST_POLL: '1s',
  DICT_VSYNC_VERIFICATION_LONGEST_POLL: '1s',
  DICT_VSYNC_RECONCILIATION_CLOCK_SKEW: '0',
  DICT_VSYNC_RECONCILIATION_FILE_POLLS: '1s',
};

/** A DICT that signs everything, a base with the same 200 keys, and the files that only the bridge is told of. */
async function signedWorld(t: TestContext, onCall: (operation: Operation) => Promise<void>) {
  const cwd = ownDirectory(t);
  const pki = path.join(cwd, 'pki');
  initDemoKeys(pki, new Date());
  const { dictSigning, participantSigning } = demoKeyFiles(pki);
  const simulator = await startSimulator({
    policies: null,
    logLagMs: 0,
    file: { requestedMs: 0, processingMs: 200 },
    signatures: {
      sign: signerFromFiles({ ...dictSigning, passphrase: null }),
      trust: trustFromFiles(participantSigning.certificateFile),
    },
    behaviour: {
      before: async ({ operation }) => {
        await onCall(operation);
        return null;
      },
    },
  });
  t.after(() => simulator.close());
  const samples = [...sampleEntries({ seed: 17, ...scope, count: 200 })];
  simulator.state.seedEntries(samples);
  writeFileSync(
    path.join(cwd, 'entries.ndjson'),
    samples.map(({ entry, requestId }) => `${JSON.stringify(flatEntry(entry, requestId))}\n`).join(''),
  );
  const database = await testDatabase(t);
  const bridgeEnv = {
    DICT_URL: simulator.apiUrl,
    DICT_VSYNC_DICT_SIGNING_KEY: participantSigning.keyFile,
    DICT_VSYNC_DICT_SIGNING_CERTIFICATE: participantSigning.certificateFile,
    DICT_VSYNC_DICT_TRUST_STORE: dictSigning.certificateFile,
    DICT_VSYNC_BRIDGE_DRAIN: '5s',
  };
  const run = (args: readonly string[], env: Readonly<Record<string, string>>): Promise<ProgramOutcome> =>
    runProgram(args, { cwd, env: { ...hasty, DATABASE_URL: database.url, ...env } });
  const anHourAgo = new Date(Date.now() - 3_600_000).toISOString();
  const imported = await run(['import', 'entries.ndjson', '--as-of', anHourAgo], {});
  assert.equal(imported.exitCode, 0, imported.stderr);
  return { cwd, simulator, samples, database, bridgeEnv, run };
}

describe('a bridge process', () => {
  it('carries a verification and a reconciliation by file, though it is killed twice meanwhile', async (t) => {
    const deaths: Operation[] = [];
    const killAt: Operation[] = [];
    let downloads = 0;
    let bridge: BridgeProcess | null = null;
    let restarted: Promise<void> = Promise.resolve();
    const world = await signedWorld(t, async (operation) => {
      if (operation === 'downloadCidSetFile') downloads += 1;
      if (killAt[0] !== operation || bridge === null) return;
      deaths.push(operation);
      killAt.shift();
      const { port, end } = bridge;
      bridge = null;
      await end('SIGKILL');
      restarted = startBridgeProcess(t, { cwd: world.cwd, env: world.bridgeEnv, port }).then((next) => {
        bridge = next;
      });
    });
    const { simulator, samples, database, bridgeEnv, cwd } = world;
    bridge = await startBridgeProcess(t, { cwd, env: bridgeEnv });
    const through = { DICT_VSYNC_BRIDGE_URL: bridge.url };
    const choice = ['--participant', scope.participant, '--key-type', scope.keyType];

    const verified = await world.run(['verify', ...choice, '--json'], through);
    assert.equal(verified.exitCode, 0, verified.stdout + verified.stderr);
    assert.match(verified.stdout, /"kind": "in-sync"/);

    const [changed, gone] = samples;
    const [fresh] = sampleEntries({ seed: 17, ...scope, count: 1, first: 1_000 });
    assert.ok(changed && gone && fresh);
    simulator.state.alter(changed.entry.key, { name: 'João & Maria <Conceição> \u2028' });
    simulator.state.remove(gone.entry.key);
    simulator.state.insert(fresh);
    killAt.push('getCidSetFile', 'getEntryByCid');
    const reconciled = await world.run(['reconcile', ...choice, '--from-rung', 'file', '--json'], through);
    await restarted;
    assert.equal(reconciled.exitCode, 0, reconciled.stdout + reconciled.stderr);
    assert.deepEqual(deaths, ['getCidSetFile', 'getEntryByCid']);
    const counts = simulator.state.counts();
    assert.equal(counts['createCidSetFile 201'], 1, 'one file served, whatever happened to the bridge');
    assert.ok(downloads >= 1);

    const { rows } = await database.query<{ key: string; cid: string }>(
      `SELECT key, encode(cid, 'hex') AS cid FROM dict_entries WHERE status = 'ACTIVE' ORDER BY key COLLATE "C"`,
    );
    const expected = [...simulator.state.activeEntries()].map(({ entry, cid }) => ({ key: entry.key, cid }));
    const byKey = (one: { key: string }, other: { key: string }): number => (one.key < other.key ? -1 : 1);
    assert.deepEqual(rows.toSorted(byKey), expected.toSorted(byKey));
    const again = await world.run(['verify', ...choice], through);
    assert.equal(again.exitCode, 0, again.stdout + again.stderr);
    assert.equal(await bridge?.end('SIGTERM'), 0);
  });

  it('that is not there is an error, though DICT itself could be asked', async (t) => {
    const world = await signedWorld(t, async () => {});
    const env = { ...world.bridgeEnv, DICT_VSYNC_BRIDGE_URL: 'grpc://127.0.0.1:9' };
    const outcome = await world.run(['verify', '--participant', scope.participant, '--key-type', scope.keyType], {
      ...env,
      DICT_VSYNC_VERIFICATION_TRIES_MAX: '1',
    });
    assert.equal(outcome.exitCode, 2, outcome.stdout + outcome.stderr);
    assert.match(outcome.stdout, /unavailable.*Unreachable/);
    assert.deepEqual(world.simulator.state.counts(), {}, 'DICT was asked');
  });

  it('ends with a clear complaint where it cannot start', async (t) => {
    const cwd = ownDirectory(t);
    const cases: readonly (readonly [Readonly<Record<string, string>>, RegExp])[] = [
      [{}, /DICT_URL is not set/],
      [
        { DICT_URL: 'http://127.0.0.1:1/', DICT_VSYNC_BRIDGE_HOST: '192.0.2.1' },
        /the bridge cannot listen on 192\.0\.2\.1:50051/,
      ],
      [
        { DICT_URL: 'http://127.0.0.1:1/', DICT_VSYNC_BRIDGE_TLS_KEY: 'x' },
        /TLS_KEY and DICT_VSYNC_BRIDGE_TLS_CERTIFICATE go together/,
      ],
      [
        { DICT_URL: 'http://127.0.0.1:1/', DICT_VSYNC_BRIDGE_TLS_KEY: 'x', DICT_VSYNC_BRIDGE_TLS_CERTIFICATE: 'y' },
        /y: it cannot be read \(ENOENT\)/,
      ],
      [
        { DICT_VSYNC_BRIDGE_URL: 'grpc://127.0.0.1:1', DICT_VSYNC_BRIDGE_TLS_AUTHORITY: 'x' },
        /begins with grpc:\/\/, which is in clear/,
      ],
    ];
    for (const [env, complaint] of cases) {
      const { exitCode, stderr } = await runProgram(['bridge'], { cwd, env });
      assert.equal(exitCode, 1, stderr);
      assert.match(stderr, complaint);
      assert.doesNotMatch(stderr, /fault of the program/);
    }
  });
});
