/**
 * Fetching the CID set file to this machine: streamed to disk while it is hashed, counted and read line by line, and put in place
 * only when all of it is right (rule R14). A process that finds no file where one should be downloads the same Id again.
 */

import { createHash } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { DictError } from '../dict/errors.ts';
import { appendAudit, systemActor } from '../ledger/audit.ts';
import { assert } from '../platform/assert.ts';
import { vsyncOfBuckets } from '../vsync/buckets.ts';
import { foldLines } from '../vsync/cid-lines.ts';
import type { VSync } from '../vsync/vsync.ts';
import { readVSync } from '../vsync/vsync-store.ts';
import { FileRefused, refuseLine } from './cid-set-file.ts';
import { heartbeat, inState, type OpenRun, type StepInput, sleepNext } from './claiming.ts';
import { filePath, finish } from './ending.ts';
import { go, type Next, type ReconcileDeps } from './reconciliation.ts';
import { fenceRun, updateRun } from './run-store.ts';

/** Bytes of one line: 64 digits and the line feed. */
const lineBytes = 65;
const retryWaitMs = 5_000;

/** What the digest, the length and the lines of a file came to. */
interface FileContent {
  readonly lines: number;
  readonly vsync: VSync;
}

/** State `downloading`. */
export async function downloadCidSetFile(deps: ReconcileDeps, input: StepInput): Promise<Next> {
  return inState(deps, input, ['downloading'], async (run) => {
    try {
      const content = await download(deps, input, run);
      await refuseEmpty(deps, run, content);
      await deps.database.transaction(async (tx) => {
        const now = deps.clock.now();
        await fenceRun(tx, run.id, input.token);
        await updateRun(tx, run.id, { state: 'comparing', fileLines: content.lines, fileVsync: content.vsync }, now);
        await appendAudit(tx, [
          {
            participant: run.participant,
            keyType: run.keyType,
            occurredAt: now,
            actor: systemActor,
            kind: 'access',
            action: 'CID_SET_FILE_READ',
            outcome: 'success',
            details: { file_id: run.fileId, cids: content.lines, sha256: run.fileSha256?.toString('hex') },
            correlationId: run.id,
          },
        ]);
      });
      return go('comparing', run.rung);
    } catch (cause) {
      if (cause instanceof FileRefused) return refused(deps, input, run, cause);
      if (cause instanceof DictError && cause.status === 404) return notYetThere(deps, input, run);
      throw cause;
    }
  });
}

async function download(deps: ReconcileDeps, input: StepInput, run: OpenRun): Promise<FileContent> {
  const { fileUrl, fileBytes, fileSha256 } = run;
  assert(fileUrl !== null && fileBytes !== null && fileSha256 !== null, `run ${run.id} downloads a file that DICT has not named`);
  if (fileBytes > deps.settings.fileBytesMax) {
    throw new FileRefused('too-large', `${fileBytes} bytes, at most ${deps.settings.fileBytesMax} are read`);
  }
  await mkdir(deps.workDirectory, { recursive: true, mode: 0o700 });
  const target = filePath(deps, run.id);
  const part = `${target}.${input.token}.part`;
  try {
    const content = await stream(deps, input, { url: fileUrl, bytes: fileBytes, sha256: fileSha256, part });
    await rename(part, target);
    return content;
  } finally {
    await rm(part, { force: true });
  }
}

