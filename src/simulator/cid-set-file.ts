/**
 * CID set files: asked for, generated after a while, showing the CIDs of one instant in between, served until too many newer
 * ones exist. Nothing runs in the background: a file's status follows from the clock, and its content is taken when its instant
 * has come, just before the first change after it or when somebody asks.
 */

import { createHash } from 'node:crypto';
import type { KeyType } from '../dict/key-type.ts';
import type { Directory } from './directory.ts';
import { type FileVariant, type Lines, linesOf, sentinelVariant, wireLines } from './file-variant.ts';
import type { FileGeneration } from './options.ts';
import { type Random, seededRandom, shuffle } from './random.ts';

export type FileStatus = 'REQUESTED' | 'PROCESSING' | 'AVAILABLE' | 'UNAVAILABLE' | 'ERROR';

/** A file's state at one instant; the last four are null until it is available. */
export interface CidSetFileState {
  readonly id: string;
  readonly status: FileStatus;
  readonly participant: string;
  readonly keyType: KeyType;
  readonly requestMs: number;
  readonly creationMs: number | null;
  readonly name: string | null;
  readonly bytes: number | null;
  readonly sha256: string | null;
}

export interface CidSetFiles {
  request(participant: string, keyType: KeyType, nowMs: number): CidSetFileState;
  find(id: string, nowMs: number): CidSetFileState | undefined;
  /** The bytes to send for a file's name, or undefined where a download answers 404. */
  content(name: string, nowMs: number): Iterable<Uint8Array> | undefined;
  /** How many they are, and what tells this version of the file from others. */
  version(name: string, nowMs: number): { readonly bytes: number; readonly tag: string } | undefined;
  /** The next files asked for come out in this form. */
  plan(variant: FileVariant, times: number): void;
  /** Forgets what was planned for files that nobody has asked for yet. */
  unplan(): void;
}

interface Content {
  readonly lines: Lines;
  readonly bytes: number;
  readonly sha256: string;
}

interface Job {
  readonly id: string;
  readonly participant: string;
  readonly keyType: KeyType;
  readonly variant: FileVariant;
  readonly requestMs: number;
  readonly snapshotMs: number;
  readonly creationMs: number;
  readonly name: string;
  content: Content | null;
}

interface Settings {
  readonly file: FileGeneration;
  readonly seed: number;
  readonly upperCase: boolean;
  nextId(): string;
}

const JOBS_MAX = 10_000;
const LINES_PER_CHUNK = 2_048;

function newJob(settings: Settings, asked: { participant: string; keyType: KeyType; variant: FileVariant; nowMs: number }): Job {
  const { participant, keyType, variant, nowMs } = asked;
  const { requestedMs, processingMs, snapshotAt } = settings.file;
  const id = settings.nextId();
  return {
    id,
    participant,
    keyType,
    variant,
    requestMs: nowMs,
    snapshotMs: nowMs + Math.floor((requestedMs + processingMs) * snapshotAt),
    creationMs: nowMs + requestedMs + processingMs,
    name: `${participant}_${keyType}_${id}_${new Date(nowMs).toISOString().replaceAll(/[^0-9]/g, '')}.txt`,
    content: null,
  };
}

function statusOf(job: Job, requestedMs: number, nowMs: number): FileStatus {
  if (nowMs < job.requestMs + requestedMs) return 'REQUESTED';
  if (nowMs < job.creationMs || job.variant === 'never-ready') return 'PROCESSING';
  if (job.variant === 'error') return 'ERROR';
  return job.variant === 'unavailable' || job.content === null ? 'UNAVAILABLE' : 'AVAILABLE';
}

function stateOf(job: Job, status: FileStatus): CidSetFileState {
  const { id, participant, keyType, requestMs } = job;
  const made = status === 'AVAILABLE' ? job.content : null;
  return {
    id,
    status,
    participant,
    keyType,
    requestMs,
    creationMs: made === null ? null : job.creationMs,
    name: made === null ? null : job.name,
    bytes: made?.bytes ?? null,
    sha256: made?.sha256 ?? null,
  };
}

