/** The two commands over stand-in streams: right and wrong input, wrong arguments, a reader that goes, an interruption. */

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { Readable, Writable } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import type { Command } from 'commander';
import { participant } from '../dict/participant.ts';
import { sampleEntries } from '../dict/sample-entries.ts';
import { cid, vsync } from '../index.ts';
import { cidCommand } from './cid-command.ts';
import { lineBytesMax } from './input-lines.ts';
import { CommandFailed, type Io } from './io.ts';
import { vsyncCommand } from './vsync-command.ts';

interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  /** What `main` prints on standard error and exits with. */
  readonly failure: string | null;
  readonly exitCode: number;
}

interface Given {
  readonly args?: readonly string[];
  readonly stdin?: string | Buffer | Readable;
  readonly cwd?: string;
  readonly stdout?: Writable;
  readonly signal?: AbortSignal;
}

function collected(): { stream: Writable; text: () => string } {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(Buffer.from(chunk));
      done();
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString('utf8') };
}

async function run(command: (io: Io) => Command, given: Given): Promise<Outcome> {
  const [out, err] = [collected(), collected()];
  const stdin = given.stdin instanceof Readable ? given.stdin : Readable.from([Buffer.from(given.stdin ?? '')]);
  const signal = given.signal ?? new AbortController().signal;
  const io: Io = { stdin, stdout: given.stdout ?? out.stream, stderr: err.stream, env: {}, cwd: given.cwd ?? '/', signal };
  const program = command(io)
    .exitOverride()
    .configureOutput({ writeErr: (text) => err.stream.write(text), writeOut: (text) => out.stream.write(text) });
  try {
    await program.parseAsync([...(given.args ?? [])], { from: 'user' });
    return { stdout: out.text(), stderr: err.text(), failure: null, exitCode: 0 };
  } catch (error) {
    assert(error instanceof Error && 'exitCode' in error && typeof error.exitCode === 'number', String(error));
    const failure = error instanceof CommandFailed ? error.message : null;
    return { stdout: out.text(), stderr: err.text(), failure, exitCode: error.exitCode };
  }
}

async function temporaryFile(t: TestContext, name: string, content: string): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'dict-vsync-test-'));
  t.after(() => rm(directory, { recursive: true }));
  await writeFile(path.join(directory, name), content);
  return directory;
}

const flat = {
  key: '+5511987654321',
  key_type: 'PHONE',
  ispb: '12345678',
  branch: '00001',
  account_number: '0007654321',
  account_type: 'CACC',
  owner_tax_id: '11122233300',
  owner_name: 'João Silva',
  request_id: '01020304-0506-0708-090a-0b0c0d0e0f10',
};
const nested = {
  Entry: {
    Key: flat.key,
    KeyType: 'PHONE',
    Account: { Participant: '12345678', Branch: '00001', AccountNumber: '0007654321', AccountType: 'CACC' },
    Owner: { Type: 'NATURAL_PERSON', TaxIdNumber: '11122233300', Name: 'João Silva' },
  },
  RequestId: flat.request_id,
};
const published = '28c06eb41c4dc9c3ae114831efcac7446c8747777fca8b145ecd31ff8480ae88';
const ndjson = (...values: unknown[]) => values.map((value) => `${JSON.stringify(value)}\n`).join('');

