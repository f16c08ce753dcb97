/** DICT's reconciliation operations over HTTP and XML: `DictApi` for everyone who reads. Nothing here writes to DICT (rule R19). */

import type {
  CallOptions,
  CidSetEvent,
  CidSetEventPage,
  CidSetFile,
  DictApi,
  EntryByCid,
  SyncVerification,
} from '../dict/api.ts';
import { DictError } from '../dict/errors.ts';
import { element } from '../platform/xml.ts';
import {
  countOrNull,
  type Fields,
  flag,
  hex64,
  hex64OrNull,
  id,
  invalidAnswer,
  oneOf,
  sameAs,
  section,
  sections,
  stamp,
  time,
  timeOrNull,
  token,
  tokenOrNull,
  verbatimOrNull,
} from './answer-fields.ts';
import type { Circuit } from './circuit.ts';
import {
  type Caller,
  createCaller,
  type DictClientOptions,
  LIST_POLICIES,
  type Operation,
  policiesCall,
  requestingParticipant,
} from './dict-call.ts';
import { readEntry } from './entry-xml.ts';
import { downloadFile } from './file-download.ts';
import { readPolicies, readPolicy } from './policy-xml.ts';

export interface DictReadClientOptions extends DictClientOptions {
  /** Hosts that CID set files may be read from: `files.example` on any port, `files.example:8443` on that one. */
  readonly filesHosts: readonly string[];
}

const operations = {
  createSyncVerification: {
    name: 'createSyncVerification',
    method: 'POST',
    policy: 'SYNC_VERIFICATIONS_WRITE',
    // Asking twice whether two sets agree changes neither.
    repeatable: true,
    answer: 'CreateSyncVerificationResponse',
  },
  createCidSetFile: {
    name: 'createCidSetFile',
    method: 'POST',
    policy: 'CIDS_FILES_WRITE',
    // 40 a day: whether to spend another is the flow's decision.
    repeatable: false,
    answer: 'CreateCidSetFileResponse',
  },
  getCidSetFile: {
    name: 'getCidSetFile',
    method: 'GET',
    policy: 'CIDS_FILES_READ',
    repeatable: true,
    answer: 'GetCidSetFileResponse',
  },
  listCidSetEvents: {
    name: 'listCidSetEvents',
    method: 'GET',
    policy: 'CIDS_EVENTS_LIST',
    repeatable: true,
    answer: 'ListCidSetEventsResponse',
  },
  getEntryByCid: {
    name: 'getEntryByCid',
    method: 'GET',
    policy: 'CIDS_ENTRIES_READ',
    repeatable: true,
    answer: 'GetEntryByCidResponse',
  },
  getPolicy: { name: 'getPolicy', method: 'GET', policy: 'POLICIES_READ', repeatable: true, answer: 'GetPolicyResponse' },
} as const satisfies Readonly<Record<string, Operation>>;

/**
 * A client for one DICT, for any number of participants. `close` breaks off what is under way.
 *
 * @throws TypeError when `apiUrl` is no http or https URL.
 */
export function createDictClient(options: DictReadClientOptions): DictApi & { close(): Promise<void> } {
  const caller = createCaller(options);
  const circuits = new Map<string, Circuit>();
  const files = {
    ...caller,
    // As many as there are expected hosts.
    circuitOf: (hostname: string): Circuit => {
      const circuit = circuits.get(hostname) ?? caller.circuitOf(hostname);
      circuits.set(hostname, circuit);
      return circuit;
    },
    filesHosts: options.filesHosts,
    plainAllowed: URL.parse(options.apiUrl)?.protocol === 'http:',
  };
  return {
    createSyncVerification: (request, callOptions) => createSyncVerification(caller, request, callOptions),
    createCidSetFile: (request, callOptions) => createCidSetFile(caller, request, callOptions),
    getCidSetFile: (request, callOptions) => getCidSetFile(caller, request, callOptions),
    downloadCidSetFile: (request, callOptions) => downloadFile(files, request, callOptions),
    listCidSetEvents: (request, callOptions) => listCidSetEvents(caller, request, callOptions),
    getEntryByCid: (request, callOptions) => getEntryByCid(caller, request, callOptions),
    getPolicy: ({ participant, name }, callOptions) =>
      caller.call(
        operations.getPolicy,
        { participant, path: `policies/${encodeURIComponent(name)}`, headers: requestingParticipant(participant) },
        readPolicy,
        callOptions,
      ),
    listPolicies: ({ participant }, callOptions) =>
      caller.call(LIST_POLICIES, policiesCall(participant), readPolicies, callOptions),
    close: () => caller.close(),
  };
}

