/**
 * DICT as the product asks it, with every call written down: what a participant keeps as evidence of a test, and what the Central
 * Bank finds in its own records by the correlation id. Changes nothing of what passes through.
 */

import type { DictApi, Stamp } from '../../dict/api.ts';
import { DictError } from '../../dict/errors.ts';
import type { Clock } from '../../platform/clock.ts';

export interface RecordedCall {
  /** When the answer was there, on our clock. */
  readonly at: Date;
  readonly operation: keyof DictApi;
  readonly correlationId: string;
  /** What was asked and answered, without personal data. */
  readonly says: string;
}

export interface RecordedDict extends DictApi {
  /** In the order of their answers. */
  readonly calls: readonly RecordedCall[];
}

/** Passes everything on, and keeps what each answer said. */
export function recordedDict(dict: DictApi, clock: Clock, onCall: (call: RecordedCall) => void): RecordedDict {
  const calls: RecordedCall[] = [];

  function write(operation: keyof DictApi, correlationId: string, says: string): void {
    const call = { at: clock.now(), operation, correlationId, says };
    calls.push(call);
    onCall(call);
  }

  async function recorded<Answer extends Stamp>(
    operation: keyof DictApi,
    asked: Promise<Answer>,
    says: (answer: Answer) => string,
  ): Promise<Answer> {
    try {
      const answer = await asked;
      write(operation, answer.correlationId, says(answer));
      return answer;
    } catch (cause) {
      if (cause instanceof DictError) write(operation, cause.correlationId ?? '', `${cause.kind} (HTTP ${cause.status})`);
      throw cause;
    }
  }

  return {
    calls,
    createSyncVerification: (request, options) =>
      recorded(
        'createSyncVerification',
        dict.createSyncVerification(request, options),
        ({ id, result }) => `VSync ${request.participantSyncVerifier} of ${request.keyType}: ${result} (verification ${id})`,
      ),
    createCidSetFile: (request, options) =>
      recorded('createCidSetFile', dict.createCidSetFile(request, options), ({ id, status }) => `file ${id}: ${status}`),
    getCidSetFile: (request, options) =>
      recorded('getCidSetFile', dict.getCidSetFile(request, options), ({ id, status, bytes, sha256 }) =>
        bytes === null ? `file ${id}: ${status}` : `file ${id}: ${status}, ${bytes} bytes, SHA-256 ${sha256}`,
      ),
    downloadCidSetFile: (request, options) => dict.downloadCidSetFile(request, options),
    listCidSetEvents: (request, options) =>
      recorded('listCidSetEvents', dict.listCidSetEvents(request, options), ({ events }) => `${events.length} events`),
    getEntryByCid: (request, options) =>
      recorded('getEntryByCid', dict.getEntryByCid(request, options), ({ found }) =>
        found ? 'an active entry has that CID' : 'no active entry has that CID',
      ),
    getPolicy: (request, options) => dict.getPolicy(request, options),
    listPolicies: (request, options) => dict.listPolicies(request, options),
  };
}
