/**
 * Asking DICT for a CID set file and waiting for it. A file costs one of 40 tokens a day, so the intent is committed before DICT
 * is asked: a process that dies in between costs at most that one file, and it is counted. After that the run keeps its Id.
 */

import type { CidSetFile } from '../dict/api.ts';
import { DictError } from '../dict/errors.ts';
import { appendAudit, systemActor } from '../ledger/audit.ts';
import { inState, type OpenRun, type StepInput, sleepNext } from './claiming.ts';
import { finish } from './ending.ts';
import { go, type Next, type ReconcileDeps } from './reconciliation.ts';
import { fenceRun, type RunChange, updateRun } from './run-store.ts';

/** State `generating`: asks for a file, or looks whether the one asked for is available. */
export async function requestCidSetFile(deps: ReconcileDeps, input: StepInput): Promise<Next> {
  return inState(deps, input, ['generating'], (run) =>
    run.fileId === null ? request(deps, input, run) : look(deps, input, run, run.fileId),
  );
}

async function request(deps: ReconcileDeps, input: StepInput, run: OpenRun): Promise<Next> {
  const { dict, settings } = deps;
  const lost = run.fileIntentAt !== null;
  if (run.filesRequested >= settings.fileFailuresMax) {
    const ending = `no CID set file after ${run.filesRequested} requests (${run.filesLost + (lost ? 1 : 0)} lost)`;
    return finish(deps, input, { state: 'failed', reason: ending });
  }
  const intentAt = deps.clock.now();
  const intent = { fileIntentAt: intentAt, filesRequested: run.filesRequested + 1, filesLost: run.filesLost + (lost ? 1 : 0) };
  await change(deps, input, { ...intent, filePolls: 0 }, lost ? 'CID_SET_FILE_LOST' : null);
  let file: CidSetFile;
  try {
    file = await dict.createCidSetFile({ participant: run.participant, keyType: run.keyType });
  } catch (cause) {
    // DICT has refused in so many words: no file was begun. Anything else may have begun one.
    if (cause instanceof DictError && cause.status >= 400 && cause.status < 500) {
      await change(deps, input, { fileIntentAt: null, filesRequested: run.filesRequested, filesLost: intent.filesLost }, null);
    }
    throw cause;
  }
  const foreign = foreignTo(run, file);
  if (foreign !== null) return finish(deps, input, { state: 'failed', reason: foreign, evidence: { file_id: file.id } });
  await change(deps, input, { fileId: file.id, fileRequestTime: file.requestTime }, 'CID_SET_FILE_REQUESTED');
  return sleepNext(deps, 'generating', run.rung, pollWaitMs(deps, 0));
}

async function look(deps: ReconcileDeps, input: StepInput, run: OpenRun, fileId: string): Promise<Next> {
  const { dict, clock, settings } = deps;
  const file = await dict.getCidSetFile({ participant: run.participant, id: fileId });
  const foreign = file.id === fileId ? foreignTo(run, file) : `DICT answered about file ${file.id}, asked about ${fileId}`;
  if (foreign !== null) return finish(deps, input, { state: 'failed', reason: foreign, evidence: { file_id: fileId } });
  const { url, bytes, sha256, creationTime } = file;
  if (file.status === 'AVAILABLE' && url !== null && bytes !== null && sha256 !== null && creationTime !== null) {
    await change(
      deps,
      input,
      {
        state: 'downloading',
        fileUrl: url,
        fileBytes: bytes,
        fileSha256: Buffer.from(sha256, 'hex'),
        fileCreationTime: creationTime,
      },
      null,
    );
    return go('downloading', run.rung);
  }
  if (file.status === 'ERROR' || file.status === 'UNAVAILABLE') {
    await change(deps, input, { fileId: null, fileIntentAt: null, fileFailures: run.fileFailures + 1 }, 'CID_SET_FILE_FAILED');
    return sleepNext(deps, 'generating', run.rung, pollWaitMs(deps, run.fileFailures));
  }
  const waitedMs = clock.now().getTime() - (run.fileIntentAt ?? run.startedAt).getTime();
  if (waitedMs >= settings.fileGenerationLimitMs) {
    const reason = `CID set file ${fileId} was still ${file.status} after ${Math.round(waitedMs / 1000)} s`;
    return finish(deps, input, { state: 'failed', reason, evidence: { file_id: fileId } });
  }
  await change(deps, input, { filePolls: run.filePolls + 1 }, null);
  return sleepNext(deps, 'generating', run.rung, pollWaitMs(deps, run.filePolls + 1));
}

function pollWaitMs(deps: ReconcileDeps, polls: number): number {
  const waits = deps.settings.filePollsMs;
  return waits[Math.min(polls, waits.length - 1)] ?? deps.settings.leaseMs;
}

function foreignTo(run: OpenRun, file: CidSetFile): string | null {
  if (file.participant === run.participant && file.keyType === run.keyType) return null;
  return `foreign: CID set file ${file.id} is of ${file.participant} ${file.keyType}, not of ${run.participant} ${run.keyType}`;
}

async function change(deps: ReconcileDeps, input: StepInput, next: RunChange, action: string | null): Promise<void> {
  await deps.database.transaction(async (tx) => {
    const now = deps.clock.now();
    const run = await fenceRun(tx, input.runId, input.token);
    await updateRun(tx, run.id, next, now);
    if (action === null) return;
    await appendAudit(tx, [
      {
        participant: run.participant,
        keyType: run.keyType,
        occurredAt: now,
        actor: systemActor,
        kind: 'reconciliation',
        action,
        outcome: action === 'CID_SET_FILE_REQUESTED' ? 'success' : 'failure',
        details: { file_id: next.fileId ?? run.fileId },
        correlationId: run.id,
      },
    ]);
  });
}
