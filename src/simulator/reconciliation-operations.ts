/** The operations of the contract's section Reconciliation: verifications, the event log, CID set files, entries by CID. */

import { element, type XmlSource } from '../platform/xml.ts';
import {
  type Call,
  documentOf,
  filesUrlFor,
  foreignProblem,
  hexAs,
  isoOf,
  keyTypeOf,
  matching,
  type Parts,
  participantOf,
  type Reply,
  requesterOf,
  textAt,
} from './call.ts';
import type { CidSetFileState } from './cid-set-file.ts';
import type { DirectoryScope } from './directory.ts';
import { entryXml } from './entry-xml.ts';
import type { LogEvent } from './event-log.ts';
import { Problem } from './problem.ts';

const HEX_32 = /^[0-9a-fA-F]{64}$/;

/** POST /sync-verifications/ */
export function createSyncVerification(parts: Parts, call: Call): Reply {
  const body = documentOf(call, 'CreateSyncVerificationRequest');
  const participant = participantOf(parts, textAt(body, 'SyncVerification', 'Participant'), 'syncVerification.participant');
  const keyType = keyTypeOf(textAt(body, 'SyncVerification', 'KeyType'), 'syncVerification.keyType');
  const verifier = matching(
    textAt(body, 'SyncVerification', 'ParticipantSyncVerifier'),
    HEX_32,
    'syncVerification.participantSyncVerifier',
  );
  const equal = parts.directory.vsync(parts.directory.scope(participant, keyType)) === verifier.toLowerCase();
  const verification = [
    element('Participant', participant),
    element('KeyType', keyType),
    element('ParticipantSyncVerifier', verifier),
    element('Id', parts.nextId()),
    element('Result', equal ? 'OK' : 'NOK'),
  ];
  return {
    status: 201,
    name: 'CreateSyncVerificationResponse',
    children: [element('SyncVerification', verification)],
    stampsLast: parts.settings.readings.elementOrder === 'schema',
  };
}

/** POST /cids/files/ */
export function createCidSetFile(parts: Parts, call: Call): Reply {
  const body = documentOf(call, 'CreateCidSetFileRequest');
  const participant = participantOf(parts, textAt(body, 'Participant'), 'participant');
  const keyType = keyTypeOf(textAt(body, 'KeyType'), 'keyType');
  const file = parts.files.request(participant, keyType, call.nowMs);
  return { status: 201, name: 'CreateCidSetFileResponse', children: [fileXml(parts, call, file)] };
}

/** GET /cids/files/{Id} */
export function getCidSetFile(parts: Parts, call: Call): Reply {
  const requester = requesterOf(parts, call);
  const id = matching(call.argument, /^[0-9]{1,19}$/, 'Id');
  const file = parts.files.find(id, call.nowMs);
  const missing = 'CidSetFile with given id does not exist';
  if (file === undefined) throw new Problem('NotFound', missing);
  if (file.participant !== requester) throw foreignProblem(parts, missing);
  return { status: 200, name: 'GetCidSetFileResponse', children: [fileXml(parts, call, file)] };
}

function fileXml(parts: Parts, call: Call, file: CidSetFileState): XmlSource {
  return element('CidSetFile', [
    element('Id', file.id),
    element('Status', file.status),
    element('Participant', file.participant),
    element('KeyType', file.keyType),
    element('RequestTime', isoOf(file.requestMs)),
    file.creationMs === null ? null : element('CreationTime', isoOf(file.creationMs)),
    file.name === null ? null : element('Url', `${filesUrlFor(parts, call)}/${file.participant}/${file.name}`),
    file.bytes === null ? null : element('Bytes', String(file.bytes)),
    file.sha256 === null ? null : element('Sha256', hexAs(parts, file.sha256)),
  ]);
}

const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 200;

/** GET /cids/events */
export function listCidSetEvents(parts: Parts, call: Call): Reply {
  const participant = participantOf(parts, call.query.get('Participant'), 'Participant');
  const keyType = keyTypeOf(call.query.get('KeyType'), 'KeyType');
  const startMs = timeOf(call.query.get('StartTime'), 'StartTime');
  const endMs = timeOf(call.query.get('EndTime'), 'EndTime');
  const limit = limitOf(parts, call.query.get('Limit'));
  const scope = parts.directory.scope(participant, keyType);
  const visibleUntilMs = call.nowMs - parts.settings.logLagMs;
  const page = scope.log.page({ startMs, endMs, limit, visibleUntilMs, nowMs: call.nowMs });
  return {
    status: 200,
    name: 'ListCidSetEventsResponse',
    children: [
      element('HasMoreElements', String(page.hasMore)),
      element('Participant', participant),
      element('KeyType', keyType),
      ...bounds(parts, scope, page.events, startMs ?? call.nowMs, endMs ?? call.nowMs),
      element(
        'CidSetEvents',
        page.events.map((event) => eventXml(parts, event)),
      ),
    ],
  };
}

/** Times of the first and last event, and the VSync after each of the two. */
function bounds(parts: Parts, scope: DirectoryScope, events: readonly LogEvent[], startMs: number, endMs: number): XmlSource[] {
  const current = parts.directory.vsync(scope);
  const first = events[0] ?? { atMs: startMs, vsync: current };
  const last = events.at(-1) ?? { atMs: endMs, vsync: current };
  if (events.length === 0 && parts.settings.readings.emptyEventList === 'absent') return [];
  return [
    element('StartTime', isoOf(first.atMs)),
    element('EndTime', isoOf(last.atMs)),
    element('SyncVerifierStart', hexAs(parts, first.vsync)),
    element('SyncVerifierEnd', hexAs(parts, last.vsync)),
  ];
}

function eventXml(parts: Parts, event: LogEvent): XmlSource {
  return element('CidSetEvent', [
    element('Type', event.type),
    element('Cid', hexAs(parts, event.cid)),
    element('Timestamp', isoOf(event.atMs)),
  ]);
}

const DATE_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;

function timeOf(value: string | null, property: string): number | null {
  if (value === null) return null;
  const ms = Date.parse(matching(value, DATE_TIME, property));
  if (!Number.isNaN(ms)) return ms;
  throw new Problem('BadRequest', `Invalid ${property}`, [{ reason: 'Value is not a date-time', value, property }]);
}

function limitOf(parts: Parts, value: string | null): number {
  if (value === null) return LIMIT_DEFAULT;
  const limit = Number(matching(value, /^[1-9][0-9]{0,8}$/, 'Limit'));
  if (limit <= LIMIT_MAX) return limit;
  if (parts.settings.readings.limitOver200 === 'clamped') return LIMIT_MAX;
  throw new Problem('BadRequest', 'Invalid Limit', [{ reason: `Value is more than ${LIMIT_MAX}`, value, property: 'Limit' }]);
}

/** GET /cids/entries/{Cid}: active entries only. */
export function getEntryByCid(parts: Parts, call: Call): Reply {
  const requester = requesterOf(parts, call);
  const cid = matching(call.argument, HEX_32, 'Cid').toLowerCase();
  const entry = parts.directory.byCid(cid);
  const missing = 'Entry associated with given cid does not exist';
  if (entry === undefined) throw new Problem('NotFound', missing);
  if (entry.participant !== requester) throw foreignProblem(parts, missing);
  if (entry.blocked) throw new Problem('EntryBlocked', 'Entry is blocked by court order and cannot be queried');
  return {
    status: 200,
    name: 'GetEntryByCidResponse',
    children: [element('Cid', hexAs(parts, cid)), entryXml(entry), element('RequestId', entry.requestId)],
  };
}
