/** `doctor` against set-ups that are broken in one place each: the right stage, the right words, the right exit status. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import * as path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { runLine } from './support/command-run.ts';
import { doctorWorld, type Examined, examine, files, inDays, otherFiles, reissued } from './support/doctor-world.ts';
import { opensslMissing } from './support/foreign-programs.ts';

/** Everything but these checks is as it should be. */
function assertOnly(examined: Examined, level: 'warn' | 'fail', ...checks: string[]): void {
  const found = examined.findings.filter((finding) => finding.level === level).map(({ check }) => check);
  assert.deepEqual([...new Set(found)], checks, JSON.stringify(examined.findings, null, 1));
  if (level === 'warn') assert.equal(examined.fail, 0, JSON.stringify(examined.findings, null, 1));
  assert.equal(examined.exitCode, level === 'fail' ? 1 : 0);
}

/** A port where something listens that never says a word; or, once closed, nothing. */
async function silentPort(t: TestContext): Promise<{ port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => void sockets.add(socket.on('error', () => {})));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address !== 'string');
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
  t.after(close);
  return { port: address.port, close };
}

describe('doctor', () => {
  it('finds nothing wrong with a good set-up, asks DICT once, and changes nothing', async (t) => {
    const world = await doctorWorld(t);
    const examined = await world.examine();
    assert.equal(examined.exitCode, 0);
    assert.deepEqual([examined.warn, examined.fail], [0, 0], JSON.stringify(examined.findings, null, 1));
    for (const check of ['DICT TLS', 'DICT answer', 'DICT signature', 'clock', 'signing certificate', 'trust store'])
      assert.equal(examined.of(check).level, 'ok');
    assert.match(examined.of('DICT answer').seen, /^answered participant 00038166 in [0-9]+ ms; correlation [0-9a-f]{32}$/);
    assert.equal(examined.findings.filter(({ check }) => check === 'token bucket').length, 7);
    assert.deepEqual(world.simulator.state.counts(), { 'listPolicies 200': 1 });
    assert.equal(existsSync(world.env['DATA_DIR'] ?? ''), false);
  });

  it('prints a line for each check, with what to do beneath', async (t) => {
    const world = await doctorWorld(t);
    const env = { ...world.env, DICT_VSYNC_DICT_TRUST_STORE: undefined };
    const { stdout, exitCode } = await runLine(['doctor'], { env, cwd: world.directory });
    assert.equal(exitCode, 0);
    assert.match(stdout, /^ok {4}Node {18}[0-9.]+$/m);
    assert.match(stdout, /^warn {2}trust store {11}none is configured.*\n {28}do: set DICT_VSYNC_DICT_TRUST_STORE/m);
    assert.match(stdout, /^[0-9]+ ok, 1 warnings, 0 failures, [0-9]+ not checked$/m);
  });

  it('names every complaint about the configuration, and checks nothing that follows from it', async (t) => {
    const world = await doctorWorld(t);
    const examined = await world.examine({ DICT_VSYNC_DICT_CONNECTIONS: 'many', DICT_VSYNC_DATABASE_POOL_MAX: '0' });
    assertOnly(examined, 'fail', 'configuration');
    assert.match(examined.of('configuration').seen, /DICT_VSYNC_DATABASE_POOL_MAX[\s\S]*DICT_VSYNC_DICT_CONNECTIONS/);
    assert.deepEqual(world.simulator.state.counts(), {});
  });

  it('warns that without an address nothing can be asked', async (t) => {
    const { directory } = await doctorWorld(t);
    const examined = await examine({ DATA_DIR: path.join(directory, 'data') });
    assertOnly(examined, 'warn', 'DICT address');
  });

  it('ends when it is interrupted, in the middle of a question', async (t) => {
    const { port } = await silentPort(t);
    const world = await doctorWorld(t);
    const interruption = new AbortController();
    const env = { ...world.env, DICT_URL: `https://127.0.0.1:${port}/api/v2/` };
    const running = runLine(['doctor'], { env, cwd: world.directory, signal: interruption.signal });
    setTimeout(() => interruption.abort(new Error('interrupted by the test')), 300);
    const { exitCode, stderr } = await running;
    assert.equal(exitCode, 130);
    assert.match(stderr, /interrupted/);
  });

  it('refuses a data directory that is a file', async (t) => {
    const world = await doctorWorld(t);
    const file = path.join(world.directory, 'file');
    writeFileSync(file, '');
    const examined = await world.examine({ DATA_DIR: file });
    assertOnly(examined, 'fail', 'data directory');
    assert.match(examined.of('data directory').seen, /is no directory/);
  });
});

