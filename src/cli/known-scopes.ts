/** The scopes that a command on the base itself works through: those chosen, of participants that the base knows. */

import { readParticipant } from '../ingest/participant-store.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import type { Base } from '../wire.ts';
import { CommandFailed } from './io.ts';
import { type ScopeChoice, scopesOf } from './scope-option.ts';

/** Ends the command where a participant was named that the base has nothing of: "sound" would be a lie about a typing error. */
export async function scopesOfBase(
  { database, config }: Pick<Base, 'database' | 'config'>,
  choice: ScopeChoice,
): Promise<Scope[]> {
  const { participant } = choice;
  if (participant !== undefined && (await readParticipant(database, participant)) === null) {
    throw new CommandFailed(
      `--participant: the base has nothing of ${participant} ("dict-vsync participant list" shows whom it has)`,
    );
  }
  return await scopesOf(database, choice, config.program);
}
