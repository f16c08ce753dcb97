/** How the demo tells its story: numbered stages, bars and colours on a terminal, the same sentences as plain lines in a pipe. */

import { styleText } from 'node:util';
import type { Io } from '../cli/io.ts';
import { terminalBar } from '../cli/progress.ts';

export interface Progress {
  /** How far it is, and what to say about it beside the bar. */
  at(value: number, note?: string): void;
  end(): void;
}

export type Tone = 'good' | 'bad' | 'doubtful' | 'quiet' | 'strong';

export interface StageOutput {
  /** Begins the next stage. */
  stage(title: string): void;
  /** A fact about the stage. */
  line(text: string): void;
  /** Several lines that are ready to be written. */
  block(text: string): void;
  /** A bar on a terminal; nothing in a pipe, where the facts have to do. */
  progress(title: string, total: number): Progress;
  /** The text in the colour of its meaning, where colours are shown. */
  toned(tone: Tone, text: string): string;
}

const formats = {
  good: 'green',
  bad: 'red',
  doubtful: 'yellow',
  quiet: 'dim',
  strong: 'bold',
} as const;

const indent = '      ';
const silent: Progress = { at: () => {}, end: () => {} };

/** `stages`: how many there will be. */
export function stageOutput(io: Pick<Io, 'stdout' | 'env'>, stages: number): StageOutput {
  const { stdout, env } = io;
  const terminal = stdout.isTTY === true;
  const coloured = terminal && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
  const startMs = performance.now();
  let number = 0;
  let bars = 0;
  const toned = (tone: Tone, text: string): string =>
    coloured ? styleText(formats[tone], text, { validateStream: false }) : text;
  return {
    stage: (title) => {
      number += 1;
      const since = `${((performance.now() - startMs) / 1_000).toFixed(1)} s`;
      stdout.write(`\n${toned('quiet', `[${number}/${stages}]`)} ${toned('strong', title)}  ${toned('quiet', `+${since}`)}\n`);
    },
    line: (text) => {
      // A bar is drawn again below the line that takes its place.
      const clearing = bars > 0 ? '\r\u001b[2K' : '';
      stdout.write(text === '' ? '\n' : `${clearing}${indent}${text}\n`);
    },
    block: (text) => stdout.write(`${text.replaceAll(/^(?=.)/gm, indent)}`),
    progress: (title, total) => {
      if (!terminal || env['TERM'] === 'dumb') return silent;
      bars += 1;
      const shown = bar(stdout, title, total);
      const end = (): void => {
        bars -= 1;
        shown.end();
      };
      return { at: shown.at, end };
    },
    toned,
  };
}

function bar(stdout: Io['stdout'], title: string, total: number): Progress {
  const shown = terminalBar(stdout, `${indent}${title} [{bar}] {percentage}%  {note}`, true);
  shown.start(total, 0, { note: '' });
  return { at: (value, note = '') => shown.update(Math.min(value, total), { note }), end: () => shown.stop() };
}
