/** The option `--maintenance-window`, the same for every command that can work inside one. */

import { InvalidArgumentError, Option } from 'commander';

const minuteMs = 60_000;
const minutesDefault = 15;
const minutesMax = 240;

/** Its value is the window's length in milliseconds. */
export function windowOption(): Option {
  return new Option(
    '--maintenance-window [minutes]',
    `have the core hold what changes keys, work at rest, let it go on (1 to ${minutesMax} minutes)`,
  )
    .preset(String(minutesDefault))
    .argParser((text) => {
      const minutes = Number(text);
      if (/^[0-9]+$/.test(text) && minutes >= 1 && minutes <= minutesMax) return minutes * minuteMs;
      throw new InvalidArgumentError(`It must be a whole number of minutes from 1 to ${minutesMax}.`);
    });
}
