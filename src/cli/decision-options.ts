/** Options and arguments of the commands by which people decide. */

import { InvalidArgumentError, Option } from 'commander';
import type { Config } from '../config.ts';
import type { Actor } from '../ledger/audit.ts';
import { operatorOf } from './operator.ts';

const reasonCharactersMax = 500;
const operatorCharactersMax = 100;

function bounded(text: string, max: number): string {
  const trimmed = text.trim();
  if (trimmed.length === 0 || trimmed.length > max) throw new InvalidArgumentError(`It must have 1 to ${max} characters.`);
  return trimmed;
}

/** `--reason`: kept with the decision. */
export function reasonOption(): Option {
  return new Option('--reason <text>', 'why; kept with the decision').argParser((text) => bounded(text, reasonCharactersMax));
}

/** `--operator`: who decides. */
export function operatorOption(): Option {
  return new Option(
    '--operator <name>',
    'who decides; default: the configured operator, else the user of the operating system',
  ).argParser((text) => bounded(text, operatorCharactersMax));
}

/** An id, checked to be a UUID. */
export function uuidArgument(text: string): string {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) {
    throw new InvalidArgumentError('It must be an id such as 0b7c9a52-3f0e-4f6a-9d3c-1f2e3d4c5b6a.');
  }
  return text.toLowerCase();
}

/** The operator given on the command line, else the one that the configuration or the system names. Not authenticated either way. */
export function namedOperator(config: Config, given: string | undefined): Actor {
  return given === undefined ? operatorOf(config) : { name: given, authenticated: false };
}
