/** The options `--participant` and `--key-type`, for commands that work on parts of the base. */

import { type Command, InvalidArgumentError, Option } from 'commander';
import { KEY_TYPES, type KeyType } from '../dict/key-type.ts';
import { isParticipant, type Participant } from '../dict/participant.ts';
import type { Sql } from '../platform/postgres/database.ts';
import { readAllVSyncs, type Scope } from '../vsync/vsync-store.ts';
import { CommandFailed } from './io.ts';

export interface ScopeOptions {
  readonly participant?: Participant;
  readonly keyType?: KeyType;
}

/** An ISPB as an option or argument. */
export function parseParticipant(text: string): Participant {
  if (isParticipant(text)) return text;
  throw new InvalidArgumentError(`"${text}" is not an ISPB (eight digits, such as 00038166).`);
}

export function withScopeOptions(command: Command): Command {
  return command
    .option('--participant <ispb>', 'only this participant (default: all)', parseParticipant)
    .addOption(new Option('--key-type <type>', 'only keys of this type (default: all)').choices(KEY_TYPES));
}

/** The scopes of the base that the options name. Ends the command where the base has none of a participant that was named. */
export async function scopesOf(sql: Sql, options: ScopeOptions): Promise<Scope[]> {
  const all = (await readAllVSyncs(sql, options.participant)).map(({ scope }) => scope);
  if (options.participant !== undefined && all.length === 0) {
    throw new CommandFailed(`--participant: the base has no keys of ${options.participant}`);
  }
  return all.filter(({ keyType }) => options.keyType === undefined || keyType === options.keyType);
}
