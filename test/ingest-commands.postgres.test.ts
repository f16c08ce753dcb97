/** ingest, import, scan, rebuild and participant as a user meets them: what they print, how they end, and wrong arguments and input. */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { participant } from '../src/dict/participant.ts';
import { sampleEntries } from '../src/dict/sample-entries.ts';
import { flatEntry } from '../src/event/flat-entry.ts';
import type { Database } from '../src/platform/postgres/database.ts';
import { type CommandOutcome, runLine } from './support/command-run.ts';
import { testDatabase } from './support/database.ts';

const ours = '00038166';
const samples = [...sampleEntries({ seed: 'commands', participant: participant(ours), keyType: 'EVP', count: 5 })];
const entries = samples.map(({ entry, requestId }) => JSON.stringify(flatEntry(entry, requestId)));
const events = samples.map(({ entry, requestId }, n) =>
  JSON.stringify({
    action: 'key.created',
    event_id: `x${n}`,
    occurred_at: '2026-03-01T12:00:00Z',
    payload: flatEntry(entry, requestId),
  }),
);

interface World {
  readonly database: Database;
  readonly directory: string;
  file(name: string, lines: readonly string[]): string;
  run(...argv: string[]): Promise<CommandOutcome>;
  runWith(stdin: string, ...argv: string[]): Promise<CommandOutcome>;
}

