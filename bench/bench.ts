/**
 * What one bench is: a fixture made once, and several sides that do the same work on it, ours and its peers. Each side runs in a
 * process of its own, several times, in turn with the others, so that a machine that slows down slows all of them; what is quoted is
 * the median and the ratio. Running them is runner.ts, printing is main.ts.
 */

/** Whatever a fixture must tell its sides: plain JSON, since it travels to other processes. */
export type Fixture = Readonly<Record<string, string | number | boolean | null>>;

export interface ProgramSide {
  /** A program and its arguments; timed as a whole process. Several lines of shell go through `sh -c`. */
  readonly program: (fixture: Fixture) => readonly [string, ...string[]];
  /** Exit statuses that mean success. Default: 0 alone. */
  readonly statuses?: readonly number[];
}

export interface FunctionSide {
  /** What has to be made ready in the same process; not timed where `work` is. */
  readonly before?: (fixture: Fixture) => Promise<void>;
  /** Runs in a Node process of its own. Answers how many items it did; throws where the result is not right. */
  readonly run: (fixture: Fixture) => Promise<number>;
  /** Arguments of Node for that process. */
  readonly nodeArguments?: readonly string[];
}

export type Side = ProgramSide | FunctionSide;

export interface Bench {
  /** What is shown of it in one line. */
  readonly what: string;
  /** How many items where `--n` does not say; and in the small run of the check. */
  readonly items: { readonly usual: number; readonly small: number; readonly unit: string };
  /**
   * `process`: a side's time is that of its whole process, start included, so that programs compare with programs. `work`: the
   * time within `run` alone (function sides only).
   */
  readonly timed: 'process' | 'work';
  readonly rounds: number;
  /** What a run of our side may take at the usual number of items, where that is promised. */
  readonly oursSecondsMax?: number;
  /** What our side's process may take of memory at the most, where that is promised. */
  readonly oursPeakBytesMax?: number;
  /** The side called `ours` and its peers, by name. */
  readonly sides: { readonly ours: Side } & Readonly<Record<string, Side>>;
  /**
   * What the ratio to a peer (our time per item / its time per item) is to be at the most, as the requirement says it, and the
   * bound of the small run: far enough above what is usual not to be noise.
   */
  readonly wanted: Readonly<Record<string, { readonly atMost: number; readonly smallAtMost: number }>>;
  /** Makes the fixture below `directory`, which is removed afterwards. */
  prepare(items: number, directory: string): Promise<{ readonly fixture: Fixture; readonly release?: () => Promise<void> }>;
}
