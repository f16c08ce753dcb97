/** The checks of `doctor` in their order: each told as soon as it is done, and none begun that needs what has failed before. */

import type { Config } from '../../config.ts';
import { KEY_TYPES } from '../../dict/key-type.ts';
import type { Participant } from '../../dict/participant.ts';
import { readIngestBacklog } from '../../ingest/ingest-backlog.ts';
import { readParticipants } from '../../ingest/participant-store.ts';
import { systemClock } from '../../platform/clock.ts';
import type { OpenedDatabase } from '../../platform/postgres/database-access.ts';
import type { Scope } from '../../vsync/scope.ts';
import { vsyncToHex } from '../../vsync/vsync.ts';
import { readAllVSyncs } from '../../vsync/vsync-store.ts';
import { dictClientOptions } from '../../wire-dict.ts';
import { CommandFailed, type Io } from '../io.ts';
import { checkSigning, checkTls, checkTrustStore } from './certificates.ts';
import { checkDatabase } from './database.ts';
import { checkAddress, checkAnswer, checkClock, checkFilesHosts, checkOurSignature, checkReach } from './dict.ts';
import { checked, type Finding, fail, ok, skip } from './finding.ts';
import { checkConfiguration, checkDataDirectory, checkNode, programVersion } from './machine.ts';
import { bridgeOf, checkServices, throughBridge } from './services.ts';
import { checkBuckets } from './token-buckets.ts';

/** A check that needs nothing but this machine. */
const LOCAL_LIMIT_MS = 10_000;
/** What a question to DICT may take besides its own time limits. */
const MARGIN_MS = 5_000;

interface Examination {
  readonly io: Io;
  readonly config: Config;
  readonly now: Date;
  readonly tell: (finding: Finding) => void;
}

/** Examines everything; `tell` hears of each finding in order. Rejects only when interrupted, or at a fault of ours. */
export async function examine(io: Io, tell: (finding: Finding) => void): Promise<void> {
  tell(ok('program', `dict-vsync ${programVersion()}, written against DICT API 2.6.1`));
  tell(checkNode(process.versions.node));
  const { findings, result: config } = checkConfiguration(io);
  findings.forEach(tell);
  if (config === null) {
    tell(skip('everything else', 'not checked: it follows from the configuration'));
    return;
  }
  const examination: Examination = { io, config, now: systemClock.now(), tell };
  const { dict, program, reconciliation } = config;
  await local(examination, 'data directory', () => checkDataDirectory(program.dataDir, reconciliation.fileBytesMax).findings);
  const database = await examineDatabase(examination);
  try {
    await local(examination, 'signing certificate', () => checkSigning(dict, examination.now));
    await local(examination, 'trust store', () => checkTrustStore(dict, examination.now));
    await local(examination, 'TLS certificate', () => checkTls(dict, examination.now));
    await examineServices(examination);
    if (bridgeOf(config) === null) await examineDict(examination, database);
    else tell(throughBridge());
  } finally {
    await database?.close();
  }
}

async function local({ io, tell }: Examination, check: string, work: () => readonly Finding[]): Promise<void> {
  const about = { check, limitMs: LOCAL_LIMIT_MS, lateAdvice: 'see the disk that it lies on' };
  const { findings } = await checked(io, about, async () => ({ findings: work(), result: null }));
  findings.forEach(tell);
}

async function examineDatabase({ io, config, tell }: Examination): Promise<OpenedDatabase | null> {
  const { embeddedStartTimeoutMs, connectTimeoutMs } = config.database;
  const limitMs = (config.database.url === null ? embeddedStartTimeoutMs : connectTimeoutMs) + LOCAL_LIMIT_MS;
  const about = { check: 'database', limitMs, lateAdvice: 'see that the server runs, and what it is busy with' };
  const { findings, result } = await checked(io, about, (signal) => checkDatabase(config, signal));
  findings.forEach(tell);
  return result;
}

async function examineServices({ io, config, tell }: Examination): Promise<void> {
  const limitMs = config.dict.connectTimeoutMs;
  const about = { check: 'services', limitMs: limitMs + MARGIN_MS, lateAdvice: 'see the name servers of this machine' };
  const { findings } = await checked(io, about, async (signal) => ({
    findings: await checkServices(config, { limitMs, signal }),
    result: null,
  }));
  findings.forEach(tell);
}

