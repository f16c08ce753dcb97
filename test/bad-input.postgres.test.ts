/**
 * Files that are not what they should be before the commands that fill a base, and a database that cannot be reached, goes away, or has no
 * space: a clear message, an exit status other than 0, nothing lost, and the same command goes on when all is well again.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { createServer } from 'node:net';
import * as path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { participant } from '../src/dict/participant.ts';
import { sampleEntries } from '../src/dict/sample-entries.ts';
import { flatEntry } from '../src/event/flat-entry.ts';
import type { Database } from '../src/platform/postgres/database.ts';
import { type CommandOutcome, runLine } from './support/command-run.ts';
import { testDatabase } from './support/database.ts';
import { serverPid } from './support/embedded-server-programs.ts';
import { ownDirectory, runProgram } from './support/program-run.ts';
import { assertSound, baseState } from './support/stored-state.ts';

const ours = '00038166';
const asOf = ['--as-of', '2026-03-01T12:00:00Z'] as const;
const mebibyte = 1_048_576;

function entryLines(count: number): string[] {
  const samples = sampleEntries({ seed: 'bad input', participant: participant(ours), keyType: 'EVP', count });
  return Array.from(samples, ({ entry, requestId }) => JSON.stringify(flatEntry(entry, requestId)));
}

function eventLines(count: number): string[] {
  return entryLines(count).map(
    (payload, n) => `{"action":"key.created","event_id":"b${n}","occurred_at":"2026-03-01T12:00:00Z","payload":${payload}}`,
  );
}

interface World {
  readonly database: Database & { readonly url: string };
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  run(...argv: readonly string[]): Promise<CommandOutcome>;
  keys(): Promise<number>;
}

async function world(t: TestContext): Promise<World> {
  const database = await testDatabase(t);
  const cwd = ownDirectory(t);
  const env = { DATABASE_URL: database.url, DICT_VSYNC_LOG_LEVEL: 'error' };
  return {
    database,
    cwd,
    env,
    run: (...argv) => runLine(argv, { env, cwd }),
    async keys() {
      const { rows } = await database.query<{ keys: number }>(
        `SELECT count(*) AS keys FROM dict_entries WHERE status = 'ACTIVE'`,
      );
      return rows[0]?.keys ?? 0;
    },
  };
}

function assertNoTrace({ stderr }: { readonly stderr: string }): void {
  assert.doesNotMatch(stderr, /^\s+at .*:\d+|fault of the program/m, stderr);
}

const command = (name: string, file: string): readonly string[] => (name === 'import' ? ['import', file, ...asOf] : [name, file]);

describe('import and ingest, given a file that is', () => {
  const utf16 = (lines: readonly string[]) => Buffer.from(`\uFEFF${lines.join('\n')}\n`, 'utf16le');
  const latin1 = (line: string | undefined) =>
    Buffer.from(`${line?.replace(/"owner_name":"[^"]*"/, '"owner_name":"João Silva"')}\n`, 'latin1');
  const good = { import: entryLines(3), ingest: eventLines(3) };

  for (const [what, contentOf, ends] of [
    ['empty', () => '', { import: [0, /^0 rows: 0 loaded/, 0], ingest: [0, /^0 events: 0 applied/, 0] }],
    [
      'binary',
      () => Buffer.concat([Buffer.from([0xff, 0x00, 0x0a]), Buffer.alloc(5_000, 0x9c), Buffer.from([0x0a])]),
      {
        import: [1, /2 rows were refused; each is in .*input\.refused\.ndjson with its reason/, 0],
        ingest: [0, /warning: 2 events/, 0],
      },
    ],
    [
      'truncated',
      (lines) => lines.join('\n').slice(0, -40),
      { import: [1, /3 rows: 2 loaded.*1 refused\n[\s\S]*1 rows were refused/, 2], ingest: [0, /2 applied.*1 dead letters/, 2] },
    ],
    [
      'partly Latin-1',
      (lines) => Buffer.concat([Buffer.from(`${lines[0]}\n`), latin1(lines[1])]),
      { import: [1, /2 rows: 1 loaded.*1 refused/, 1], ingest: [0, /1 applied.*1 dead letters/, 1] },
    ],
    [
      'UTF-16',
      utf16,
      {
        import: [1, /^dict-vsync: input is UTF-16 text.*iconv/, 0],
        ingest: [1, /^dict-vsync: input is UTF-16 text.*iconv/, 0],
      },
    ],
    [
      'with the same key twice',
      (lines) => [...lines, lines[0]].join('\n'),
      { import: [0, /^4 rows: 3 loaded, 1 already so/, 3], ingest: [0, /^4 events: 3 applied.* 1 delivered before/, 3] },
    ],
  ] as const satisfies readonly (readonly [
    string,
    (lines: readonly string[]) => string | Buffer,
    Readonly<Record<'import' | 'ingest', readonly [number, RegExp, number]>>,
  ])[]) {
    it(what, async (t) => {
      for (const name of ['import', 'ingest'] as const) {
        const { run, cwd, keys, database } = await world(t);
        fs.writeFileSync(path.join(cwd, 'input'), contentOf(good[name]));
        const outcome = await run(...command(name, 'input'));
        const [exitCode, says, keysAfter] = ends[name];
        assert.match(outcome.stdout + outcome.stderr, says, name);
        assert.deepEqual([name, outcome.exitCode, await keys()], [name, exitCode, keysAfter]);
        assertNoTrace(outcome);
        await assertSound(database);
      }
    });
  }

  it('one line of 1 GB and a good one after it, in constant memory', async (t) => {
    for (const name of ['import', 'ingest'] as const) {
      const { cwd, keys, env } = await world(t);
      fs.writeFileSync(path.join(cwd, 'input'), '');
      fs.truncateSync(path.join(cwd, 'input'), 1_000_000_000);
      fs.appendFileSync(path.join(cwd, 'input'), `\n${good[name][0]}\n`);
      const outcome = await runProgram(command(name, 'input'), { cwd, env });
      assert.equal(outcome.exitCode, name === 'import' ? 1 : 0, outcome.stderr);
      assert.match(outcome.stdout + outcome.stderr, /1 rows were refused|1 events could not be applied/);
      assert.equal(await keys(), 1);
      assert.ok(outcome.peakBytes < 400 * mebibyte, `${name} took ${Math.round(outcome.peakBytes / mebibyte)} MiB`);
    }
  });

  it('a pipe, by its name', { skip: process.platform === 'win32' ? 'needs named pipes' : false }, async (t) => {
    for (const name of ['import', 'ingest'] as const) {
      const { run, cwd, keys } = await world(t);
      execFileSync('mkfifo', [path.join(cwd, 'pipe')]);
      const running = run(...command(name, 'pipe'));
      const writer = await fs.promises.open(path.join(cwd, 'pipe'), 'w');
      await writer.writeFile(good[name].join('\n'));
      await writer.close();
      assert.equal((await running).exitCode, 0);
      assert.equal(await keys(), 3);
    }
  });

  it('absent, or a directory: told before any database is asked for', async (t) => {
    const cwd = ownDirectory(t);
    for (const name of ['import', 'ingest'] as const) {
      for (const [file, says] of [
        ['absent', /^dict-vsync: absent cannot be read: ENOENT/],
        ['.', /^dict-vsync: \. cannot be read: EISDIR/],
      ] as const) {
        const { stderr, exitCode } = await runLine(command(name, file), { cwd, env: { DATABASE_URL: unreachable } });
        assert.match(stderr, says);
        assert.equal(exitCode, 1);
      }
    }
  });

  it('written to while it is read: what is whole of it is kept or nothing, and the same command takes the rest', async (t) => {
    for (const name of ['import', 'ingest'] as const) {
      const { run, cwd, keys } = await world(t);
      const lines = name === 'import' ? entryLines(20_001) : eventLines(20_001);
      const input = path.join(cwd, 'input');
      const last = lines.at(-1) ?? '';
      fs.writeFileSync(input, `${lines.slice(0, -1).join('\n')}\n`);
      const timer = setInterval(() => fs.appendFileSync(input, `${last}\n`), 20);
      const outcome = await run(...command(name, 'input')).finally(() => clearInterval(timer));
      assert.match(outcome.stderr, /input(:| was changed while it was read| it changed while it was read)/, name);
      assert.equal(outcome.exitCode, 1);
      assert.equal((await run(...command(name, 'input'))).exitCode, 0);
      assert.equal(await keys(), 20_001);
    }
  });
});

const unreachable = 'postgres://somebody:secret@127.0.0.1:1/base';

describe('a database that', () => {
  it('is not there ends every command that needs it, and names what to see to', async (t) => {
    const cwd = ownDirectory(t);
    fs.writeFileSync(path.join(cwd, 'input'), '');
    for (const argv of [
      command('import', 'input'),
      command('ingest', 'input'),
      ['scan'],
      ['rebuild'],
      ['verify'],
      ['reconcile'],
      ['status'],
      ['migrate'],
    ]) {
      const outcome = await runLine(argv, { cwd, env: { DATABASE_URL: unreachable } });
      assert.match(
        outcome.stderr,
        /^dict-vsync: the database cannot be reached: connect ECONNREFUSED 127\.0\.0\.1:1; see that the server runs and that DATABASE_URL names it\n$/,
        argv.join(' '),
      );
      assert.doesNotMatch(outcome.stderr, /secret/);
      assert.equal(outcome.exitCode, 1);
    }
  });

  it('does not let us in, or does not exist, is named with what it said', async (t) => {
    const { database, cwd } = await world(t);
    for (const [change, says] of [
      [
        (url: URL) => Object.assign(url, { password: 'wrong' }),
        /password authentication failed for user ".*"; see user and password in DATABASE_URL/,
      ],
      [
        (url: URL) => Object.assign(url, { pathname: '/nowhere' }),
        /database "nowhere" does not exist; create it, or name another in DATABASE_URL/,
      ],
    ] as const) {
      const { href } = change(new URL(database.url));
      const outcome = await runLine(['status'], { cwd, env: { DATABASE_URL: href } });
      assert.match(outcome.stderr, says);
      assert.equal(outcome.exitCode, 1);
      assertNoTrace(outcome);
    }
  });

  it('never answers is given up after the configured time', async (t) => {
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    t.after(() => silent.close());
    const address = silent.address();
    assert.ok(address !== null && typeof address === 'object');
    const startMs = Date.now();
    const outcome = await runLine(['status'], {
      cwd: ownDirectory(t),
      env: { DATABASE_URL: `postgres://somebody@127.0.0.1:${address.port}/base`, DICT_VSYNC_DATABASE_CONNECT_TIMEOUT: '500ms' },
    });
    assert.match(outcome.stderr, /^dict-vsync: the database cannot be reached: .*time.*; see that the server runs/);
    assert.equal(outcome.exitCode, 1);
    assert.ok(Date.now() - startMs < 10_000);
  });

  it('ends our connections mid-way ends the command, and the same command goes on to the same base', async (t) => {
    const count = 60_000;
    const undisturbed = await world(t);
    fs.writeFileSync(path.join(undisturbed.cwd, 'input'), entryLines(count).join('\n'));
    assert.equal((await undisturbed.run(...command('import', 'input'))).exitCode, 0);
    const expected = await baseState(undisturbed.database);
    const { run, cwd, database } = await world(t);
    fs.writeFileSync(path.join(cwd, 'input'), entryLines(count).join('\n'));
    for (const argv of [command('import', 'input'), ['scan'], ['rebuild']]) {
      const outcome = await whileConnectionsEnd(database, run(...argv));
      assert.match(outcome.stderr, /the connection to the database was lost: .*/, argv.join(' '));
      assert.match(outcome.stderr, /run the same command again|goes on/);
      assert.equal(outcome.exitCode, 1);
      assertNoTrace(outcome);
      assert.equal((await run(...argv)).exitCode, 0);
    }
    const { counting, vsyncs } = await baseState(database);
    assert.deepEqual([counting, vsyncs], [expected.counting, expected.vsyncs]);
    await assertSound(database);
  });

  it('ends our connections during ingest loses no event', async (t) => {
    const { run, cwd, database, keys } = await world(t);
    const lines = eventLines(150_000);
    fs.writeFileSync(path.join(cwd, 'input'), lines.join('\n'));
    const outcome = await whileConnectionsEnd(database, run('ingest', 'input'));
    assert.match(outcome.stderr, /the connection to the database was lost: .*run the same command again/);
    assert.equal(outcome.exitCode, 1);
    assertNoTrace(outcome);
    assert.equal((await run('ingest', 'input')).exitCode, 0);
    assert.equal(await keys(), lines.length);
    await assertSound(database);
  });

  it('has no space left says so, keeps the base, and goes on once there is some', async (t) => {
    const { run, cwd, database, keys } = await world(t);
    fs.writeFileSync(path.join(cwd, 'input'), eventLines(100).join('\n'));
    fs.writeFileSync(path.join(cwd, 'entries'), entryLines(100).join('\n'));
    // What the server says when its disk is full, from where rows are written.
    await database.query(
      `CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'could not extend file "base/5/16384": No space left on device' USING ERRCODE = '53100'; END $$`,
    );
    await database.query(
      'CREATE TRIGGER full_disk BEFORE INSERT ON dict_entries FOR EACH STATEMENT EXECUTE FUNCTION full_disk()',
    );
    for (const argv of [['ingest', 'input'], command('import', 'entries')]) {
      const outcome = await run(...argv);
      assert.match(
        outcome.stderr,
        /^dict-vsync: the database server has no space left on its disk: free some, then run the same command again \(could not extend file .*, 53100\)\n$/,
      );
      assert.deepEqual([outcome.exitCode, await keys()], [1, 0]);
    }
    await database.query('DROP TRIGGER full_disk ON dict_entries');
    for (const argv of [['ingest', 'input'], command('import', 'entries')]) assert.equal((await run(...argv)).exitCode, 0);
    assert.equal(await keys(), 100);
    await assertSound(database);
  });
});