describe('dict-vsync cid', () => {
  it('prints one CID for each entry, flat or nested, from standard input', async () => {
    const { stdout, stderr, exitCode } = await run(cidCommand, {
      stdin: ndjson(flat, nested, { ...flat, owner_trade_name: '' }),
    });
    assert.deepEqual([stdout, stderr, exitCode], [`${published}\n`.repeat(3), '', 0]);
  });

  it('reads a file, with a byte order mark, CRLF, empty lines and no last newline', async (t) => {
    const cwd = await temporaryFile(t, 'entries.ndjson', `\uFEFF${JSON.stringify(flat)}\r\n\r\n${JSON.stringify(flat)}`);
    assert.equal((await run(cidCommand, { args: ['entries.ndjson'], cwd })).stdout, `${published}\n`.repeat(2));
  });

  it('takes the algorithm', async () => {
    const { stdout } = await run(cidCommand, { args: ['--algorithm', 'canonical-json-1.0'], stdin: ndjson(flat) });
    assert.match(stdout, /^[0-9a-f]{64}\n$/);
    assert.notEqual(stdout, `${published}\n`);
  });

  it('hashes what it is given, valid or not', async () => {
    const odd = { ...flat, key_type: 'CAR', ispb: '1', owner_name: ' joão & cia ', branch: null };
    const { stdout, exitCode } = await run(cidCommand, { stdin: ndjson(odd) });
    const entry = {
      key: odd.key,
      keyType: 'CAR',
      account: { participant: '1', accountNumber: odd.account_number, accountType: 'CACC' },
      owner: { taxIdNumber: odd.owner_tax_id, name: odd.owner_name },
    };
    assert.deepEqual([stdout, exitCode], [`${cid(entry, { requestId: odd.request_id })}\n`, 0]);
  });

  const { request_id: _, ...withoutRequestId } = flat;
  const badLines: readonly [title: string, line: string | Buffer, message: RegExp][] = [
    ['not JSON', '{"key": ', /^line 2: is not JSON\n$/],
    ['no object', '["key"]', /^line 2: is not a JSON object/],
    ['null', 'null', /^line 2: is not a JSON object/],
    ['a missing field', JSON.stringify(withoutRequestId), /^line 2: request_id: is missing\n$/],
    ['several missing fields', '{"key":"x"}', /request_id: is missing; key_type: is missing; ispb: is missing; account_number/],
    ['a missing nested field', JSON.stringify({ ...nested, RequestId: null }), /^line 2: RequestId: is missing\n$/],
    ['a number', JSON.stringify({ ...flat, ispb: 12345678 }), /^line 2: ispb: is a number, and must be a text/],
    ['no UUID', JSON.stringify({ ...flat, request_id: 'x' }), /^line 2: request_id: "x" is not a UUID/],
    [
      'half a character',
      `{"owner_name":"\\ud800"${JSON.stringify({ ...flat, owner_name: undefined }).replace('{', ',')}`,
      /lone surrogate/,
    ],
    ['Latin-1', Buffer.from(JSON.stringify(flat), 'latin1'), /^line 2: is not UTF-8 text\n$/],
    ['an endless line', 'x'.repeat(lineBytesMax + 1), /^line 2: is longer than 1048576 bytes\n$/],
  ];
  for (const [title, line, message] of badLines) {
    it(`names a bad line, goes on, and fails in the end: ${title}`, async () => {
      const good = ndjson(flat);
      const stdin = Buffer.concat([Buffer.from(good), Buffer.from(line), Buffer.from(`\n${good}`)]);
      const outcome = await run(cidCommand, { stdin });
      assert.equal(outcome.stdout, `${published}\n`.repeat(2));
      assert.match(outcome.stderr, message);
      assert.deepEqual([outcome.failure, outcome.exitCode], ['1 of 3 lines gave no CID', 1]);
      assert.doesNotMatch(outcome.stderr, /João|11122233300|987654321/, 'personal data is not shown');
    });
  }

  it('refuses wrong arguments and files that cannot be read', async () => {
    assert.match(
      (await run(cidCommand, { args: ['--algorithm', 'md5'] })).stderr,
      /md5.*Allowed choices are dict, canonical-json-1\.0/,
    );
    assert.match((await run(cidCommand, { args: ['a', 'b'] })).stderr, /too many arguments/);
    assert.match((await run(cidCommand, { args: ['--nonsense'] })).stderr, /unknown option '--nonsense'/);
    const missing = await run(cidCommand, { args: ['nowhere.ndjson'] });
    assert.match(missing.failure ?? '', /^nowhere\.ndjson cannot be read: ENOENT/);
    assert.equal(missing.exitCode, 1);
    assert.match((await run(cidCommand, { args: ['/tmp'] })).failure ?? '', /^\/tmp cannot be read: EISDIR/);
  });

  it('ends quietly when its reader has gone, and not when the disk is full', async () => {
    const failing = (code: string) =>
      new Writable({ write: (_chunk, _encoding, done) => done(Object.assign(new Error(code), { code })) });
    const { exitCode, stderr } = await run(cidCommand, { stdin: ndjson(flat), stdout: failing('EPIPE') });
    assert.deepEqual([exitCode, stderr], [0, '']);
    await assert.rejects(run(cidCommand, { stdin: ndjson(flat), stdout: failing('ENOSPC') }), /ENOSPC/);
  });

  it('stops when it is interrupted while it waits for input', async () => {
    const controller = new AbortController();
    const running = run(cidCommand, { stdin: new Readable({ read: () => {} }), signal: controller.signal });
    setImmediate(() => controller.abort());
    assert.deepEqual([(await running).failure, (await running).exitCode], ['interrupted', 130]);
  });

  it('gives, cut into chunks anywhere, the CIDs that the library gives', async () => {
    const samples = [...sampleEntries({ seed: 3, participant: participant('00038166'), keyType: 'CNPJ', count: 200 })];
    const bytes = Buffer.from(
      ndjson(
        ...samples.map(({ entry: { key, keyType, account, owner }, requestId }) => ({
          Entry: {
            Key: key,
            KeyType: keyType,
            Account: {
              Participant: account.participant,
              Branch: account.branch,
              AccountNumber: account.accountNumber,
              AccountType: account.accountType,
            },
            Owner: { TaxIdNumber: owner.taxIdNumber, Name: owner.name, TradeName: owner.tradeName },
          },
          RequestId: requestId,
        })),
      ),
    );
    const expected = samples.map(({ entry, requestId }) => `${cid(entry, { requestId })}\n`).join('');
    for (const chunkBytes of [1, 7, 1_000, 65_536]) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / chunkBytes) }, (_unused, index) =>
        bytes.subarray(index * chunkBytes, (index + 1) * chunkBytes),
      );
      assert.equal((await run(cidCommand, { stdin: Readable.from(chunks) })).stdout, expected);
    }
  });
});

