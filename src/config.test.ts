/** The configuration as a specification: defaults, sources and their order, secrets, and every kind of wrong value. */

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { envExample } from './config/env-example.ts';
import { namedOptions } from './config/option-table.ts';
import { loadConfig, optionsInForce } from './config.ts';
import { INGEST_DEFAULTS } from './ingest/ingest-stream.ts';
import { RECONCILE_DEFAULTS } from './reconcile/reconciliation.ts';
import { VERIFY_DEFAULTS } from './verify/settings.ts';

function directoryOf(t: TestContext, files: Readonly<Record<string, string>> = {}): string {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'dict-vsync-config-'));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(directory, name), text);
  return directory;
}

const nowhere = '/nonexistent';

describe('the configuration', () => {
  it('has a default for everything, with its unit turned into milliseconds, bytes and shares', () => {
    const config = loadConfig({ env: {}, cwd: nowhere });
    assert.equal(config.database.url, null);
    assert.deepEqual([config.database.poolMin, config.database.poolMax], [5, 25]);
    const { dailyAt, timeZone, warningAgeMs, criticalAgeMs } = config.verification;
    assert.deepEqual([dailyAt, timeZone], ['03:00', 'America/Sao_Paulo']);
    assert.deepEqual([warningAgeMs, criticalAgeMs], [86_400_000, 108_000_000]);
    const { approvalThreshold, approvalExpiresMs, implausibleOrphanShare, fileBytesMax, filePollsMs } = config.reconciliation;
    assert.deepEqual([approvalThreshold, approvalExpiresMs, implausibleOrphanShare], [100, 86_400_000, 0.01]);
    assert.deepEqual([fileBytesMax, filePollsMs], [1_073_741_824, [5_000, 10_000, 20_000, 30_000, 60_000]]);
    assert.deepEqual(config.dict.cidsFilesWrite, { capacity: 200, refillTokens: 40, refillPeriodSec: 86_400 });
    assert.equal(config.program.dataDir, path.join(nowhere, '.data'));
  });

  it('has the same defaults as the stages themselves', () => {
    const config = loadConfig({ env: {}, cwd: nowhere });
    assert.deepEqual({ ...config.ingest, ...INGEST_DEFAULTS }, config.ingest);
    assert.deepEqual({ ...config.verification, ...VERIFY_DEFAULTS }, config.verification);
    assert.deepEqual({ ...config.reconciliation, ...RECONCILE_DEFAULTS }, config.reconciliation);
  });

  it('is frozen', () => {
    const config = loadConfig({ env: {}, cwd: nowhere });
    assert.ok(Object.isFrozen(config));
    assert.ok(Object.values(config).every((group) => Object.isFrozen(group)));
  });

  it('takes the environment before .env, .env before the file, the file before the default', (t) => {
    const cwd = directoryOf(t, {
      '.env': 'DICT_VSYNC_CONFIG=settings.json\nDICT_VSYNC_LOG_LEVEL=warn\nDICT_VSYNC_INGEST_BATCH_WAIT=2s\n',
      'settings.json': '{"log": {"level": "error", "format": "text"}, "ingest": {"batchWait": "3s", "batchEvents": 7}}',
    });
    const { log, ingest } = loadConfig({ env: { DICT_VSYNC_LOG_LEVEL: 'debug' }, cwd });
    assert.deepEqual(log, { level: 'debug', format: 'text' });
    assert.deepEqual([ingest.batchWaitMs, ingest.batchEvents, ingest.batchBytes], [2_000, 7, 4_194_304]);
  });

  it('keeps leading zeros of participants, also in a file’s list', (t) => {
    const cwd = directoryOf(t, { 'settings.json': '{"program": {"participants": ["00038166", "60746948"]}}' });
    const { program } = loadConfig({ env: { DICT_VSYNC_CONFIG: 'settings.json' }, cwd });
    assert.deepEqual(program.participants, ['00038166', '60746948']);
  });

  it('takes TLS by PEM, by PKCS#12, by an authority alone or not at all, with files from where it is started', (t) => {
    const cwd = directoryOf(t, { passphrase: 'segredo\n' });
    const url = { DICT_URL: 'https://dict-h.pi.rsfn.net.br:16522/api/v2/' };
    const pem = { DICT_VSYNC_DICT_TLS_CERTIFICATE: 'c.pem', DICT_VSYNC_DICT_TLS_KEY: '/etc/k.pem' };
    const { dict } = loadConfig({ env: { ...url, ...pem, DICT_VSYNC_DICT_TLS_PASSPHRASE_FILE: 'passphrase' }, cwd });
    assert.deepEqual([dict.tlsCertificate, dict.tlsKey, dict.tlsPassphrase], [path.join(cwd, 'c.pem'), '/etc/k.pem', 'segredo']);
    const pkcs12 = loadConfig({ env: { ...url, DICT_VSYNC_DICT_TLS_PKCS12: 'c.p12' }, cwd }).dict;
    assert.deepEqual([pkcs12.tlsPkcs12, pkcs12.tlsCertificate], [path.join(cwd, 'c.p12'), null]);
    assert.equal(loadConfig({ env: { ...url, DICT_VSYNC_DICT_TLS_AUTHORITY: 'a' }, cwd }).dict.tlsAuthority, path.join(cwd, 'a'));
    assert.equal(loadConfig({ env: url, cwd }).dict.tlsCertificate, null);
  });

  it('counts an empty variable as not set', () => {
    const env = { DATABASE_URL: '', DICT_VSYNC_DATABASE_POOL_MAX: '' };
    const { database } = loadConfig({ env, cwd: nowhere });
    assert.deepEqual([database.url, database.poolMax], [null, 25]);
  });

  it('reads a secret from a file, without the line’s end', (t) => {
    const cwd = directoryOf(t, { secret: 'postgres://u:p@h/db\n' });
    assert.equal(loadConfig({ env: { DATABASE_URL_FILE: 'secret' }, cwd }).database.url, 'postgres://u:p@h/db');
  });

  it('says every complaint at once', () => {
    const env = { DICT_VSYNC_LOG_LEVEL: 'loud', DICT_VSYNC_INGEST_BATCH_WAIT: '200' };
    assert.throws(() => loadConfig({ env, cwd: nowhere }), /DICT_VSYNC_LOG_LEVEL.*DICT_VSYNC_INGEST_BATCH_WAIT/s);
  });

  it('never shows a secret, neither when it is right nor when it is wrong', () => {
    const right = optionsInForce({ env: { DATABASE_URL: 'postgres://u:hunter2@h/db' }, cwd: nowhere });
    assert.ok(!JSON.stringify(right.map(({ shown, source }) => [shown, source])).includes('hunter2'));
    assert.equal(right.find(({ option }) => option.env === 'DATABASE_URL')?.shown, '(secret)');
    assert.throws(
      () => loadConfig({ env: { DATABASE_URL: 'mysql://u:hunter2@h/db' }, cwd: nowhere }),
      (error: Error) =>
        /DATABASE_URL.*secret, not shown.*postgres:\/\//.test(error.message) && !error.message.includes('hunter2'),
    );
  });

  it('is documented whole in .env.example (dict-vsync config --env-example > .env.example)', () => {
    const text = fs.readFileSync(path.join(import.meta.dirname, '../.env.example'), 'utf8');
    assert.equal(text, envExample());
    for (const { env } of namedOptions) assert.match(text, new RegExp(`^#${env}=`, 'm'));
  });

  it('has no option that nothing reads', () => {
    const files = fs.readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' });
    const readers = files.filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && !file.startsWith('config'));
    const program = readers.map((file) => fs.readFileSync(path.join(import.meta.dirname, file), 'utf8')).join('\n');
    const unread = namedOptions.filter(({ property }) => !new RegExp(`\\b${property}\\b`).test(program));
    assert.deepEqual(
      unread.map(({ name }) => name),
      [],
    );
  });

  it('has no two options of one name', () => {
    assert.equal(new Set(namedOptions.map(({ env }) => env)).size, namedOptions.length);
    assert.equal(new Set(namedOptions.map(({ name }) => name)).size, namedOptions.length);
  });
});