type Request<Name extends keyof DictApi> = Parameters<DictApi[Name]>[0];

function createSyncVerification(
  caller: Caller,
  request: Request<'createSyncVerification'>,
  options?: CallOptions,
): Promise<SyncVerification> {
  const { participant, keyType } = request;
  const participantSyncVerifier = checkedHex('participantSyncVerifier', request.participantSyncVerifier);
  const body = element('CreateSyncVerificationRequest', [
    element('SyncVerification', [
      element('Participant', participant),
      element('KeyType', keyType),
      element('ParticipantSyncVerifier', participantSyncVerifier),
    ]),
  ]);
  const read = (answer: Fields): SyncVerification => {
    const verification = section(answer, 'SyncVerification');
    sameAs(verification, 'Participant', token(verification, 'Participant'), participant);
    sameAs(verification, 'KeyType', token(verification, 'KeyType'), keyType);
    sameAs(verification, 'ParticipantSyncVerifier', hex64(verification, 'ParticipantSyncVerifier'), participantSyncVerifier);
    return {
      // The only answer of these whose time and correlation the contract leaves optional; our own clock then stands in.
      responseTime: timeOrNull(answer, 'ResponseTime') ?? caller.clock.now(),
      correlationId: tokenOrNull(answer, 'CorrelationId') ?? '',
      id: id(verification, 'Id'),
      result: oneOf(verification, 'Result', ['OK', 'NOK']),
    };
  };
  return caller.call(operations.createSyncVerification, { participant, path: 'sync-verifications/', body }, read, options);
}

function createCidSetFile(caller: Caller, request: Request<'createCidSetFile'>, options?: CallOptions): Promise<CidSetFile> {
  const { participant, keyType } = request;
  const body = element('CreateCidSetFileRequest', [element('Participant', participant), element('KeyType', keyType)]);
  const read = (answer: Fields): CidSetFile => {
    const file = readFile(answer);
    const fields = section(answer, 'CidSetFile');
    sameAs(fields, 'Participant', file.participant, participant);
    sameAs(fields, 'KeyType', file.keyType, keyType);
    return file;
  };
  return caller.call(operations.createCidSetFile, { participant, path: 'cids/files/', body }, read, options);
}

function getCidSetFile(caller: Caller, request: Request<'getCidSetFile'>, options?: CallOptions): Promise<CidSetFile> {
  const { participant } = request;
  if (!/^[0-9]{1,38}$/.test(request.id))
    throw new TypeError(`id: "${request.id}" is not the Id of a CID set file (a whole number)`);
  const read = (answer: Fields): CidSetFile => {
    const file = readFile(answer);
    const fields = section(answer, 'CidSetFile');
    sameAs(fields, 'Id', file.id, request.id);
    sameAs(fields, 'Participant', file.participant, participant);
    return file;
  };
  const call = { participant, path: `cids/files/${request.id}`, headers: requestingParticipant(participant) };
  return caller.call(operations.getCidSetFile, call, read, options);
}

function readFile(answer: Fields): CidSetFile {
  const file = section(answer, 'CidSetFile');
  const status = token(file, 'Status');
  const read: CidSetFile = {
    ...stamp(answer),
    id: id(file, 'Id'),
    status,
    participant: token(file, 'Participant'),
    keyType: token(file, 'KeyType'),
    requestTime: time(file, 'RequestTime'),
    creationTime: timeOrNull(file, 'CreationTime'),
    url: verbatimOrNull(file, 'Url')?.trim() ?? null,
    bytes: countOrNull(file, 'Bytes'),
    sha256: hex64OrNull(file, 'Sha256'),
  };
  if (status === 'AVAILABLE') {
    if (read.creationTime === null) throw invalidAnswer(file, 'CreationTime', 'is missing although the file is AVAILABLE');
    if (read.url === null) throw invalidAnswer(file, 'Url', 'is missing although the file is AVAILABLE');
    if (read.bytes === null) throw invalidAnswer(file, 'Bytes', 'is missing although the file is AVAILABLE');
    if (read.sha256 === null) throw invalidAnswer(file, 'Sha256', 'is missing although the file is AVAILABLE');
  }
  return read;
}