describe('doctor on certificates', () => {
  const times = [
    ['expired', -400, -1, 'fail', /expired on/, /renewed/],
    ['not valid yet', 2, 400, 'fail', /is valid from .* only/, /clock/],
    ['near its end', -400, 12, 'warn', /expires on .*, in 12 days/, /renewed before/],
    ['good for 31 days', -400, 31, 'ok', /valid until .* \(31 days\)/, null],
  ] as const;
  for (const [what, from, to, level, seen, advice] of times) {
    it(`tells of a signing certificate that is ${what}`, async (t) => {
      const { directory, env } = await doctorWorld(t);
      const file = reissued(directory, files.participantSigning.certificateFile, {
        notBefore: inDays(from),
        notAfter: inDays(to),
      });
      // DICT is not asked: what it makes of such a certificate is another test.
      const examined = await examine(
        { ...env, DICT_VSYNC_DICT_SIGNING_CERTIFICATE: file, PARTICIPANT_ISPB: undefined },
        directory,
      );
      const finding = examined.of('signing certificate');
      assert.equal(finding.level, level);
      assert.match(finding.seen, seen);
      assert.match(finding.seen, /^CN=Reemitido \(serial 4711\)/);
      if (advice !== null) assert.match(finding.advice ?? '', advice);
    });
  }

  it('fails when DICT’s server refuses our expired certificate, and says why in both places', async (t) => {
    const world = await doctorWorld(t);
    const validity = { notBefore: inDays(-400), notAfter: inDays(-1) };
    const file = reissued(world.directory, files.client.certificateFile, validity);
    const examined = await world.examine({ DICT_VSYNC_DICT_TLS_CERTIFICATE: file });
    assertOnly(examined, 'fail', 'TLS certificate', 'DICT TLS');
    assert.match(examined.of('TLS certificate').seen, /expired on/);
    assert.match(examined.of('DICT TLS').seen, /refus(es|ing) our certificate: it expired at/);
    assert.deepEqual(world.simulator.state.counts(), {});
  });

  it('fails when key and certificate do not belong together', async (t) => {
    const world = await doctorWorld(t);
    const examined = await world.examine({
      DICT_VSYNC_DICT_SIGNING_KEY: otherFiles.participantSigning.keyFile,
      DICT_VSYNC_DICT_TLS_KEY: otherFiles.client.keyFile,
    });
    assertOnly(examined, 'fail', 'signing certificate', 'TLS certificate');
    assert.match(examined.of('TLS certificate').seen, /does not belong to the first certificate/);
  });

  it('fails when a file is not there, or holds no certificate', async (t) => {
    const world = await doctorWorld(t);
    const empty = path.join(world.directory, 'empty.pem');
    writeFileSync(empty, '');
    const examined = await world.examine({
      DICT_VSYNC_DICT_TRUST_STORE: empty,
      DICT_VSYNC_DICT_TLS_AUTHORITY: path.join(world.directory, 'nowhere.pem'),
    });
    assert.match(examined.of('trust store').seen, /there is no certificate in it/);
    assert.match(examined.of('TLS authority').seen, /nowhere\.pem: it cannot be read \(ENOENT\)/);
    assert.equal(examined.exitCode, 1);
  });

  it('warns of a private key that others may use', async (t) => {
    const world = await doctorWorld(t);
    const { keyFile } = otherFiles.client;
    chmodSync(keyFile, 0o644);
    t.after(() => chmodSync(keyFile, 0o600));
    const examined = await world.examine({
      DICT_VSYNC_DICT_TLS_KEY: keyFile,
      DICT_VSYNC_DICT_TLS_CERTIFICATE: otherFiles.client.certificateFile,
    });
    const exposed = examined.findings.find(({ seen }) => seen.includes('mode 644'));
    assert.equal(exposed?.level, 'warn');
    assert.equal(exposed.advice, `chmod 600 ${keyFile}`);
  });

  it('reads a PKCS#12 file, its end and its passphrase', async (t) => {
    const missing = opensslMissing();
    if (missing !== null) return t.skip(missing);
    const world = await doctorWorld(t);
    const validity = { notBefore: inDays(-400), notAfter: inDays(20) };
    const certificate = reissued(world.directory, files.client.certificateFile, validity);
    const file = path.join(world.directory, 'client.p12');
    const made = [
      'pkcs12',
      '-export',
      '-in',
      certificate,
      '-inkey',
      files.client.keyFile,
      '-out',
      file,
      '-passout',
      'pass:segredo',
    ];
    execFileSync('openssl', made, { stdio: 'ignore' });
    chmodSync(file, 0o600);
    const settings = {
      DICT_VSYNC_DICT_TLS_CERTIFICATE: undefined,
      DICT_VSYNC_DICT_TLS_KEY: undefined,
      DICT_VSYNC_DICT_TLS_PKCS12: file,
    };
    const opened = await world.examine({ ...settings, DICT_VSYNC_DICT_TLS_PASSPHRASE: 'segredo' });
    assertOnly(opened, 'warn', 'TLS certificate');
    assert.match(opened.of('TLS certificate').seen, /^CN=Reemitido .* expires on .*, in 20 days$/);
    assert.equal(opened.of('DICT answer').level, 'ok');
    const closed = await world.examine({ ...settings, DICT_VSYNC_DICT_TLS_PASSPHRASE: 'outro' });
    assertOnly(closed, 'fail', 'TLS certificate');
    assert.match(closed.of('TLS certificate').seen, /the passphrase does not open it/);
    assert.equal(JSON.stringify(closed.findings).includes('outro'), false);
  });

  it('takes an expired certificate beside a good one for left over, and alone for a failure', async (t) => {
    const world = await doctorWorld(t);
    const store = path.join(world.directory, 'trust');
    mkdirSync(store);
    const validity = { notBefore: inDays(-400), notAfter: inDays(-1) };
    const expired = reissued(store, files.dictSigning.certificateFile, validity);
    const alone = await world.examine({ DICT_VSYNC_DICT_TRUST_STORE: expired });
    assert.equal(alone.of('trust store').level, 'fail');
    assert.equal(alone.of('DICT signature').level, 'fail');
    writeFileSync(path.join(store, 'present.pem'), readFileSync(files.dictSigning.certificateFile));
    const both = await world.examine({ DICT_VSYNC_DICT_TRUST_STORE: store });
    assertOnly(both, 'warn', 'trust store');
  });
});

