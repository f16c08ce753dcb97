/** The command `simulator`: what it starts, prints and writes, and what it refuses. */

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { runCommand } from '../../test/support/command-run.ts';
import { loadConfig } from '../config.ts';
import { DictError } from '../dict/errors.ts';
import { participant } from '../dict/participant.ts';
import { sampleEntries } from '../dict/sample-entries.ts';
import { systemClock } from '../platform/clock.ts';
import { openDict } from '../wire-dict.ts';
import { simulatorCommand } from './simulator-command.ts';

const PSP = '00038166';
const FREE_PORTS = ['--port', '0', '--files-port', '0'];

async function directory(t: TestContext): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'dict-vsync-simulator-'));
  t.after(() => rm(made, { recursive: true }));
  return made;
}

/** Runs it until it has had time to start, then ends it as Ctrl+C does. */
async function runFor(ms: number, args: readonly string[], cwd = '/') {
  const ending = new AbortController();
  const running = runCommand(simulatorCommand, { args, cwd, signal: ending.signal });
  await Promise.race([running, wait(ms)]);
  ending.abort();
  return running;
}

function json(text: string): unknown {
  return JSON.parse(text);
}

describe('dict-vsync simulator', () => {
  it('says where it listens, and ends well when interrupted', async () => {
    const { stdout, stderr, exitCode } = await runFor(200, [...FREE_PORTS, '--control-port', '0']);
    assert.equal(exitCode, 0);
    assert.equal(stderr, '');
    assert.match(stdout, /^DICT API +http:\/\/127\.0\.0\.1:\d+\/api\/v2\/$/m);
    assert.match(stdout, /^CID set files +http:\/\/127\.0\.0\.1:\d+\/cids$/m);
    assert.match(stdout, /^Control +http:\/\/127\.0\.0\.1:\d+$/m);
  });

  it('switches the control interface on only when told to', async () => {
    const { stdout } = await runFor(200, FREE_PORTS);
    assert.match(stdout, /^Control +off \(--control-port switches it on\)$/m);
  });

  it('draws faults from a seed, and says which', async () => {
    const { stdout, exitCode } = await runFor(200, [...FREE_PORTS, '--faults', '7:0.25']);
    assert.equal(exitCode, 0);
    assert.match(stdout, /^Faults +seed 7, rate 0\.25$/m);
    const refused = await runFor(200, [...FREE_PORTS, '--faults', '7:2']);
    assert.notEqual(refused.exitCode, 0);
    assert.match(refused.stderr, /SEED or SEED:RATE is needed/);
  });

  it('writes the entries it generated, over all key types, the same for the same seed', async (t) => {
    const cwd = await directory(t);
    const args = [
      ...FREE_PORTS,
      '--entries',
      '12',
      '--participant',
      `${PSP},12345678`,
      '--seed',
      '5',
      '--write-entries',
      'base.ndjson',
    ];
    assert.equal((await runFor(400, args, cwd)).exitCode, 0);
    const lines = (await readFile(join(cwd, 'base.ndjson'), 'utf8')).trimEnd().split('\n');
    assert.equal(lines.length, 24);
    const [{ entry, requestId } = assert.fail()] = sampleEntries({
      seed: `5 ${PSP}`,
      participant: participant(PSP),
      keyType: 'CPF',
      count: 1,
    });
    const first = json(lines[0] ?? '');
    assert.ok(typeof first === 'object' && first !== null && 'request_id' in first && 'owner_name' in first);
    assert.equal(first.request_id, requestId);
    assert.equal(first.owner_name, entry.owner.name);
  });

  it('keeps standard output to the entries when they are written there', async () => {
    const args = [...FREE_PORTS, '--entries', '5', '--participant', PSP, '--write-entries', '-'];
    const { stdout, stderr } = await runFor(300, args);
    assert.equal(stdout.trimEnd().split('\n').map(json).length, 5);
    assert.match(stderr, /^DICT API /);
  });

  it('makes keys and certificates once, and prints settings with which a participant is understood', async (t) => {
    const cwd = await directory(t);
    const ending = new AbortController();
    t.after(() => ending.abort());
    const stdout = new PassThrough();
    const io = { stdin: Readable.from([]), stdout, stderr: new PassThrough(), env: {}, cwd, signal: ending.signal };
    const running = simulatorCommand(io).parseAsync([...FREE_PORTS, '--init-pki', 'pki'], { from: 'user' });
    let printed = '';
    for await (const piece of stdout) {
      printed += String(piece);
      if (printed.includes('Ready')) break;
    }
    const settings = [...printed.matchAll(/^ {2}(DICT_VSYNC_DICT_[A-Z_]+)=(.+)$/gm)].map(([, name, value]) => [name, value]);
    assert.equal(settings.length, 6);
    const url = /^DICT API +(\S+)$/m.exec(printed)?.[1] ?? '';
    const config = loadConfig({ env: { ...Object.fromEntries(settings), DICT_URL: url }, cwd });
    const signed = await openDict({ config, clock: systemClock });
    const tlsAlone = Object.fromEntries(settings.filter(([name]) => name?.includes('_TLS_')));
    const unsigned = await openDict({ config: loadConfig({ env: { DICT_URL: url, ...tlsAlone }, cwd }), clock: systemClock });
    const stranger = await openDict({ config: loadConfig({ env: { DICT_URL: url }, cwd }), clock: systemClock });
    t.after(() => Promise.all([signed, unsigned, stranger].map((client) => client.close())));
    const question = { participant: participant(PSP), keyType: 'CPF', participantSyncVerifier: '0'.repeat(64) } as const;
    assert.equal((await signed.createSyncVerification(question)).result, 'OK');
    await assert.rejects(
      unsigned.createSyncVerification(question),
      (error) => error instanceof DictError && error.kind === 'RequestSignatureInvalid',
    );
    await assert.rejects(
      stranger.createSyncVerification(question),
      (error) => error instanceof DictError && error.kind === 'ServerCertificateUntrusted',
    );
    ending.abort();
    await running;
    const key = await readFile(join(cwd, 'pki', 'dict-signing-key.pem'), 'utf8');
    const again = await runFor(400, [...FREE_PORTS, '--init-pki', 'pki'], cwd);
    assert.equal(again.exitCode, 0);
    assert.match(again.stdout, /^Signatures +answers are signed, bodies have to be$/m);
    assert.match(again.stdout, /^TLS +mutual: clients have to show a certificate of the same authority$/m);
    assert.equal(await readFile(join(cwd, 'pki', 'dict-signing-key.pem'), 'utf8'), key);
  });

  it('has its certificate made for the host that it listens on, and refuses to show one that is for another', async (t) => {
    const cwd = await directory(t);
    const pki = ['--init-pki', 'pki'];
    assert.equal((await runFor(1_500, [...FREE_PORTS, ...pki, '--host', '127.0.0.3'], cwd)).exitCode, 0);
    const other = await runFor(20_000, [...FREE_PORTS, ...pki, '--host', '127.0.0.2'], cwd);
    assert.equal(other.exitCode, 1);
    assert.match(
      other.stderr,
      /simulator: the certificate in .*pki is not for 127\.0\.0\.2: listen on a host that it is for, or/,
    );
    const everywhere = await runFor(1_500, [...FREE_PORTS, ...pki, '--host', '0.0.0.0'], cwd);
    assert.deepEqual([everywhere.exitCode, everywhere.stderr], [0, '']);
  });

  it('says so when a port is taken', async (t) => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const address = server.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    const { stderr, exitCode } = await runFor(2_000, ['--port', String(port), '--files-port', '0']);
    assert.notEqual(exitCode, 0);
    assert.match(stderr, /simulator: cannot listen \(.*EADDRINUSE.*\); --port and --files-port choose others/);
  });

  it('names the file where a configured directory of keys holds none', async () => {
    const env = { DICT_VSYNC_SIMULATOR_PKI_DIR: '/nonexistent' };
    const { stderr, exitCode } = await runCommand(simulatorCommand, { args: FREE_PORTS, cwd: '/', env });
    assert.equal(exitCode, 1);
    assert.match(stderr, /\/nonexistent\/server\.pem: it cannot be read \(ENOENT\)/);
  });

  const wrong: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['an argument', ['now'], /too many arguments/],
    ['an unknown option', ['--prot', '1'], /unknown option '--prot'/],
    ['a port that is none', ['--port', '70000'], /A whole number from 0 to 65535 is needed/],
    ['a number that is none', ['--seed', 'x'], /A whole number from 0 to 2147483647 is needed/],
    ['a participant that is none', ['--participant', '123'], /"123" is not an ISPB/],
    ['entries of nobody', ['--entries', '5'], /--entries needs --participant/],
    ['entries to write where there are none', ['--write-entries', 'x'], /--write-entries needs --entries/],
    ['a directory for keys that holds something else', [...FREE_PORTS, '--init-pki', '.'], /--init-pki: .* is not empty/],
    ['an unknown reading', ['--reading', 'odd=yes'], /It is none of emptyEventList=echo\|absent/],
    ['an unknown value of a reading', ['--reading', 'refill=daily'], /refill=evenly\|at-period-end/],
    [
      'a file that cannot be written',
      [...FREE_PORTS, '--entries', '5', '--participant', PSP, '--write-entries', '/nonexistent/base.ndjson'],
      /simulator: cannot write \/nonexistent\/base\.ndjson: ENOENT/,
    ],
  ];
  for (const [name, args, says] of wrong) {
    it(`refuses ${name}`, async () => {
      const { stdout, stderr, exitCode } = await runFor(2_000, args);
      assert.notEqual(exitCode, 0);
      assert.match(stderr, says);
      assert.equal(stdout, '');
    });
  }
});