/** Ends the program's connections again and again once it reads or writes rows, until it has ended. */
async function whileConnectionsEnd(database: Database, running: Promise<CommandOutcome>): Promise<CommandOutcome> {
  let ended = false;
  const outcome = running.finally(() => {
    ended = true;
  });
  let busy = false;
  while (!ended) {
    const { rows } = await database.query<{ pid: number; busy: boolean }>(
      `SELECT pid, query ~ 'dict_entries|dict_cids|event_inbox|COPY' AND query !~ 'CREATE TABLE' AS busy FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'dict-vsync'`,
    );
    busy ||= rows.some((row) => row.busy);
    if (busy) {
      for (const { pid } of rows) await database.query('SELECT pg_terminate_backend($1)', [pid]);
    }
    await wait(5);
  }
  return outcome;
}

describe('the embedded server', () => {
  it('killed below a running ingest ends it with a message; run again, nothing is lost', async (t) => {
    const cwd = ownDirectory(t);
    const lines = eventLines(60_000);
    fs.writeFileSync(path.join(cwd, 'input'), lines.join('\n'));
    const data = path.join(cwd, '.data');
    const env = { DATA_DIR: data };
    const first = await runProgram(['ingest', 'input'], {
      cwd,
      env,
      onStart: (child) => {
        const timer = setInterval(() => {
          const pid = serverPid(path.join(data, 'postgres'));
          if (pid === null || !fs.existsSync(path.join(data, 'postgres'))) return;
          clearInterval(timer);
          // Some time to come to the events; whatever it does then, it is to end well.
          setTimeout(() => process.kill(pid, 'SIGQUIT'), 4_000);
        }, 50);
        child.once('exit', () => clearInterval(timer));
      },
    });
    assert.match(first.stderr, /the connection to the database was lost|the database cannot be reached|embedded PostgreSQL/);
    assert.equal(first.exitCode, 1);
    assertNoTrace(first);
    const again = await runProgram(['ingest', 'input'], { cwd, env });
    assert.equal(again.exitCode, 0, again.stderr);
    const counts = /^(\d+) events: (\d+) applied, 0 older than the base, 0 already so, (\d+) delivered before, 0 dead/.exec(
      again.stdout,
    );
    assert.deepEqual([counts?.[1], Number(counts?.[2]) + Number(counts?.[3])], [String(lines.length), lines.length]);
  });
});
