/**
 * Values that always provoke a fault, for whoever develops a client or a screen against the simulator and has no access to its control
 * interface. They are reserved: no participant has such an ISPB, and no hash comes out as such a CID.
 *
 * - participant `99997CCC`: every call of that participant meets the fault with the code CCC of the catalogue (fault.ts);
 * - CID of 61 zeros and CCC: every read of that CID;
 * - key `00000000-0000-4000-8000-000000000CCC` (EVP) or `fault-CCC@example.com` (e-mail): every call about that key;
 * - participant `99998NNN`: every CID set file of that participant comes out in the form numbered NNN of FILE_VARIANTS,
 *   from 000 (file-variant.ts).
 */

import { participant } from '../dict/participant.ts';
import { sampleEntries } from '../dict/sample-entries.ts';
import { element, writeXml } from '../platform/xml.ts';
import { attributesOf } from './active-entry.ts';
import type { Behaviour, OperationCall } from './behaviour.ts';
import { isoOf } from './call.ts';
import { entryRecord } from './directory.ts';
import { entryXml } from './entry-xml.ts';
import { type CatalogueEntry, FAULT_CATALOGUE, type Fault, fits } from './fault.ts';

const PARTICIPANT = /^99997([0-9]{3})$/;
const CID = /^0{61}([0-9]{3})$/;
const KEY = /^(?:00000000-0000-4000-8000-000000000([0-9]{3})|fault-([0-9]{3})@example\.com)$/;

const byCode: ReadonlyMap<string, CatalogueEntry> = new Map(FAULT_CATALOGUE.map((entry) => [entry.code, entry]));

/** The behaviour of a DICT that knows these values. */
export function sentinels(nowMs: () => number): Behaviour {
  const fault = (call: OperationCall, when: 'before' | 'after'): Fault | null => {
    const entry = sentinelOf(call);
    if (entry === null || (entry.when ?? 'before') !== when || !fits(entry, call.operation)) return null;
    // No entry has a sentinel CID, so one that does not hash to it has to be made up.
    const invented = entry.name === 'wrong-attributes' && call.cid !== null && CID.test(call.cid);
    return invented ? foreignEntry(call, nowMs()) : entry.fault;
  };
  return { before: (call) => fault(call, 'before'), after: (call) => fault(call, 'after') };
}

function sentinelOf(call: OperationCall): CatalogueEntry | null {
  const key = KEY.exec(call.key ?? '');
  const code = key?.[1] ?? key?.[2] ?? CID.exec(call.cid ?? '')?.[1] ?? PARTICIPANT.exec(call.participant ?? '')?.[1];
  return code === undefined ? null : (byCode.get(code) ?? null);
}

function foreignEntry(call: OperationCall, nowMs: number): Fault {
  const ispb = participant(call.participant ?? '00000000');
  const [sample] = sampleEntries({ seed: 'sentinel', participant: ispb, keyType: 'EVP', count: 1 });
  if (sample === undefined) throw new TypeError('simulator: no sample entry');
  const record = entryRecord(attributesOf(sample.entry), { requestId: sample.requestId, createdMs: nowMs, ownedSinceMs: nowMs });
  const body = element('GetEntryByCidResponse', [
    element('ResponseTime', isoOf(nowMs)),
    element('CorrelationId', '0'.repeat(32)),
    element('Cid', call.cid ?? ''),
    entryXml(record),
    element('RequestId', sample.requestId),
  ]);
  return { answer: { status: 200, headers: { 'Content-Type': 'application/xml; charset=UTF-8' }, body: writeXml(body) } };
}
