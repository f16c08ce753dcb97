/**
 * How far a long command is: a bar on standard error where that is a terminal, nothing in a pipe. It appears after a second, shows
 * count, rate and time left, and gives way to every line that the command writes: the bar is taken away, the line written, the bar
 * drawn again below it. What is counted is the command's to say; how often it says so does not matter.
 */

import { type Writable, Writable as WritableStream } from 'node:stream';
import { SingleBar } from 'cli-progress';
import type { Io } from './io.ts';

/** Where a command stands. */
export interface ProgressState {
  /** How much is done, in the unit that the command counts. */
  readonly done: number;
  /** How much there is in that unit; null where nobody knows. */
  readonly total: number | null;
  /** The part that is done, from 0 to 1, where it is known by other means than the total: bytes of a file, say. */
  readonly share?: number | null;
  /** What is being done at the moment, where a command does several things. */
  readonly phase?: string;
}

export interface Progress {
  /** Tells where the command stands. Cheap: call it as often as is convenient. */
  at(state: ProgressState): void;
}

export interface ProgressTitle {
  /** What the command does, in one word. */
  readonly title: string;
  /** What it counts, in the plural. */
  readonly unit: string;
}

interface Sample {
  readonly atMs: number;
  readonly done: number;
  readonly share: number | null;
}

const appearsAfterMs = 1_000;
const drawnAgainAfterMs = 100;
/** Rate and time left are those of this last while, so that they follow what happens now. */
const rateOverMs = 10_000;
const sampleEveryMs = 250;
const barCharacters = 24;

/**
 * Runs the work with a progress to tell. The work writes to the `Io` that it is given, so that its lines and the bar keep apart;
 * where standard error is no terminal that is the caller's own.
 */
export async function withProgress<Result>(
  io: Io,
  title: ProgressTitle,
  work: (io: Io, progress: Progress) => Promise<Result>,
): Promise<Result> {
  if (io.stderr.isTTY !== true || io.env['TERM'] === 'dumb') return await work(io, { at: () => {} });
  const shown = new ShownProgress(io.stderr, title);
  try {
    return await work(besideBar(io, shown), shown);
  } finally {
    shown.end();
  }
}

/** Wraps work on one of several things so that each that ends moves the progress on. */
export function countingEnds<Item, Result>(
  progress: Progress,
  total: number,
  work: (item: Item) => Promise<Result>,
): (item: Item) => Promise<Result> {
  let done = 0;
  progress.at({ done, total });
  return async (item) => {
    const result = await work(item);
    done += 1;
    progress.at({ done, total });
    return result;
  };
}

/** A bar of the program's look on a terminal. `format` is the line, or what makes it. */
export function terminalBar(stream: Writable, format: string | (() => string), hideCursor: boolean): SingleBar {
  return new SingleBar({
    format,
    stream,
    barsize: 28,
    barCompleteChar: '━',
    barIncompleteChar: ' ',
    clearOnComplete: true,
    hideCursor,
    // Wrapping stays on and lines are cut: a process that is killed leaves the terminal as it was.
    linewrap: true,
    fps: 12,
    forceRedraw: true,
    // Interruption is the command's: it ends every bar on its way out.
    gracefulExit: false,
  });
}

class ShownProgress implements Progress {
  readonly #stream: Writable;
  readonly #title: ProgressTitle;
  readonly #startMs = Date.now();
  readonly #appearance: NodeJS.Timeout;
  #state: ProgressState | null = null;
  #samples: Sample[] = [];
  #bar: SingleBar | null = null;
  #clearedAtMs = 0;

  constructor(stream: Writable, title: ProgressTitle) {
    this.#stream = stream;
    this.#title = title;
    this.#appearance = setTimeout(() => this.#draw(), appearsAfterMs).unref();
  }

