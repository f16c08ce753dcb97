/** What the rehearsal says while it runs: every line with the time of the test's clock, for people; the same lines kept, for machines. */

import type { Io } from '../../cli/io.ts';
import type { Clock } from '../../platform/clock.ts';
import { stageOutput } from '../stage-output.ts';

export interface LogLine {
  /** The test's clock. */
  readonly at: Date;
  readonly text: string;
}

export interface RehearsalLog {
  /** Begins the next step. */
  step(title: string): void;
  line(text: string): void;
  readonly lines: readonly LogLine[];
}

/** Writes to standard output; with `quiet` nothing is written. */
export function rehearsalLog(io: Pick<Io, 'stdout' | 'env'>, steps: number, quiet: boolean): (clock: Clock) => RehearsalLog {
  const output = stageOutput(io, steps);
  return (clock) => {
    const lines: LogLine[] = [];
    const keep = (text: string): Date => {
      const at = clock.now();
      lines.push({ at, text });
      return at;
    };
    return {
      step: (title) => {
        keep(title);
        if (!quiet) output.stage(title);
      },
      line: (text) => {
        const at = keep(text);
        if (!quiet) output.line(`${output.toned('quiet', at.toISOString().slice(11, 19))}  ${text}`);
      },
      lines,
    };
  };
}