describe('doctor on the way to DICT', () => {
  it('names a host that there is none of', async (t) => {
    const world = await doctorWorld(t);
    const examined = await world.examine({ DICT_URL: 'https://dict-h.invalid:16522/api/v2/' });
    assertOnly(examined, 'fail', 'DICT name');
    assert.match(examined.of('DICT name').seen, /dict-h\.invalid leads to no address/);
    assert.equal(examined.of('DICT answer').level, 'skip');
  });

  it('names a port that nothing listens on', async (t) => {
    const world = await doctorWorld(t);
    const { port, close } = await silentPort(t);
    await close();
    const examined = await world.examine({ DICT_URL: `https://127.0.0.1:${port}/api/v2/` });
    assertOnly(examined, 'fail', 'DICT port');
    assert.match(examined.of('DICT port').seen, /ECONNREFUSED/);
    assert.match(examined.of('DICT port').advice ?? '', /nothing listens there/);
  });

  it('names a server that takes the connection and never answers, within its time', async (t) => {
    const world = await doctorWorld(t);
    const { port } = await silentPort(t);
    const secure = await world.examine({ DICT_VSYNC_DICT_CONNECT_TIMEOUT: '1s', DICT_URL: `https://127.0.0.1:${port}/api/v2/` });
    assert.equal(secure.of('DICT port').level, 'ok');
    assert.equal(secure.of('DICT TLS').level, 'fail');
    const plain = await world.examine({
      DICT_VSYNC_DICT_CALL_TIMEOUT: '1s',
      DICT_URL: `http://127.0.0.1:${port}/api/v2/`,
      DICT_VSYNC_DICT_TLS_CERTIFICATE: undefined,
      DICT_VSYNC_DICT_TLS_KEY: undefined,
      DICT_VSYNC_DICT_TLS_AUTHORITY: undefined,
    });
    assertOnly(plain, 'fail', 'DICT answer');
    assert.match(plain.of('DICT answer').seen, /no answer within 1000 ms/);
  });

  it('names TLS when the port does not speak it, and the address when it does and was not expected to', async (t) => {
    const plain = await doctorWorld(t, { tls: null });
    const secured = await plain.examine({ DICT_URL: plain.simulator.apiUrl.replace('http:', 'https:') });
    assertOnly(secured, 'fail', 'DICT TLS');
    const secure = await doctorWorld(t);
    const inClear = await secure.examine({
      DICT_URL: secure.simulator.apiUrl.replace('https:', 'http:'),
      DICT_VSYNC_DICT_TLS_CERTIFICATE: undefined,
      DICT_VSYNC_DICT_TLS_KEY: undefined,
      DICT_VSYNC_DICT_TLS_AUTHORITY: undefined,
    });
    assertOnly(inClear, 'fail', 'DICT answer');
    assert.match(inClear.of('DICT answer').advice ?? '', /https/);
    assert.equal(inClear.of('DICT address').level, 'warn');
  });

  it('names a server whose authority we do not trust, and one that does not trust ours', async (t) => {
    const world = await doctorWorld(t);
    const theirs = await world.examine({ DICT_VSYNC_DICT_TLS_AUTHORITY: otherFiles.authorityFile });
    assertOnly(theirs, 'fail', 'DICT TLS');
    assert.match(theirs.of('DICT TLS').seen, /shows a certificate .*trusted here/);
    const ours = await world.examine({
      DICT_VSYNC_DICT_TLS_CERTIFICATE: otherFiles.client.certificateFile,
      DICT_VSYNC_DICT_TLS_KEY: otherFiles.client.keyFile,
    });
    assertOnly(ours, 'fail', 'DICT TLS');
    assert.match(ours.of('DICT TLS').seen, /refus(es|ing) our certificate/);
  });

  it('tells a wrong trust store from everything before it', async (t) => {
    const world = await doctorWorld(t);
    const examined = await world.examine({ DICT_VSYNC_DICT_TRUST_STORE: otherFiles.dictSigning.certificateFile });
    assertOnly(examined, 'fail', 'DICT signature');
    assert.match(examined.of('DICT signature').seen, /not in the trust store/);
    assert.equal(examined.of('DICT TLS').level, 'ok');
    assert.equal(examined.of('DICT answer').level, 'ok');
  });

  it('tells a participant that DICT does not know, with what to tell the Central Bank', async (t) => {
    const world = await doctorWorld(t, { participants: ['60746948'] });
    const examined = await world.examine();
    assertOnly(examined, 'fail', 'DICT answer');
    assert.match(examined.of('DICT answer').seen, /refuses participant 00038166 \(Forbidden; correlation [0-9a-f]{32}\)/);
    assert.equal(examined.of('DICT TLS').level, 'ok');
  });

  it('tells of a DICT that is not well, having asked it once', async (t) => {
    const world = await doctorWorld(t);
    world.simulator.state.addFault({ operation: 'listPolicies', times: 5, error: 'ServiceUnavailable' });
    const examined = await world.examine();
    assertOnly(examined, 'fail', 'DICT answer');
    assert.match(examined.of('DICT answer').seen, /^DICT answered 503 ServiceUnavailable; correlation [0-9a-f]{32}$/);
    assert.match(examined.of('DICT answer').advice ?? '', /DICT is not well/);
    assert.deepEqual(world.simulator.state.counts(), { 'listPolicies 503': 1 });
  });

  it('tells of answers without a signature, and warns where they are let pass', async (t) => {
    const world = await doctorWorld(t, { signatures: null });
    const demanded = await world.examine();
    assertOnly(demanded, 'fail', 'DICT signature');
    assert.match(demanded.of('DICT signature').seen, /the document is not signed/);
    const passed = await world.examine({ DICT_VSYNC_DICT_ANSWERS_SIGNED: 'if-present' });
    assertOnly(passed, 'warn', 'DICT signature');
    assert.match(passed.of('DICT signature').advice ?? '', /DICT_VSYNC_DICT_ANSWERS_SIGNED/);
  });

  it('tells what is not DICT’s API at all', async (t) => {
    const world = await doctorWorld(t);
    const examined = await world.examine({ DICT_URL: new URL('/elsewhere/', world.simulator.apiUrl).href });
    assertOnly(examined, 'fail', 'DICT answer');
    assert.match(examined.of('DICT answer').advice ?? '', /host, port and path of DICT_URL/);
  });

  it('names a host of files that there is none of', async (t) => {
    const world = await doctorWorld(t);
    const examined = await world.examine({ DICT_FILES_HOSTS: '127.0.0.1,arquivos.invalid:16423' });
    assertOnly(examined, 'fail', 'files host');
    assert.match(
      examined.findings.find(({ check, level }) => check === 'files host' && level === 'fail')?.seen ?? '',
      /arquivos\.invalid/,
    );
  });
});