describe('dict-vsync vsync', () => {
  const others = [
    '4d4abb9168114e349672b934d16ed201a919cb49e28b7f66a240e62c92ee007f',
    'FCE514F84F37934BC8AA0F861E4F7392273D71B9D18E8209D21E4192A7842058',
  ];
  const lines = (cids: readonly string[]) => cids.map((text) => `${text}\n`).join('');

  it('prints the VSync of the CIDs, in either case and any order, from input or file', async (t) => {
    const expected = '996fc1dd3b6b14bcf0c9fe8320eb66d7e2a3fd874ccf767b2e939641b1ea8eaf\n';
    const outcome = await run(vsyncCommand, { stdin: lines([published, ...others]) });
    assert.deepEqual([outcome.stdout, outcome.stderr, outcome.exitCode], [expected, '', 0]);
    const cwd = await temporaryFile(t, 'cids.txt', [...others, published].join('\r\n'));
    assert.equal((await run(vsyncCommand, { args: ['cids.txt'], cwd })).stdout, expected);
  });

  it('of nothing is 64 zeros', async () => {
    assert.equal((await run(vsyncCommand, {})).stdout, `${'0'.repeat(64)}\n`);
  });

  it('warns of duplicates, which cancel out, and succeeds', async () => {
    const outcome = await run(vsyncCommand, { stdin: lines([published, ...others, published.toUpperCase()]) });
    assert.deepEqual([outcome.stdout, outcome.exitCode], [`${vsync(others)}\n`, 0]);
    assert.match(outcome.stderr, /^warning: line 4: this CID came before; pairs cancel out\n$/);
  });

  it('names twenty duplicates and counts the rest', async () => {
    const many = Array.from({ length: 100 }, (_unused, index) => index.toString(16).padStart(64, '0'));
    const outcome = await run(vsyncCommand, { stdin: lines([...many, ...many]) });
    assert.equal(outcome.stdout, `${'0'.repeat(64)}\n`);
    assert.equal(outcome.stderr.split('\n').filter((line) => line.startsWith('warning: line ')).length, 20);
    assert.match(outcome.stderr, /warning: 100 lines repeat an earlier CID/);
  });

  it('takes CIDs that differ little for different ones, however many', async () => {
    const many = Array.from({ length: 20_000 }, (_unused, index) => (index + 1).toString(16).padStart(64, '0'));
    const outcome = await run(vsyncCommand, { stdin: lines([...many, ...many.map((text) => text.slice(8) + text.slice(0, 8))]) });
    assert.deepEqual([outcome.stderr, outcome.exitCode], ['', 0]);
  });

  for (const wrong of ['abc', `${published}0`, published.replace('2', 'g'), `${published} ${published}`]) {
    it(`prints no VSync when a line is no CID: ${wrong.slice(0, 12)}`, async () => {
      const outcome = await run(vsyncCommand, { stdin: lines([published, wrong, ...others, 'x']) });
      assert.equal(outcome.stdout, '');
      assert.match(outcome.stderr, /^line 2: ".+" is not a CID \(64 hex digits\)\nline 5: "x" is not a CID/);
      assert.deepEqual([outcome.failure, outcome.exitCode], ['2 of 5 lines are not CIDs; no VSync is made of the rest', 1]);
    });
  }

  it('refuses wrong arguments and files that cannot be read', async () => {
    assert.match((await run(vsyncCommand, { args: ['a', 'b'] })).stderr, /too many arguments/);
    assert.match((await run(vsyncCommand, { args: ['nowhere'] })).failure ?? '', /^nowhere cannot be read: ENOENT/);
  });
});