async function world(t: TestContext): Promise<World> {
  const database = await testDatabase(t);
  const directory = mkdtempSync(path.join(tmpdir(), 'dict-vsync-commands-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const env = { DATABASE_URL: database.url, DICT_VSYNC_LOG_LEVEL: 'error' };
  const runWith = (stdin: string, ...argv: string[]) => runLine(argv, { env, cwd: directory, stdin });
  return {
    database,
    directory,
    file: (name, lines) => {
      writeFileSync(path.join(directory, name), lines.map((line) => `${line}\n`).join(''));
      return name;
    },
    run: (...argv) => runWith('', ...argv),
    runWith,
  };
}

const asOf = ['--as-of', '2026-03-01T12:00:00Z'] as const;

describe('the commands that fill and check a base', () => {
  it('ingest says what became of the events, from a file and from standard input', async (t) => {
    const { run, runWith, file } = await world(t);
    const first = await run('ingest', file('events.ndjson', events));
    assert.deepEqual([first.exitCode, first.stderr], [0, '']);
    assert.match(
      first.stdout,
      /^5 events: 5 applied, 0 older than the base, 0 already so, 0 delivered before, 0 dead letters\n$/,
    );
    const again = await runWith(events.join('\n'), 'ingest', '-');
    assert.match(again.stdout, /^5 events: 0 applied, .* 5 delivered before, 0 dead letters\n$/);
  });

  it('ingest warns of dead letters, and fails for them only when strict', async (t) => {
    const { run, file, database } = await world(t);
    const name = file('events.ndjson', [...events, 'no json']);
    const lenient = await run('ingest', name);
    assert.equal(lenient.exitCode, 0);
    assert.match(lenient.stderr, /^warning: 1 events could not be applied/);
    const strict = await run('ingest', '--strict', file('more.ndjson', ['also no json']));
    assert.equal(strict.exitCode, 1);
    const { rows } = await database.query<{ origin: string; raw: Buffer }>(
      'SELECT origin, raw FROM event_dead_letters ORDER BY raw',
    );
    assert.deepEqual(
      rows.map(({ raw }) => raw.toString()),
      ['also no json', 'no json'],
    );
    assert.match(rows[1]?.origin ?? '', /^file:.*events\.ndjson line 6$/);
  });

  it('import loads, keeps refused rows with their reason for the owner alone, and fails for them', async (t) => {
    const { run, file, directory, database } = await world(t);
    const name = file('base.ndjson', [...entries, '{"key":"x"}']);
    const { stdout, stderr, exitCode } = await run('import', name, ...asOf);
    assert.equal(exitCode, 1);
    assert.match(stdout, /^6 rows: 5 loaded, 0 already so, 0 older than the base, 1 refused\n$/);
    assert.match(stderr, /1 rows were refused; each is in .*base\.ndjson\.refused\.ndjson with its reason/);
    const refused = JSON.parse(readFileSync(path.join(directory, 'base.ndjson.refused.ndjson'), 'utf8'));
    assert.deepEqual([refused.line, refused.reason, refused.row], [6, 'missing_field', '{"key":"x"}']);
    const { rows } = await database.query<{ action: string; outcome: string }>('SELECT action, outcome FROM audit_log');
    assert.deepEqual(rows, [{ action: 'BASE_IMPORT', outcome: 'failure' }]);
  });

  it('import takes a file ending in .csv for CSV', async (t) => {
    const { run, file } = await world(t);
    const row = flatEntry(samples[0]?.entry ?? assert.fail(), samples[0]?.requestId ?? null);
    const name = file('base.csv', [Object.keys(row).join(','), Object.values(row).join(',')]);
    const { stdout, exitCode } = await run('import', name, ...asOf);
    assert.deepEqual([exitCode, stdout.startsWith('1 rows: 1 loaded')], [0, true]);
  });

  it('scan fails on findings, shows keys masked, and rebuild leaves them unless told otherwise', async (t) => {
    const { run, file, database } = await world(t);
    await run('import', file('base.ndjson', entries), ...asOf);
    assert.equal((await run('scan')).exitCode, 0);
    const key = samples[0]?.entry.key ?? '';
    await database.query('UPDATE dict_entries SET account_number = $2 WHERE key = $1', [key, '999']);
    const found = await run('scan', '--participant', ours, '--key-type', 'EVP');
    assert.equal(found.exitCode, 1);
    assert.match(found.stdout, new RegExp(`1 altered\\n  altered  ${key.slice(0, 8)}\\*+ `));
    assert.doesNotMatch(found.stdout + found.stderr, new RegExp(key));
    assert.equal(JSON.parse((await run('scan', '--key-type', 'EVP', '--json')).stdout).findings.altered, 1);
    const left = await run('rebuild');
    assert.equal(left.exitCode, 1);
    assert.match(left.stdout, /1 unsound keys left/);
    assert.equal((await run('rebuild', '--accept-altered')).exitCode, 0);
    assert.equal((await run('scan')).exitCode, 0);
  });

  it('participant shows and sets rules; the CID algorithm only before there are CIDs', async (t) => {
    const { run, file } = await world(t);
    const set = await run('participant', 'set', '00000001', '--cid-algorithm', 'canonical-json-1.0', '--approval-threshold', '7');
    assert.equal(set.exitCode, 0);
    await run('import', file('base.ndjson', entries), ...asOf);
    const refused = await run('participant', 'set', ours, '--cid-algorithm', 'canonical-json-1.0');
    assert.equal(refused.exitCode, 1);
    assert.match(refused.stderr, /--cid-algorithm: 00038166 has CIDs made by dict/);
    await run('participant', 'set', '00000001', '--approval-threshold', 'default', '--orphan-policy', 'remove');
    const lines = (await run('participant', 'list', '--json')).stdout.trim().split('\n');
    assert.deepEqual(
      lines.map((line) => JSON.parse(line)),
      [
        {
          participant: '00000001',
          cid_algorithm: 'canonical-json-1.0',
          orphan_policy: 'remove',
          approval_threshold: null,
          critical_threshold: null,
        },
        { participant: ours, cid_algorithm: 'dict', orphan_policy: 'review', approval_threshold: null, critical_threshold: null },
      ],
    );
  });

  it('a participant on canonical-json-1.0 has its CIDs made and checked by it', async (t) => {
    const { run, file, database } = await world(t);
    await run('participant', 'set', ours, '--cid-algorithm', 'canonical-json-1.0');
    await run('import', file('base.ndjson', entries), ...asOf);
    await run('ingest', file('events.ndjson', events));
    const { rows } = await database.query<{ algorithm: string; cids: number }>(
      'SELECT algorithm, count(*) AS cids FROM dict_cids GROUP BY algorithm',
    );
    assert.deepEqual(rows, [{ algorithm: 'canonical-json-1.0', cids: 5 }]);
    assert.equal((await run('scan')).exitCode, 0);
  });
});

/** What is typed, the exit status, and what standard error has to say. FILE stands for a good file of that command. */
const refusals: readonly (readonly [readonly string[], number, RegExp])[] = [
  [['ingest'], 2, /missing required argument 'file'/],
  [['ingest', 'FILE', 'another'], 2, /too many arguments/],
  [['ingest', 'FILE', '--sloppy'], 2, /unknown option '--sloppy'/],
  [['ingest', 'nowhere.ndjson'], 1, /nowhere\.ndjson cannot be read: ENOENT/],
  [['ingest', '.'], 1, /\. cannot be read: EISDIR: it is a directory/],
  [['import'], 2, /missing required argument 'file'|required option/],
  [['import', 'FILE'], 2, /required option '--as-of <time>' not specified/],
  [['import', 'FILE', '--as-of', 'yesterday'], 2, /--as-of.*'yesterday' is invalid.*a date and time with zone/],
  [['import', 'FILE', '--as-of', '2026-02-30T00:00:00Z'], 2, /--as-of/],
  [['import', 'FILE', '--as-of', '9999-01-01T00:00:00Z'], 2, /must not lie in the future/],
  [['import', 'FILE', ...asOf, '--format', 'xml'], 2, /--format.*Allowed choices are ndjson, csv/],
  [['import', 'FILE', ...asOf, '--refused', 'FILE'], 1, /--refused: names the imported file itself/],
  [['import', 'BAD', ...asOf, '--refused', 'no/such/place'], 1, /no\/such\/place cannot be written: ENOENT/],
  [['import', 'nowhere.csv', ...asOf], 1, /nowhere\.csv cannot be read: ENOENT/],
  [['import', 'FILE', ...asOf, '--format', 'csv'], 1, /entries\.ndjson: the first line is no header line of CSV/],
  [['scan', '--participant', '38166'], 2, /--participant.*eight digits/],
  [['scan', '--participant', '99999999'], 1, /the base has nothing of 99999999/],
  [['scan', '--key-type', 'IBAN'], 2, /--key-type.*CPF, CNPJ, PHONE, EMAIL, EVP/],
  [['scan', 'everything'], 2, /too many arguments/],
  [['rebuild', '--participant', '99999999'], 1, /the base has nothing of 99999999/],
  [['rebuild', '--key-type', ''], 2, /--key-type/],
  [['rebuild', '--force'], 2, /unknown option '--force'/],
  [['participant', 'rename'], 2, /unknown command 'rename'/],
  [['participant', 'set'], 2, /missing required argument 'ispb'/],
  [['participant', 'set', '123'], 2, /eight digits/],
  [['participant', 'set', ours], 1, /nothing to set/],
  [['participant', 'set', ours, '--orphan-policy', 'burn'], 2, /Allowed choices are review, remove/],
  [['participant', 'set', ours, '--cid-algorithm', 'md5'], 2, /Allowed choices are dict, canonical-json-1\.0/],
  [['participant', 'set', ours, '--approval-threshold', '-1'], 2, /whole number/],
  [['participant', 'list', 'all'], 2, /too many arguments/],
];

describe('wrong arguments and wrong input', () => {
  it('are told on standard error, end with a status other than 0, and leave the base as it is', async (t) => {
    const { run, file, database } = await world(t);
    const good = { ingest: file('events.ndjson', events), import: file('entries.ndjson', entries) };
    const bad = file('bad.ndjson', ['{}']);
    const before = await rowsOf(database);
    for (const [argv, exitCode, message] of refusals) {
      const names: Readonly<Record<string, string>> = { FILE: argv[0] === 'ingest' ? good.ingest : good.import, BAD: bad };
      const typed = argv.map((word) => names[word] ?? word);
      const outcome = await run(...typed);
      assert.deepEqual([typed.join(' '), outcome.exitCode], [typed.join(' '), exitCode]);
      assert.match(outcome.stderr, message, typed.join(' '));
    }
    assert.deepEqual(await rowsOf(database), before);
  });
});

async function rowsOf(database: Database): Promise<unknown> {
  const { rows } = await database.query<{ entries: number; participants: number; letters: number }>(
    `SELECT (SELECT count(*) FROM dict_entries) AS entries, (SELECT count(*) FROM dict_participants) AS participants,
       (SELECT count(*) FROM event_dead_letters) AS letters`,
  );
  return rows[0];
}
