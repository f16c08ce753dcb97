/**
 * Fetching the CID set file to this machine: streamed to disk, encrypted, while it is hashed, counted and read line by line, and put in
 * place only when all of it is right (rule R14). A process that was killed over it is followed by one that goes on with what is proven
 * of it; one that finds no file where one should be downloads the same Id again.
 */

import { createHash } from 'node:crypto';
import { DictError } from '../dict/errors.ts';
import { appendAudit, systemActor } from '../ledger/audit.ts';
import { assert } from '../platform/assert.ts';
import { combineLines } from '../vsync/cid-lines.ts';
import { asVSync, type VSync } from '../vsync/vsync.ts';
import { readVSync } from '../vsync/vsync-store.ts';
import { FileRefused, refuseLine } from './cid-set-file.ts';
import { inState, type OpenRun, paced, type StepInput, sleepNext } from './claiming.ts';
import { finish } from './ending.ts';
import { go, type Next, type ReconcileDeps } from './reconciliation.ts';
import { fenceRun, updateRun } from './run-store.ts';
import { beginFile, type NewFile, removeFiles, removeForsaken, sealOf } from './stored-file.ts';

/** Bytes of one line: 64 digits and the line feed. */
const lineBytes = 65;
const retryWaitMs = 5_000;
/** Refusals that another transfer may mend. */
const ofTransfer: ReadonlySet<string> = new Set(['truncated', 'digest', 'changed']);

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
      if (cause instanceof DictError && cause.kind === 'FileChanged') {
        await removeFiles(deps, run.id);
        return refused(deps, input, run, new FileRefused('changed', cause.message));
      }
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
  await removeForsaken(deps);
  const file = await beginFile(deps, run.id, await sealOf(deps, input, run, fileSha256));
  try {
    const content = await stream(deps, input, { url: fileUrl, bytes: fileBytes, sha256: fileSha256 }, file);
    await file.place();
    return content;
  } catch (cause) {
    // What is wrong is of no use to the next try; what merely ended early is.
    if (cause instanceof FileRefused) await file.remove();
    throw cause;
  } finally {
    await file.close();
  }
}

interface AnnouncedFile {
  readonly url: string;
  readonly bytes: number;
  readonly sha256: Buffer;
}

async function stream(deps: ReconcileDeps, input: StepInput, announced: AnnouncedFile, file: NewFile): Promise<FileContent> {
  const hash = createHash('sha256');
  const reader = combineLines(refuseLine);
  const onProgress = paced(deps, input);
  let bytes = 0;
  // A line that is not one may be what a cut transfer left behind: length and digest are judged first.
  let malformed: FileRefused | null = null;
  const take = async (chunk: Uint8Array): Promise<void> => {
    bytes += chunk.length;
    hash.update(chunk);
    malformed ??= attempt(() => reader.read(chunk));
    await file.append(chunk);
    await onProgress();
  };
  for (const chunk of file.kept()) await take(chunk);
  await file.forgetKept();
  if (bytes > 0) deps.log.info({ runId: input.runId, bytes, of: announced.bytes }, 'the download goes on where it was');
  if (bytes < announced.bytes) {
    const rest = { url: announced.url, bytesMax: announced.bytes + 1, from: bytes };
    for await (const chunk of deps.dict.downloadCidSetFile(rest)) await take(chunk);
  }
  if (bytes < announced.bytes) throw new FileRefused('truncated', `${bytes} of ${announced.bytes} bytes`);
  if (bytes > announced.bytes) throw new FileRefused('too-large', `more than the ${announced.bytes} bytes that DICT announced`);
  const digest = hash.digest();
  if (!digest.equals(announced.sha256)) {
    throw new FileRefused('digest', `SHA-256 is ${digest.toString('hex')}, DICT announced ${announced.sha256.toString('hex')}`);
  }
  if (malformed !== null) throw malformed;
  return { lines: reader.end(), vsync: asVSync(Buffer.from(reader.vsync)) };
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
  if (!ofTransfer.has(refusal.kind) || run.fileFailures + 1 >= deps.settings.fileFailuresMax)
    return refuseFile(deps, input, run, refusal);
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