  at(state: ProgressState): void {
    const nowMs = Date.now();
    // Another phase counts something else: its rate begins anew.
    if (this.#state?.phase !== state.phase) this.#samples = [];
    this.#state = state;
    const last = this.#samples.at(-1);
    if (last === undefined || nowMs - last.atMs >= sampleEveryMs) {
      this.#samples.push({ atMs: nowMs, done: state.done, share: shareOf(state) });
      while (nowMs - (this.#samples[0]?.atMs ?? nowMs) > rateOverMs) this.#samples.shift();
    }
    if (nowMs - this.#startMs >= appearsAfterMs && nowMs - this.#clearedAtMs >= drawnAgainAfterMs) this.#draw();
  }

  /** Takes the bar away so that something can be written in its place. */
  clear(): void {
    if (this.#bar === null) return;
    this.#bar.stop();
    this.#bar = null;
    this.#clearedAtMs = Date.now();
  }

  end(): void {
    clearTimeout(this.#appearance);
    this.clear();
  }

  #draw(): void {
    if (this.#bar !== null) return;
    this.#bar = terminalBar(this.#stream, () => this.#line(), false);
    this.#bar.start(1, 0);
  }

  #line(): string {
    const nowMs = Date.now();
    const state = this.#state ?? { done: 0, total: null };
    return progressLine(this.#title, state, this.#samples[0] ?? null, { nowMs, startMs: this.#startMs });
  }
}

/** The line as it is drawn; `since` is an earlier moment that rate and time left are reckoned from. */
export function progressLine(
  { title, unit }: ProgressTitle,
  state: ProgressState,
  since: Sample | null,
  { nowMs, startMs }: { readonly nowMs: number; readonly startMs: number },
): string {
  const share = shareOf(state);
  const elapsedSec = since === null ? 0 : (nowMs - since.atMs) / 1_000;
  const ratePerSec = since === null || elapsedSec < 0.2 ? null : (state.done - since.done) / elapsedSec;
  const gained = since === null || share === null ? 0 : share - (since.share ?? 0);
  const leftSec = share !== null && gained > 0 && elapsedSec >= 0.2 ? ((1 - share) / gained) * elapsedSec : null;
  const counted =
    state.total === null ? `${countText(state.done)} ${unit}` : `${countText(state.done)} of ${countText(state.total)} ${unit}`;
  const parts = [
    state.phase === undefined ? title : `${title}: ${state.phase}`,
    ...(share === null ? [] : [`[${barText(share)}] ${String(Math.floor(share * 100)).padStart(3)}%`]),
    ...(state.done > 0 || state.total !== null ? [counted] : []),
    ...(ratePerSec !== null && ratePerSec > 0 ? [`${countText(rounded(ratePerSec))}/s`] : []),
    leftSec === null ? durationText((nowMs - startMs) / 1_000) : `${durationText(leftSec)} left`,
  ];
  return parts.join('  ');
}

function shareOf({ done, total, share }: ProgressState): number | null {
  const known = share ?? (total === null || total === 0 ? null : done / total);
  return known === null ? null : Math.min(Math.max(known, 0), 1);
}

function barText(share: number): string {
  return '━'.repeat(Math.round(share * barCharacters)).padEnd(barCharacters);
}

function countText(count: number): string {
  return Math.round(count).toLocaleString('en');
}

/** Three digits tell a rate; more only flicker. */
function rounded(value: number): number {
  return value < 10 ? Math.round(value * 10) / 10 : Number(value.toPrecision(3));
}

function durationText(seconds: number): string {
  const whole = Math.ceil(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60, whole % 60];
  const padded = String(rest).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${padded}` : `${minutes}:${padded}`;
}

/** The same streams, except that the bar makes room for what is written to the terminal. */
function besideBar(io: Io, shown: ShownProgress): Io {
  const apart = (target: Io['stdout']): Io['stdout'] => (target.isTTY === true ? clearingStream(target, shown) : target);
  return { ...io, stdout: apart(io.stdout), stderr: apart(io.stderr) };
}

function clearingStream(target: Io['stdout'], shown: ShownProgress): Io['stdout'] {
  const stream = new WritableStream({
    decodeStrings: false,
    write(chunk, encoding, done) {
      shown.clear();
      target.write(chunk, encoding, done);
    },
  });
  // The target tells its failures itself, to who listens there.
  stream.on('error', () => {});
  return Object.defineProperties(stream, {
    isTTY: { get: () => target.isTTY },
    columns: { get: () => target.columns },
  });
}
