/** Long-running commands serve /metrics and /health where they are told to, for as long as they run. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { startSimulator } from '../src/simulator/simulator.ts';
import { runLine } from './support/command-run.ts';
import { testDatabase } from './support/database.ts';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}

/** Waits until that page is there and its text is as wanted. */
async function scraped(url: string, wanted: RegExp): Promise<string> {
  let text = '';
  for (let looks = 0; looks < 600; looks++) {
    text = await fetch(url).then(
      (response) => response.text(),
      () => '',
    );
    if (wanted.test(text)) return text;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(`${url} never said ${String(wanted)}: ${text.slice(0, 2_000)}`);
}

describe('a long-running command', () => {
  it('ingest: is healthy while it waits for events, and serves no longer than it runs', { timeout: 120_000 }, async (t) => {
    const database = await testDatabase(t);
    const port = await freePort();
    const stdin = new PassThrough();
    const env = { DATABASE_URL: database.url, DICT_VSYNC_METRICS_PORT: String(port) };
    const running = runLine(['ingest', '-'], { stdin, env });
    assert.match(await scraped(`http://127.0.0.1:${port}/health`, /ok/), /^\{"status":"ok","database":"ok"\}$/m);
    await scraped(`http://127.0.0.1:${port}/metrics`, /^process_cpu_seconds_total /m);
    stdin.end();
    const { exitCode, stderr } = await running;
    assert.equal(exitCode, 0, stderr);
    await assert.rejects(fetch(`http://127.0.0.1:${port}/health`));
  });

  it('worker: tells the calls of its rounds', { timeout: 120_000 }, async (t) => {
    const database = await testDatabase(t);
    const { apiUrl, close } = await startSimulator();
    t.after(() => close());
    const port = await freePort();
    const ending = new AbortController();
    const env = {
      DATABASE_URL: database.url,
      DICT_URL: apiUrl,
      PARTICIPANT_ISPB: '00038166',
      DICT_VSYNC_PROGRAM_KEY_TYPES: 'EVP',
      DICT_VSYNC_METRICS_PORT: String(port),
    };
    const running = runLine(['worker'], { env, signal: ending.signal });
    await scraped(
      `http://127.0.0.1:${port}/metrics`,
      /^dict_client_calls_total\{operation="createSyncVerification",outcome="ok"\} [1-9]/m,
    );
    ending.abort(new Error('the test is over'));
    const { stderr } = await running;
    assert.match(stderr, new RegExp(`"port":${port},"msg":"metrics and health are served"`));
  });

  it('ends with the reason where the port is taken', { timeout: 120_000 }, async (t) => {
    const database = await testDatabase(t);
    const taken = createServer().listen(0, '127.0.0.1');
    t.after(() => taken.close());
    await once(taken, 'listening');
    const address = taken.address();
    assert.ok(typeof address === 'object' && address !== null);
    const env = { DATABASE_URL: database.url, DICT_VSYNC_METRICS_PORT: String(address.port) };
    const { exitCode, stderr } = await runLine(['ingest', '-'], { env });
    assert.equal(exitCode, 1);
    assert.match(stderr, /metrics cannot be served on 127\.0\.0\.1 port \d+ \(EADDRINUSE\)/);
  });
});