async function examineDict(examination: Examination, database: OpenedDatabase | null): Promise<void> {
  const { io, config, tell } = examination;
  const { dict } = config;
  const address = checkAddress(dict);
  address.findings.forEach(tell);
  const place = address.result;
  if (place === null) return;
  const network = {
    check: 'DICT name',
    limitMs: dict.connectTimeoutMs + MARGIN_MS,
    lateAdvice: 'see the name servers of this machine',
  };
  const reach = await checked(io, network, (signal) => checkReach(place, dict.connectTimeoutMs, signal));
  reach.findings.forEach(tell);
  const files = { ...network, check: 'files host' };
  const hosts = await checked(io, files, async () => ({ findings: await checkFilesHosts(dict), result: null }));
  hosts.findings.forEach(tell);
  if (reach.result === null) {
    tell(skip('DICT answer', 'not asked for: DICT cannot be reached'));
    return;
  }
  const held = await heldScope(config, database);
  const participant = held?.scope.participant ?? config.program.participants?.[0] ?? null;
  if (participant === null) {
    tell(fail('DICT answer', 'nobody to ask for: no participant is configured, and the base has none', 'set PARTICIPANT_ISPB'));
    return;
  }
  await askDict(examination, participant, held);
}

interface Held {
  readonly scope: Scope;
  readonly vsync: string;
}

async function askDict({ io, config, tell }: Examination, participant: Participant, held: Held | null): Promise<void> {
  const options = optionsOf(config, tell);
  if (options === null) return;
  const { connectTimeoutMs, callTimeoutMs } = config.dict;
  const about = {
    check: 'DICT answer',
    limitMs: connectTimeoutMs + callTimeoutMs + MARGIN_MS,
    lateAdvice: 'see what lies between this machine and DICT',
  };
  const asked = await checked(io, about, (signal) => checkAnswer(options, participant, signal));
  asked.findings.forEach(tell);
  const answered = asked.result;
  if (answered === null) return;
  tell(checkClock(answered, config));
  checkBuckets(answered.policies, config.dict).forEach(tell);
  const ours = await checked(io, { ...about, check: 'our signature' }, async (signal) => ({
    findings: [await checkOurSignature(options, { answered, held }, signal)],
    result: null,
  }));
  ours.findings.forEach(tell);
}

/** The keys and certificates were checked one by one before; what else makes them useless is told here. */
function optionsOf(config: Config, tell: Examination['tell']) {
  try {
    return dictClientOptions({ config, clock: systemClock });
  } catch (cause) {
    if (!(cause instanceof CommandFailed)) throw cause;
    tell(skip('DICT answer', `not asked for: ${cause.message}`));
    return null;
  }
}

/**
 * A scope of the base that DICT can be asked about: the first of the configured participants and types that has keys. What holds for
 * verifications holds here: none while ingest is behind (rule R1), none of CIDs that are not DICT's (rule R18).
 */
async function heldScope({ program, verification }: Config, database: OpenedDatabase | null): Promise<Held | null> {
  if (database === null) return null;
  try {
    const now = systemClock.now();
    const { oldestUnconsumedAt } = await readIngestBacklog(database, now);
    if (oldestUnconsumedAt !== null && now.getTime() - oldestUnconsumedAt.getTime() > verification.ingestGraceMs) return null;
    const askable = new Set(
      (await readParticipants(database)).flatMap(({ participant, cidAlgorithm }) =>
        cidAlgorithm === 'dict' ? [participant] : [],
      ),
    );
    const wanted = (await readAllVSyncs(database)).filter(
      ({ scope: { participant, keyType }, keys }) =>
        keys > 0 &&
        askable.has(participant) &&
        program.keyTypes.includes(keyType) &&
        (program.participants === null || program.participants.includes(participant)),
    );
    const first = wanted.toSorted((a, b) => KEY_TYPES.indexOf(a.scope.keyType) - KEY_TYPES.indexOf(b.scope.keyType))[0];
    return first === undefined ? null : { scope: first.scope, vsync: vsyncToHex(first.vsync) };
  } catch {
    // The schema check has said what is wrong with it.
    return null;
  }
}
