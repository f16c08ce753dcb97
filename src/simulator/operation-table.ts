/** Which method and path is which operation, which bucket it draws from, and who asks where no header says so. */

import type { XmlElement } from '../platform/xml.ts';
import { type Call, type Parts, type Reply, textAt } from './call.ts';
import { completeClaim, confirmClaim } from './claim-operations.ts';
import { GET_KEYS_PATH, getKeys } from './entry-list-operation.ts';
import { createEntry, deleteEntry, getEntry, updateEntry } from './entry-operations.ts';
import type { Operation } from './operation.ts';
import { getPolicy, listPolicies } from './policy-operations.ts';
import {
  createCidSetFile,
  createSyncVerification,
  getCidSetFile,
  getEntryByCid,
  listCidSetEvents,
} from './reconciliation-operations.ts';
import type { PolicyName } from './token-bucket.ts';

export interface OperationRow {
  readonly operation: Operation;
  readonly method: 'GET' | 'POST' | 'PUT';
  /** Below /api/v2; the group is the call's argument. */
  readonly path: RegExp;
  /** Null: the operation has no limit. */
  readonly policy: PolicyName | null;
  /** Where a request with a body names its participant. */
  readonly participantPath: readonly string[];
  readonly run: (parts: Parts, call: Call) => Reply;
}

function row(
  operation: Operation,
  method: OperationRow['method'],
  path: RegExp,
  policy: PolicyName | null,
  run: OperationRow['run'],
  participantPath: readonly string[] = [],
): OperationRow {
  return { operation, method, path, policy, participantPath, run };
}

const rows: readonly OperationRow[] = [
  row('createSyncVerification', 'POST', /^\/sync-verifications\/$/, 'SYNC_VERIFICATIONS_WRITE', createSyncVerification, [
    'SyncVerification',
    'Participant',
  ]),
  row('createCidSetFile', 'POST', /^\/cids\/files\/$/, 'CIDS_FILES_WRITE', createCidSetFile, ['Participant']),
  row('getCidSetFile', 'GET', /^\/cids\/files\/([^/]+)$/, 'CIDS_FILES_READ', getCidSetFile),
  row('listCidSetEvents', 'GET', /^\/cids\/events$/, 'CIDS_EVENTS_LIST', listCidSetEvents),
  row('getEntryByCid', 'GET', /^\/cids\/entries\/([^/]+)$/, 'CIDS_ENTRIES_READ', getEntryByCid),
  row('listPolicies', 'GET', /^\/policies\/$/, 'POLICIES_LIST', listPolicies),
  row('getPolicy', 'GET', /^\/policies\/([^/]+)$/, 'POLICIES_READ', getPolicy),
  row('createEntry', 'POST', /^\/entries\/$/, 'ENTRIES_WRITE', createEntry, ['Entry', 'Account', 'Participant']),
  row('updateEntry', 'PUT', /^\/entries\/([^/]+)$/, 'ENTRIES_UPDATE', updateEntry, ['Account', 'Participant']),
  row('deleteEntry', 'POST', /^\/entries\/([^/]+)\/delete$/, 'ENTRIES_WRITE', deleteEntry, ['Participant']),
  row('getEntry', 'GET', /^\/entries\/([^/]+)$/, 'ENTRIES_READ_PARTICIPANT_ANTISCAN', getEntry),
  row('confirmClaim', 'POST', /^\/claims\/([^/]+)\/confirm$/, 'CLAIMS_WRITE', confirmClaim, ['Participant']),
  row('completeClaim', 'POST', /^\/claims\/([^/]+)\/complete$/, 'CLAIMS_WRITE', completeClaim, ['Participant']),
];

/** Beside the API: the payload of its SOAP envelope is the document. */
const getKeysRow = row('getKeys', 'POST', new RegExp(`^${GET_KEYS_PATH}$`), null, getKeys, ['ISPB']);

/** The operation over SOAP at that method and path. */
export function soapOperationAt(method: string, path: string): OperationRow | null {
  return method === getKeysRow.method && getKeysRow.path.test(path) ? getKeysRow : null;
}

/** The operation of a method and path below /api/v2, with the path's argument as text. */
export function operationAt(method: string, path: string): { readonly row: OperationRow; readonly argument: string } | null {
  for (const candidate of rows) {
    const match = candidate.method === method ? candidate.path.exec(path) : null;
    if (match !== null) return { row: candidate, argument: decoded(match[1] ?? '') };
  }
  return null;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Who asks, as far as it can be told before the operation looks: buckets belong to the requesting participant. */
export function requesterIn(
  row: OperationRow,
  headers: Readonly<Record<string, string | undefined>>,
  query: URLSearchParams,
  document: XmlElement | null,
): string | null {
  const named = headers['pi-requestingparticipant'];
  if (named !== undefined) return named;
  return document === null ? query.get('Participant') : textAt(document, ...row.participantPath);
}
