/**
 * The operation `GetKeys` of INT-003: entries of a participant by pages, over SOAP, which API v2 of DICT does not have. Pages are cut anew
 * from the living set at every call, in the order in which entries came or last changed: while others write, a page may repeat
 * entries of the one before it or pass some over. No entry comes with its RequestId.
 */

import { element } from '../platform/xml.ts';
import { type Call, documentOf, matching, type Parts, participantOf, type Reply, textAt } from './call.ts';
import type { EntryRecord } from './directory.ts';
import { entryXml } from './entry-xml.ts';
import { Problem } from './problem.ts';

/** Where it is answered, beside the API and not below it. */
export const GET_KEYS_PATH = '/api/v1/dict/entries/list';

const PAGE_SIZE_MAX = 1_000;
const DATE_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;

/** GetKeys: one page, how many entries there are in all, and whether another page follows. */
export function getKeys(parts: Parts, call: Call): Reply {
  const body = documentOf(call, 'GetKeysRequest');
  const participant = participantOf(parts, textAt(body, 'ISPB'), 'ispb');
  matching(textAt(body, 'Status'), /^ACTIVE$/, 'status');
  const page = Number(matching(textAt(body, 'Page'), /^[1-9][0-9]{0,8}$/, 'page'));
  const pageSize = pageSizeOf(textAt(body, 'PageSize'));
  const sinceMs = sinceOf(textAt(body, 'UpdatedSince'));
  const first = (page - 1) * pageSize;
  const onPage: EntryRecord[] = [];
  let total = 0;
  for (const entry of entriesOf(parts, participant)) {
    if (sinceMs !== null && entry.updatedMs < sinceMs) continue;
    if (total >= first && total < first + pageSize) onPage.push(entry);
    total += 1;
  }
  return {
    status: 200,
    name: 'GetKeysResponse',
    children: [
      element('Keys', onPage.map(entryXml)),
      element('TotalCount', String(total)),
      element('HasNextPage', String(first + pageSize < total)),
    ],
  };
}

function* entriesOf(parts: Parts, participant: string): Generator<EntryRecord> {
  for (const scope of parts.directory.scopes()) if (scope.participant === participant) yield* scope.byCid.values();
}

function pageSizeOf(value: string | null): number {
  const pageSize = Number(matching(value, /^[1-9][0-9]{0,8}$/, 'pageSize'));
  if (pageSize <= PAGE_SIZE_MAX) return pageSize;
  throw new Problem('BadRequest', 'Invalid pageSize', [
    { reason: `Value is more than ${PAGE_SIZE_MAX}`, value: String(pageSize), property: 'pageSize' },
  ]);
}

function sinceOf(value: string | null): number | null {
  return value === null ? null : Date.parse(matching(value, DATE_TIME, 'updatedSince'));
}
