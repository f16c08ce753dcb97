/**
 * Every option there is: one table that the parser, `dict-vsync config`, .env.example and the type of the configuration are all
 * made from. Grouped by the stage that uses it. A default stands here as its text, exactly as one would write it.
 *
 * An option is named `group.name` in a file and DICT_VSYNC_GROUP_NAME in the environment, unless it has a name of its own there.
 * Ms at a property's end says what it is kept in; outside, durations and sizes carry their unit themselves (5s, 1MiB).
 */

import { parseDetailsKeys } from '../report/details-cipher.ts';
import {
  address,
  decimal,
  duration,
  hosts,
  integer,
  type Kind,
  keyTypes,
  NotAllowed,
  oneOf,
  participants,
  share,
  size,
  text,
  timeOfDay,
  timeZone,
  tokenBucket,
  waits,
} from './option-kind.ts';

export interface Option<Value> {
  readonly kind: Kind<Value>;
  /** Null: not set, and the description says what that means. */
  readonly defaultText: string | null;
  readonly description: string;
  /** The name in the environment, where it is not made from group and name. */
  readonly env: string | null;
  /** Never printed; may come from a file named by ENV_NAME_FILE. */
  readonly secret: boolean;
}

interface More {
  readonly env?: string;
  readonly secret?: boolean;
}

function option<Value>(kind: Kind<Value>, defaultText: string, description: string, more: More = {}): Option<Value> {
  return { kind, defaultText, description, env: more.env ?? null, secret: more.secret ?? false };
}

function unset<Value>(kind: Kind<Value>, description: string, more: More = {}): Option<Value | null> {
  return { kind, defaultText: null, description, env: more.env ?? null, secret: more.secret ?? false };
}

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const mebibyte = 1024 ** 2;

const detailsKeys: Kind<ReturnType<typeof parseDetailsKeys>> = {
  allowed: 'VERSION:KEY pairs separated by commas, a key being 32 bytes in base64',
  read(given) {
    try {
      return parseDetailsKeys(given);
    } catch {
      throw new NotAllowed();
    }
  },
};