async function stream(
  deps: ReconcileDeps,
  input: StepInput,
  file: { readonly url: string; readonly bytes: number; readonly sha256: Buffer; readonly part: string },
): Promise<FileContent> {
  const hash = createHash('sha256');
  const reader = foldLines(refuseLine);
  const handle = await open(file.part, 'w', 0o600);
  let bytes = 0;
  let beatAt = deps.clock.now().getTime();
  // A line that is not one may be what a cut transfer left behind: length and digest are judged first.
  let malformed: FileRefused | null = null;
  try {
    for await (const chunk of deps.dict.downloadCidSetFile({ url: file.url, bytesMax: file.bytes + 1 })) {
      bytes += chunk.length;
      hash.update(chunk);
      malformed ??= attempt(() => reader.read(chunk));
      await handle.write(chunk);
      const nowMs = deps.clock.now().getTime();
      if (nowMs - beatAt > deps.settings.leaseMs / 4) {
        await heartbeat(deps, input);
        beatAt = nowMs;
      }
    }
  } finally {
    await handle.close();
  }
  if (bytes < file.bytes) throw new FileRefused('truncated', `${bytes} of ${file.bytes} bytes`);
  if (bytes > file.bytes) throw new FileRefused('too-large', `more than the ${file.bytes} bytes that DICT announced`);
  const digest = hash.digest();
  if (!digest.equals(file.sha256)) {
    throw new FileRefused('digest', `SHA-256 is ${digest.toString('hex')}, DICT announced ${file.sha256.toString('hex')}`);
  }
  if (malformed !== null) throw malformed;
  return { lines: reader.end(), vsync: vsyncOfBuckets(reader.buckets) };
}

function attempt(read: () => void): FileRefused | null {
  try {
    read();
    return null;
  } catch (cause) {
    if (cause instanceof FileRefused) return cause;
    throw cause;
  }
}

/** DICT has been seen to announce empty files: one is believed only by a base that is empty too. */
async function refuseEmpty(deps: ReconcileDeps, run: OpenRun, content: FileContent): Promise<void> {
  if (content.lines > 0) return;
  const { keys } = await readVSync(deps.database, run);
  if (keys > 0) throw new FileRefused('empty', `no line, where the base has ${keys} keys`);
}

/** A transfer that went wrong is tried again; content that is wrong ends the run. */
async function refused(deps: ReconcileDeps, input: StepInput, run: OpenRun, refusal: FileRefused): Promise<Next> {
  const ofTransfer = refusal.kind === 'truncated' || refusal.kind === 'digest';
  if (!ofTransfer || run.fileFailures + 1 >= deps.settings.fileFailuresMax) return refuseFile(deps, input, run, refusal);
  await deps.database.transaction(async (tx) => {
    await fenceRun(tx, run.id, input.token);
    await updateRun(tx, run.id, { fileFailures: run.fileFailures + 1 }, deps.clock.now());
  });
  return sleepNext(deps, 'downloading', run.rung, retryWaitMs);
}

/** Ends the run over its file (rule R14): nothing has been changed. */
export async function refuseFile(deps: ReconcileDeps, input: StepInput, run: OpenRun, refusal: FileRefused): Promise<Next> {
  return finish(deps, input, {
    state: 'failed',
    reason: `file refused: ${refusal.message}`,
    evidence: {
      refused: refusal.kind,
      file_id: run.fileId,
      file_sha256: run.fileSha256?.toString('hex') ?? null,
      file_bytes: run.fileBytes,
      file_lines_announced: run.fileBytes === null ? null : Math.floor(run.fileBytes / lineBytes),
      file_request_time: run.fileRequestTime,
      file_creation_time: run.fileCreationTime,
    },
  });
}

/** AVAILABLE and still 404: it may take DICT a while; not longer than generating may. */
async function notYetThere(deps: ReconcileDeps, input: StepInput, run: OpenRun): Promise<Next> {
  const waitedMs = deps.clock.now().getTime() - (run.fileIntentAt ?? run.startedAt).getTime();
  if (waitedMs < deps.settings.fileGenerationLimitMs) return sleepNext(deps, 'downloading', run.rung, retryWaitMs);
  return finish(deps, input, {
    state: 'failed',
    reason: `CID set file ${run.fileId} is AVAILABLE by DICT's word, and was not found for ${Math.round(waitedMs / 1000)} s`,
    evidence: { file_id: run.fileId },
  });
}