describe('a wrong configuration is refused, naming the option, what was given and what is allowed:', () => {
  const cases: readonly (readonly [Record<string, string>, RegExp])[] = [
    [{ DICT_VSYNC_LOG_LEVEL: 'loud' }, /DICT_VSYNC_LOG_LEVEL \(log\.level, from environment\): "loud" .*Allowed: one of trace, /],
    [{ DICT_VSYNC_LOG_LEVLE: 'info' }, /DICT_VSYNC_LOG_LEVLE .*not an option; did you mean DICT_VSYNC_LOG_LEVEL\?/],
    [{ DICT_VSYNC_XYZZY: '1' }, /DICT_VSYNC_XYZZY .*not an option; "dict-vsync config" lists them/],
    [{ DICT_VSYNC_VERIFICATION_LOG_LAG: '5' }, /"5" is not allowed.*with its unit/],
    [{ DICT_VSYNC_VERIFICATION_LOG_LAG: '2h' }, /"2h" is not allowed.*from 0 to 1min/],
    [{ DICT_VSYNC_VERIFICATION_LOG_LAG: '-5s' }, /"-5s" is not allowed/],
    [{ DICT_VSYNC_INGEST_BATCH_BYTES: '1MB' }, /"1MB" is not allowed.*B, KiB, MiB, GiB/],
    [{ DICT_VSYNC_INGEST_BATCH_EVENTS: '0' }, /"0" is not allowed.*from 1 to 10000/],
    [{ DICT_VSYNC_INGEST_BATCH_EVENTS: '1e3' }, /"1e3" is not allowed.*a whole number/],
    [{ DICT_VSYNC_PROGRAM_TIME_SCALE: '0' }, /"0" is not allowed.*from 1 to 10000/],
    [{ DICT_VSYNC_VERIFICATION_DAILY_AT: '24:00' }, /"24:00" is not allowed.*00:00 to 23:59/],
    [{ DICT_VSYNC_VERIFICATION_TIME_ZONE: 'Brasilia' }, /"Brasilia" is not allowed.*America\/Sao_Paulo/],
    [{ DICT_VSYNC_RECONCILIATION_IMPLAUSIBLE_ORPHAN_SHARE: '0.01' }, /"0\.01" is not allowed.*percentage/],
    [{ DICT_VSYNC_RECONCILIATION_IMPLAUSIBLE_ORPHAN_SHARE: '101%' }, /"101%" is not allowed/],
    [{ DICT_VSYNC_RECONCILIATION_FILE_POLLS: '5s,x' }, /"5s,x" is not allowed/],
    [{ DICT_VSYNC_DICT_CIDS_FILES_WRITE: '40 a day' }, /"40 a day" is not allowed.*TOKENS\/PERIOD of CAPACITY/],
    [{ PARTICIPANT_ISPB: '38166' }, /PARTICIPANT_ISPB .*"38166" is not allowed \("38166" is not an ISPB\)/],
    [{ PARTICIPANT_ISPB: '00038166,00038166' }, /is there twice/],
    [{ DICT_VSYNC_PROGRAM_KEY_TYPES: 'CPF,RG' }, /"RG" is not a key type/],
    [{ DICT_URL: 'dict.pi.rsfn.net.br' }, /DICT_URL .*https:\/\/ or http:\/\//],
    [{ DICT_FILES_HOSTS: 'https://files.example' }, /"https:\/\/files\.example" is not a host/],
    [{ DICT_VSYNC_REPORT_DETAILS_KEYS: '1:short' }, /DICT_VSYNC_REPORT_DETAILS_KEYS .*secret, not shown.*32 bytes in base64/],
    [{ DATABASE_URL: 'postgres://h/d', DATABASE_URL_FILE: '/x' }, /DATABASE_URL and DATABASE_URL_FILE are both set/],
    [{ DATABASE_URL_FILE: '/nonexistent/secret' }, /DATABASE_URL_FILE: the file \/nonexistent\/secret cannot be read/],
    [{ DICT_VSYNC_DATABASE_POOL_MIN: '30' }, /POOL_MIN \(30\) is above DICT_VSYNC_DATABASE_POOL_MAX \(25\)/],
    [{ DICT_VSYNC_VERIFICATION_WARNING_AGE: '31h' }, /WARNING_AGE must be below DICT_VSYNC_VERIFICATION_CRITICAL_AGE/],
    [{ DICT_VSYNC_VERIFICATION_EVERY: '25h' }, /EVERY must not exceed/],
    [{ DICT_VSYNC_SYNC_DAILY_AT: '02:00' }, /SYNC_DAILY_AT is set, and there is no listing to read: set DICT_LISTING_URL or/],
    [{ DICT_VSYNC_VERIFICATION_FIRST_POLL: '31s' }, /FIRST_POLL must not exceed/],
    [{ DICT_VSYNC_RECONCILIATION_CRITICAL_THRESHOLD: '99' }, /CRITICAL_THRESHOLD is below/],
    [{ DICT_VSYNC_DICT_TLS_KEY: 'k' }, /TLS_CERTIFICATE and DICT_VSYNC_DICT_TLS_KEY go together: one of them is not set/],
    [{ DICT_VSYNC_DICT_TLS_CERTIFICATE: 'c' }, /TLS_CERTIFICATE and DICT_VSYNC_DICT_TLS_KEY go together: one of them is not set/],
    [
      { DICT_VSYNC_DICT_TLS_PKCS12: 'p', DICT_VSYNC_DICT_TLS_CERTIFICATE: 'c', DICT_VSYNC_DICT_TLS_KEY: 'k' },
      /TLS_PKCS12 is set beside .*: give either the one or the two/,
    ],
    [
      { DICT_VSYNC_DICT_TLS_PKCS12: 'p', DICT_VSYNC_DICT_TLS_KEY: 'k' },
      /TLS_PKCS12 is set beside .*: give either the one or the two/,
    ],
    [
      { DICT_VSYNC_DICT_TLS_PASSPHRASE: 'segredo' },
      /TLS_PASSPHRASE is set without DICT_VSYNC_DICT_TLS_KEY or DICT_VSYNC_DICT_TLS_PKCS12/,
    ],
    ...(['CERTIFICATE', 'PKCS12', 'AUTHORITY'] as const).map((one): readonly [Record<string, string>, RegExp] => [
      {
        DICT_URL: 'http://127.0.0.1:1/api/v2/',
        [`DICT_VSYNC_DICT_TLS_${one}`]: 'x',
        DICT_VSYNC_DICT_TLS_KEY: one === 'CERTIFICATE' ? 'k' : '',
      },
      /DICT_URL begins with http:\/\/ and options DICT_VSYNC_DICT_TLS_… are set, which only https:\/\/ uses/,
    ]),
    [
      { DICT_VSYNC_CONFIG: '/nonexistent/settings.json' },
      /DICT_VSYNC_CONFIG: the file \/nonexistent\/settings\.json cannot be read as JSON/,
    ],
  ];
  for (const [env, says] of cases) {
    it(JSON.stringify(env), () => {
      assert.throws(() => loadConfig({ env, cwd: nowhere }), { name: 'ConfigRefused', message: says });
    });
  }

  const files: readonly (readonly [string, RegExp])[] = [
    ['{"log": {"levle": "info"}}', /log\.levle \(settings\.json\) is not an option; did you mean log\.level\?/],
    ['{"log": {"level": null}}', /log\.level \(settings\.json\) must be a text, a number/],
    ['{"log": "info"}', /log \(settings\.json\) must be an object of options/],
    ['["log"]', /must be an object of groups/],
    ['log: info', /cannot be read as JSON/],
  ];
  for (const [text, says] of files) {
    it(`a file with ${text}`, (t) => {
      const cwd = directoryOf(t, { 'settings.json': text });
      const env = { DICT_VSYNC_CONFIG: 'settings.json' };
      assert.throws(() => loadConfig({ env, cwd }), { name: 'ConfigRefused', message: says });
    });
  }

  it('a misspelt name in .env', (t) => {
    const cwd = directoryOf(t, { '.env': 'DICT_VSYNC_INGEST_BACH_EVENTS=5\n' });
    assert.throws(
      () => loadConfig({ env: {}, cwd }),
      /INGEST_BACH_EVENTS \(\.env\).*did you mean DICT_VSYNC_INGEST_BATCH_EVENTS/,
    );
  });
});