const optionTable = {
  program: {
    dataDir: option(
      text('a path', /\S/),
      '.data',
      'Where the embedded database and working files live; relative to where the program is started.',
      {
        env: 'DATA_DIR',
      },
    ),
    participants: unset(participants, 'The participants this program works for. Not set: all that the database knows.', {
      env: 'PARTICIPANT_ISPB',
    }),
    keyTypes: option(keyTypes, 'CPF,CNPJ,PHONE,EMAIL,EVP', 'The key types that are verified.'),
    operator: unset(
      text('up to 100 visible characters', /^[^\p{C}]{1,100}$/u),
      'Who gives the commands, for the audit log. Not set: the user of the operating system.',
    ),
    timeScale: option(
      decimal(1, 10_000),
      '1',
      'How many times as fast as real time the program’s clock runs: for demonstrations and tests against a simulator with the same scale.',
    ),
  },
  database: {
    url: unset(
      address('postgres', 'postgresql'),
      'A PostgreSQL server to use. Not set: the embedded one, with its data under DATA_DIR.',
      {
        env: 'DATABASE_URL',
        secret: true,
      },
    ),
    poolMin: option(integer(0, 1_000), '5', 'Connections kept open.'),
    poolMax: option(integer(1, 1_000), '25', 'Connections at most.'),
    connectTimeoutMs: option(duration(100, hour), '10s', 'How long to wait for a connection.'),
    statementTimeoutMs: option(duration(0, day), '5min', 'How long one statement may take; 0 sets no limit.'),
    embeddedStartTimeoutMs: option(duration(second, hour), '60s', 'How long the embedded server may take to start.'),
    embeddedStopTimeoutMs: option(duration(second, hour), '30s', 'How long the embedded server may take to stop in good order.'),
  },
  log: {
    level: option(
      oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
      'info',
      'The least important lines that are logged.',
    ),
    format: option(
      oneOf('json', 'text'),
      'json',
      'One JSON object a line for machines, or plain text for people; on standard error.',
    ),
  },
  ingest: {
    batchEvents: option(integer(1, 10_000), '4000', 'Events in one batch at most.'),
    batchBytes: option(size(1024, 64 * mebibyte), '4MiB', 'Bytes of events in one batch at most.'),
    batchWaitMs: option(duration(0, minute), '200ms', 'How long the first event of a batch waits for others.'),
    lineBytesMax: option(size(1024, 16 * mebibyte), '1MiB', 'The longest event; a longer one is a dead letter.'),
    inboxKeptMs: option(duration(hour, 90 * day), '7d', 'How long a second delivery of an event is recognised.'),
  },
  verification: {
    logLagMs: option(duration(0, minute), '5s', 'How late an event may appear in DICT’s log.'),
    clockSkewMs: option(duration(0, minute), '1s', 'How far two timestamps of DICT may disagree about the order of things.'),
    inFlightGraceMs: option(duration(0, day), '5min', 'How long a difference may be explained by an event still on its way.'),
    ingestGraceMs: option(duration(0, day), '5min', 'How far ingest may be behind before a verification is put off.'),
    reasksMax: option(integer(0, 20), '3', 'Times DICT is asked again before the next, costlier proof.'),
    triesMax: option(integer(1, 20), '3', 'Tries of one call when DICT does not answer.'),
    firstRetryMs: option(duration(100, hour), '1s', 'The wait before the second try; it doubles with each further one.'),
    callLimitMs: option(duration(second, hour), '60s', 'How long one try may take.'),
    logPagesMax: option(integer(1, 10_000), '50', 'Pages of 200 events that one look at DICT’s log may read.'),
    firstPollMs: option(
      duration(second, hour),
      '5s',
      'The wait before the second look at the log while differences are in flight.',
    ),
    longestPollMs: option(duration(second, hour), '30s', 'The longest wait between two looks, which doubling leads to.'),
    looksMax: option(integer(1, 10_000), '60', 'Looks at the log after one NOK.'),
    firstWindowMs: option(duration(minute, 30 * day), '1h', 'How far back the log is read where nothing has been proven yet.'),
    dailyAt: option(timeOfDay, '03:00', 'When the daily verification of all key types starts.'),
    timeZone: option(timeZone, 'America/Sao_Paulo', 'The time zone of the daily verification.'),
    everyMs: option(duration(minute, 36 * hour), '1h', 'The verification in between.'),
    warningAgeMs: option(duration(minute, 36 * hour), '24h', 'Age of the last verification, or of the last OK, that warns.'),
    criticalAgeMs: option(duration(minute, 36 * hour), '30h', 'The age that is critical: the Central Bank allows 36 hours.'),
  },
  reconciliation: {
    clockSkewMs: option(duration(0, 10 * minute), '5s', 'How far the clocks of DICT and of the core may differ from ours.'),
    openClaimGraceMs: option(
      duration(0, 30 * day),
      '1h',
      'How long a key with an open claim is left alone before a person looks.',
    ),
    roundsMax: option(integer(1, 20), '3', 'How often one proof takes in differences before the next, costlier one.'),
    approvalThreshold: option(integer(0, 1_000_000), '100', 'More settled divergences than this need a person’s approval.'),
    criticalThreshold: option(integer(0, 1_000_000), '1000', 'More settled divergences than this are a critical incident too.'),
    approvalExpiresMs: option(duration(minute, 30 * day), '24h', 'How long an approval may be given; after it the run ends.'),
    implausibleOrphanShare: option(share, '1%', 'A file that would orphan more than this share of the keys is implausible …'),
    implausibleOrphans: option(integer(0, 1_000_000), '10', '… if they are also more than this many; it then changes nothing.'),
    filePollsMs: option(waits, '5s,10s,20s,30s,60s', 'Waits before each look at a file in generation; the last one repeats.'),
    fileGenerationLimitMs: option(duration(second, day), '10min', 'How long DICT may take to generate a CID set file.'),
    fileBytesMax: option(size(65, 64 * 1024 * mebibyte), '1GiB', 'The largest CID set file that is read.'),
    fileFailuresMax: option(integer(1, 20), '3', 'Files asked for, and downloads tried, before the run fails.'),
    downloadIdleMs: option(duration(second, hour), '60s', 'A download without a byte for this long is given up.'),
    differencesMax: option(
      integer(1, 10_000_000),
      '72000',
      'A file that differs in more CIDs than this is not settled one by one: an import is what is needed.',
    ),
    byCidConcurrency: option(integer(1, 256), '16', 'Entries asked for by CID at a time.'),
    judgeBatch: option(integer(1, 1_000), '200', 'Differences judged in one step.'),
    repairBatch: option(integer(1, 1_000), '100', 'Repairs made in one transaction.'),
    attemptsMax: option(integer(1, 100), '3', 'How often one difference is judged before it is left open.'),
    leaseMs: option(duration(second, hour), '60s', 'How long a run belongs to a process that is not heard of.'),
  },
  sync: {
    dailyAt: unset(
      timeOfDay,
      'When the worker begins the daily synchronisation entry by entry over DICT_LISTING_URL, in the time zone of verifications. Not set: only "sync" does one.',
    ),
    type: option(
      oneOf('FULL', 'INCREMENTAL'),
      'FULL',
      'What it lists: every entry, or those changed since the last one that completed (which flags none as missing at Bacen).',
    ),
  },
  dict: {
    url: unset(
      address('https', 'http'),
      'DICT’s API, such as https://dict.pi.rsfn.net.br:16422/api/v2/. Not set: commands that ask DICT are refused; demo brings its own simulator.',
      { env: 'DICT_URL' },
    ),
    listingUrl: unset(
      address('https', 'http'),
      'The operation GetKeys (SOAP) of a directory that lists a participant’s entries by pages, such as https://dict.bcb.gov.br/api/v1/dict/entries/list. Not set: "sync" is refused.',
      { env: 'DICT_LISTING_URL' },
    ),
    filesHosts: unset(hosts, 'The hosts that CID set files may come from. Not set: only the host of DICT_URL, on any port.', {
      env: 'DICT_FILES_HOSTS',
    }),
    signingKey: unset(
      text('a path', /\S/),
      'The private key (PEM file) that signs what is sent to DICT. Not set: bodies go out unsigned, which DICT refuses in production.',
    ),
    signingKeyPassphrase: unset(text('any text', /^[\s\S]+$/), 'The passphrase of that key. Not set: the key has none.', {
      secret: true,
    }),
    signingCertificate: unset(text('a path', /\S/), 'The certificate (PEM file) of that key, as DICT knows it.'),
    trustStore: unset(
      text('a path', /\S/),
      'The certificates that DICT signs with: a PEM file, or a directory of such (.pem, .crt, .cer). Not set: signatures of answers are not verified.',
    ),
    answersSigned: option(
      oneOf('required', 'if-present'),
      'required',
      'Whether answers have to be signed, where a trust store is set; if-present lets those without any signature pass.',
    ),
    errorsSigned: option(oneOf('required', 'if-present'), 'required', 'The same for DICT’s errors.'),
    tlsCertificate: unset(
      text('a path', /\S/),
      'The certificate (PEM file, with those between it and its authority) that this participant shows on connections to DICT. Not set: none is shown, which DICT refuses.',
    ),
    tlsKey: unset(text('a path', /\S/), 'The private key (PEM file) of that certificate.'),
    tlsPkcs12: unset(text('a path', /\S/), 'A PKCS#12 file (.p12, .pfx) with certificate and key, instead of the two.'),
    tlsPassphrase: unset(
      text('any text', /^[\s\S]+$/),
      'The passphrase of the key or the PKCS#12 file for TLS. Not set: there is none.',
      { secret: true },
    ),
    tlsAuthority: unset(
      text('a path', /\S/),
      'The authorities that DICT’s servers have their certificates from: a PEM file, or a directory of such. Not set: those that Node knows.',
    ),
    connections: option(integer(1, 1_000), '32', 'Connections to DICT at most.'),
    connectTimeoutMs: option(duration(100, 10 * minute), '10s', 'How long a connection may take.'),
    callTimeoutMs: option(duration(100, 10 * minute), '30s', 'How long one call may take, waiting for tokens not counted.'),
    tokenWaitMs: option(duration(0, day), '10min', 'How long a call waits for a token before it is given up.'),
    answerBytesMax: option(size(1024, 1024 * mebibyte), '16MiB', 'The largest answer that is read, files not counted.'),
    circuitFailures: option(
      integer(1, 1_000),
      '10',
      'Failures in a row (no connection, silence, a broken one, a status from 500 on) after which a host is left alone for a while.',
    ),
    circuitOpenMs: option(duration(100, hour), '15s', 'How long it is left alone before one call tries again.'),
    callsMax: option(
      integer(1, 1_000),
      '16',
      'Calls under way at a time of one participant, policy and priority; RECONCILIATION_BY_CID_CONCURRENCY above it brings nothing.',
    ),
    callsQueuedMax: option(integer(0, 1_000_000), '10000', 'Calls that may wait for that; more are refused.'),
    reservedConnections: option(
      integer(0, 1_000),
      '4',
      'Connections that routine reads of entries by CID leave to everything else; one is always theirs.',
    ),
    syncVerificationsWrite: option(tokenBucket, '10/1min of 50', 'Token bucket of verifications.'),
    cidsFilesWrite: option(tokenBucket, '40/1d of 200', 'Token bucket of requests for a file.'),
    cidsFilesRead: option(tokenBucket, '10/1min of 50', 'Token bucket of looks at a file.'),
    cidsEventsList: option(tokenBucket, '20/1min of 100', 'Token bucket of pages of the log.'),
    cidsEntriesRead: option(tokenBucket, '1200/1min of 36000', 'Token bucket of entries by CID.'),
    policiesRead: option(tokenBucket, '60/1min of 200', 'Token bucket of looks at one policy.'),
    policiesList: option(tokenBucket, '6/1min of 20', 'Token bucket of lists of policies.'),
  },
  bridge: {
    url: unset(
      address('grpc', 'grpcs'),
      'A bridge that DICT is asked through (grpc://host:port, over TLS grpcs://host:port). Not set: DICT is asked from here.',
    ),
    host: option(text('an address or host name to listen on', /^[0-9A-Za-z.:-]+$/), '127.0.0.1', 'Where the bridge listens.'),
    port: option(integer(0, 65_535), '50051', 'Port of the bridge; 0 takes a free one.'),
    tlsCertificate: unset(
      text('a path', /\S/),
      'The certificate (PEM file) that this side of gRPC shows. Not set: the bridge speaks in clear, a client shows none.',
    ),
    tlsKey: unset(text('a path', /\S/), 'The private key (PEM file) of that certificate.'),
    tlsKeyPassphrase: unset(text('any text', /^[\s\S]+$/), 'The passphrase of that key. Not set: the key has none.', {
      secret: true,
    }),
    tlsAuthority: unset(
      text('a path', /\S/),
      'The authority (PEM file) that the other side’s certificate must come from. Not set: the bridge asks clients for none, a client trusts the system’s.',
    ),
    callTimeoutMs: option(
      duration(second, day),
      '15min',
      'How long one call of the bridge may take, its waiting for tokens included.',
    ),
    messageBytesMax: option(size(64 * 1024, 256 * mebibyte), '16MiB', 'The largest message of gRPC, either way.'),
    drainMs: option(duration(0, hour), '30s', 'How long calls may go on when the bridge is told to end.'),
  },
  redis: {
    url: unset(
      address('redis', 'rediss'),
      'A Redis server (6 or newer) that keeps the token buckets for all replicas: redis://HOST:6379, or rediss:// over TLS. Not set: each process keeps its own.',
      { secret: true },
    ),
    user: unset(
      text('any text', /^[\s\S]+$/),
      'The user at that server. Not set: the one in its address, else the default user.',
    ),
    password: unset(text('any text', /^[\s\S]+$/), 'The password there. Not set: the one in its address, else none.', {
      secret: true,
    }),
    authorities: unset(
      text('a path', /\S/),
      'Certificates (PEM file) that a rediss:// server’s certificate is verified with. Not set: those that Node.js trusts.',
    ),
    keyPrefix: option(
      text('up to 100 characters without braces or spaces', /^[^{}\s]{0,100}$/),
      'dict-vsync:',
      'What the names of all keys in Redis begin with: the same for replicas that share, another for another DICT.',
    ),
    connectTimeoutMs: option(duration(100, minute), '5s', 'How long a connection to Redis may take.'),
    callTimeoutMs: option(duration(10, minute), '1s', 'How long one call of Redis may take.'),
  },
  report: {
    detailsKeys: unset(
      detailsKeys,
      'Keys that the details of reports are encrypted with; the highest version encrypts. Not set: with the embedded database a key is made and kept under DATA_DIR; with DATABASE_URL, reports keep no details.',
      { secret: true },
    ),
  },
  metrics: {
    host: option(
      text('an address or host name to listen on', /^[0-9A-Za-z.:-]+$/),
      '127.0.0.1',
      'Where long-running commands serve /metrics and /health.',
    ),
    port: unset(integer(0, 65_535), 'Port of /metrics and /health; 0 takes a free one and logs it. Not set: neither is served.'),
  },
  simulator: {
    host: option(text('an address or host name to listen on', /^[0-9A-Za-z.:-]+$/), '127.0.0.1', 'Where the simulator listens.'),
    port: option(integer(0, 65_535), '16422', 'Port of the simulator’s API; 0 takes a free one.'),
    filesPort: option(integer(0, 65_535), '16423', 'Port that serves CID set files; 0 takes a free one.'),
    controlPort: unset(integer(0, 65_535), 'Port of the control interface, on 127.0.0.1. Not set: switched off.'),
    pkiDir: unset(
      text('a path', /\S/),
      'Keys and certificates that "dict-vsync simulator --init-pki" has made: mutual TLS, answers are signed, and bodies have to be. Not set: plain http, no signatures.',
    ),
    logLagMs: option(duration(0, 10 * minute), '5s', 'How late an event appears in the simulator’s log.'),
    seed: option(integer(0, 2_147_483_647), '1', 'Seed of everything random.'),
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Option<unknown>>>>>;

type Table = typeof optionTable;
type ValueOf<Of> = Of extends Option<infer Value> ? Value : never;

/** The whole configuration, frozen; see option-table.ts for each option's meaning. */
export type Config = {
  readonly [Group in keyof Table]: { readonly [Name in keyof Table[Group]]: ValueOf<Table[Group][Name]> };
};

/** An option with the names it goes by. */
export interface NamedOption {
  readonly group: string;
  readonly property: string;
  /** `group.name`, the name in a file. */
  readonly name: string;
  readonly env: string;
  readonly option: Option<unknown>;
}

function upperSnake(camel: string): string {
  return camel.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

/** The table as a list, in its order. */
export const namedOptions: readonly NamedOption[] = Object.entries(optionTable).flatMap(([group, options]) =>
  Object.entries<Option<unknown>>(options).map(([property, found]) => {
    const bare = property.replace(/Ms$/, '');
    return {
      group,
      property,
      name: `${group}.${bare}`,
      env: found.env ?? `DICT_VSYNC_${upperSnake(group)}_${upperSnake(bare)}`,
      option: found,
    };
  }),
);