const EVENTS_LIMIT_MAX = 200;

function listCidSetEvents(caller: Caller, request: Request<'listCidSetEvents'>, options?: CallOptions): Promise<CidSetEventPage> {
  const { participant, keyType, startTime, endTime, limit } = request;
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= 1 && limit <= EVENTS_LIMIT_MAX)) {
    throw new TypeError(`limit: ${limit} is not a whole number from 1 to ${EVENTS_LIMIT_MAX}`);
  }
  const query = {
    Participant: participant,
    KeyType: keyType,
    ...(startTime === undefined ? {} : { StartTime: startTime.toISOString() }),
    ...(endTime === undefined ? {} : { EndTime: endTime.toISOString() }),
    ...(limit === undefined ? {} : { Limit: String(limit) }),
  };
  const read = (answer: Fields): CidSetEventPage => {
    sameAs(answer, 'Participant', token(answer, 'Participant'), participant);
    sameAs(answer, 'KeyType', token(answer, 'KeyType'), keyType);
    return readEventPage(answer);
  };
  return caller.call(operations.listCidSetEvents, { participant, path: 'cids/events', query }, read, options);
}

function readEventPage(answer: Fields): CidSetEventPage {
  const fields = sections(answer, 'CidSetEvents', 'CidSetEvent');
  const events = fields.map(
    (event): CidSetEvent => ({
      type: oneOf(event, 'Type', ['ADDED', 'REMOVED']),
      cid: hex64(event, 'Cid'),
      timestamp: time(event, 'Timestamp'),
    }),
  );
  for (const [index, event] of events.entries()) {
    const before = events[index - 1];
    const here = fields[index];
    // Paging goes by the last time of a page: out of order, events would be skipped unnoticed.
    if (before !== undefined && here !== undefined && event.timestamp < before.timestamp) {
      throw invalidAnswer(here, 'Timestamp', 'is earlier than the one before');
    }
  }
  const some = events.length > 0;
  return {
    ...stamp(answer),
    hasMoreElements: flag(answer, 'HasMoreElements'),
    // Without events there is nothing that these could verify; DICT may leave them out or send its present VSync.
    syncVerifierStart: some ? hex64(answer, 'SyncVerifierStart') : hex64OrNull(answer, 'SyncVerifierStart'),
    syncVerifierEnd: some ? hex64(answer, 'SyncVerifierEnd') : hex64OrNull(answer, 'SyncVerifierEnd'),
    events,
  };
}

async function getEntryByCid(caller: Caller, request: Request<'getEntryByCid'>, options?: CallOptions): Promise<EntryByCid> {
  const { participant } = request;
  const cid = checkedHex('cid', request.cid);
  const read = (answer: Fields): EntryByCid => {
    sameAs(answer, 'Cid', hex64(answer, 'Cid'), cid);
    return { ...stamp(answer), found: true, cid, entry: readEntry(answer), requestId: readRequestId(answer) };
  };
  try {
    const call = { participant, path: `cids/entries/${cid}`, headers: requestingParticipant(participant) };
    return await caller.call(operations.getEntryByCid, call, read, options);
  } catch (error) {
    // Only DICT's own document says that no entry has this CID (rule R2): any other 404 never gets this kind (problem.ts).
    if (error instanceof DictError && error.kind === 'NotFound' && error.status === 404) {
      return { found: false, responseTime: caller.clock.now(), correlationId: error.correlationId ?? '' };
    }
    throw error;
  }
}

const UUID = /^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/;

function readRequestId(answer: Fields): string {
  const text = token(answer, 'RequestId');
  if (!UUID.test(text)) throw invalidAnswer(answer, 'RequestId', 'is not a UUID');
  return text.toLowerCase();
}

function checkedHex(name: string, text: string): string {
  if (!/^[0-9a-fA-F]{64}$/.test(text)) throw new TypeError(`${name}: "${text}" is not 64 hex digits`);
  return text.toLowerCase();
}