/** The files of one simulator. */
export function cidSetFiles(directory: Directory, settings: Settings): CidSetFiles {
  const jobs = new Map<string, Job>();
  const planned: FileVariant[] = [];
  let waiting: Job[] = [];

  /** Takes the content of every file whose instant has come. */
  function settle(nowMs: number): void {
    if (!waiting.some((job) => job.snapshotMs <= nowMs)) return;
    for (const job of waiting.filter(({ snapshotMs }) => snapshotMs <= nowMs)) {
      const cids = [...directory.scope(job.participant, job.keyType).byCid.keys()];
      const random = seededRandom(settings.seed ^ Number(BigInt(job.id) & 0xffff_ffffn));
      const shown = settings.upperCase ? cids.map((cid) => cid.toUpperCase()) : cids;
      job.content = contentOf(shuffle(random, shown), job.variant, random);
    }
    waiting = waiting.filter((job) => job.snapshotMs > nowMs);
    const held = [...jobs.values()].filter((job) => job.content !== null);
    for (const job of held.slice(0, Math.max(0, held.length - settings.file.kept))) job.content = null;
  }

  function settled(job: Job, nowMs: number): CidSetFileState {
    settle(nowMs);
    return stateOf(job, statusOf(job, settings.file.requestedMs, nowMs));
  }

  /** The lines that go over the wire, of a file that can be had. */
  function served(name: string, nowMs: number): { readonly lines: Lines; readonly job: Job } | undefined {
    const job = [...jobs.values()].find((candidate) => candidate.name === name);
    if (job === undefined || settled(job, nowMs).status !== 'AVAILABLE' || job.content === null) return undefined;
    return job.variant === 'not-found' ? undefined : { lines: wireLines(job.content.lines, job.variant), job };
  }

  directory.beforeChange(settle);
  return {
    request: (participant, keyType, nowMs) => {
      const job = newJob(settings, {
        participant,
        keyType,
        variant: sentinelVariant(participant) ?? planned.shift() ?? 'proper',
        nowMs,
      });
      jobs.set(job.id, job);
      waiting.push(job);
      const oldest = jobs.keys().next().value;
      if (jobs.size > JOBS_MAX && oldest !== undefined) jobs.delete(oldest);
      return settled(job, nowMs);
    },
    find: (id, nowMs) => {
      const job = jobs.get(id);
      return job === undefined ? undefined : settled(job, nowMs);
    },
    content: (name, nowMs) => {
      const file = served(name, nowMs);
      return file === undefined ? undefined : chunks(file.lines);
    },
    version: (name, nowMs) => {
      const file = served(name, nowMs);
      if (file === undefined) return undefined;
      const { items, ending, lastEnding } = file.lines;
      const endings = Math.max(0, items.length - 1) * ending.length + (items.length === 0 ? 0 : lastEnding.length);
      return { bytes: items.reduce((sum, item) => sum + item.length, endings), tag: `"${file.job.id}"` };
    },
    plan: (variant, times) => {
      if (!(times >= 1 && times <= 1_000)) throw new RangeError(`file variant: times is ${times}, 1 to 1000 are allowed`);
      for (let index = 0; index < times; index += 1) planned.push(variant);
    },
    unplan: () => {
      planned.length = 0;
    },
  };
}

function contentOf(cids: string[], variant: FileVariant, random: Random): Content {
  const lines = linesOf(cids, variant, random);
  const digest = createHash('sha256');
  let bytes = 0;
  for (const chunk of chunks(lines)) {
    digest.update(chunk);
    bytes += chunk.length;
  }
  const sha256 = variant === 'wrong-sha256' ? random.hex(32) : digest.digest('hex');
  return { lines, bytes: variant === 'wrong-bytes' ? bytes + 65 : bytes, sha256 };
}

function* chunks(lines: Lines): Generator<Uint8Array> {
  const { items, ending, lastEnding } = lines;
  for (let from = 0; from < items.length; from += LINES_PER_CHUNK) {
    const last = from + LINES_PER_CHUNK >= items.length;
    const text = items.slice(from, from + LINES_PER_CHUNK).join(ending);
    yield Buffer.from(last ? text + lastEnding : text + ending, 'latin1');
  }
}