describe('doctor on clock and token buckets', () => {
  // A slow machine measures less exactly, and says so: the differences are large, and the limits are set to suit.
  for (const [aheadMs, limit, level, seen] of [
    [60_000, '5s', 'fail', /^ours is [56][0-9]\.[0-9] s behind DICT’s \(± [0-9.]+ s\); judgements allow 5 s$/],
    [-3_600_000, '5s', 'fail', /^ours is 3[56][0-9]{2}\.[0-9] s ahead of DICT’s/],
    [60_000, '10min', 'warn', /^ours is [56][0-9]\.[0-9] s behind/],
    [0, '5s', 'ok', /^ours is [0-9]\.[0-9] s/],
  ] as const) {
    it(`calls ${aheadMs} ms of difference ${level} where ${limit} are allowed`, async (t) => {
      const world = await doctorWorld(t, { clockAheadMs: aheadMs });
      const examined = await world.examine({ DICT_VSYNC_RECONCILIATION_CLOCK_SKEW: limit });
      assert.equal(examined.of('clock').level, level, examined.of('clock').seen);
      assert.match(examined.of('clock').seen, seen);
      if (level !== 'ok') assert.match(examined.of('clock').advice ?? '', /NTP/);
    });
  }

  it('warns of a bucket that is low, fails at one that is empty, and says what to do', async (t) => {
    const world = await doctorWorld(t);
    world.simulator.state.setTokens('00038166', 'CIDS_FILES_WRITE', 12);
    const low = await world.examine();
    assertOnly(low, 'warn', 'token bucket');
    const seen = low.findings.filter(({ level }) => level === 'warn').map((finding) => finding.seen);
    assert.deepEqual(seen, ['CIDS_FILES_WRITE: 12 of 200 tokens, 40 every day']);
    world.simulator.state.setTokens('00038166', 'CIDS_FILES_WRITE', 0);
    const empty = await world.examine();
    assertOnly(empty, 'fail', 'token bucket');
    assert.match(empty.findings.find(({ level }) => level === 'fail')?.advice ?? '', /wait for 2160 s for each token/);
  });

  it('warns when the configuration expects other buckets than DICT has', async (t) => {
    const world = await doctorWorld(t);
    const examined = await world.examine({ DICT_VSYNC_DICT_CIDS_ENTRIES_READ: '600/1min of 18000' });
    assertOnly(examined, 'warn', 'token bucket');
    const finding = examined.findings.find(({ level }) => level === 'warn');
    assert.match(
      finding?.seen ?? '',
      /configured is 600 every minute, 18000 at most, published 1200 every minute, 36000 at most/,
    );
    assert.match(finding?.advice ?? '', /DICT_VSYNC_DICT_CIDS_ENTRIES_READ/);
  });

  it('does not call it a failure that its own bucket is empty', async (t) => {
    const world = await doctorWorld(t);
    world.simulator.state.setTokens('00038166', 'POLICIES_LIST', 0);
    const examined = await world.examine();
    assertOnly(examined, 'warn', 'DICT answer');
    assert.deepEqual(world.simulator.state.counts(), { 'listPolicies 429': 1 });
  });
});
