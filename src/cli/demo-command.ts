/** `dict-vsync demo`: the whole story on generated keys, with nothing installed but npm. Touches no base and no DICT but its own. */

import { Command, InvalidArgumentError } from 'commander';
import { PLANTED_MAX, PLANTED_MIN } from '../demo/planting.ts';
import { KEYS_MAX, KEYS_MIN } from '../demo/settings.ts';
import { stageOutput } from '../demo/stage-output.ts';
import { STAGES, tellStory } from '../demo/story.ts';
import { CommandFailed, type Io } from './io.ts';

interface Options {
  readonly keys: number;
  readonly divergences: number;
  readonly seed: number;
  readonly keep?: string;
}

function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^[0-9]+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

/** `demo`: exit status 0 only when DICT says OK for all types and both sides are equal entry by entry. */
export function demoCommand(io: Io): Command {
  return new Command('demo')
    .description('See it work: a base, a simulated DICT, traffic, divergences, repair; exit status 0 only if all ends equal')
    .option('--keys <count>', 'keys over the five key types', integer(KEYS_MIN, KEYS_MAX), 50_000)
    .option('--divergences <count>', 'things that go wrong behind our back', integer(PLANTED_MIN, PLANTED_MAX), 60)
    .option('--seed <number>', 'everything generated follows from it', integer(0, 2_147_483_647), 1)
    .option('--keep <directory>', 'put the base into this new directory, and leave everything running to play with until Ctrl+C')
    .allowExcessArguments(false)
    .action(async (options: Options) => {
      const endedWell = await tellStory(io, { ...options, keep: options.keep ?? null }, stageOutput(io, STAGES));
      if (!endedWell) throw new CommandFailed('demo: base and DICT did not end equal; the stages above say where');
    });
}
