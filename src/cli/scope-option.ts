/** The options `--participant` and `--key-type`, the same for every command that works on a part of the base. */

import { InvalidArgumentError, Option } from 'commander';
import { isKeyType, KEY_TYPES, type KeyType } from '../dict/key-type.ts';
import { isParticipant, type Participant } from '../dict/participant.ts';
import type { Sql } from '../platform/postgres/database.ts';
import type { Scope } from '../vsync/scope.ts';

/** What the two options leave: null means all. */
export interface ScopeChoice {
  readonly participant?: Participant;
  readonly keyType?: KeyType;
}

/** `--participant`, checked to be an ISPB. */
export function participantOption(): Option {
  return new Option('--participant <ispb>', 'only this participant (eight digits); default all').argParser((text) => {
    if (!isParticipant(text)) throw new InvalidArgumentError('It must be an ISPB: eight digits, such as 00038166.');
    return text;
  });
}

/** `--key-type`, in any case, checked to be one that DICT knows. */
export function keyTypeOption(): Option {
  return new Option('--key-type <type>', `only this key type (${KEY_TYPES.join(', ')}); default all`).argParser((text) => {
    const upper = text.toUpperCase();
    if (!isKeyType(upper)) throw new InvalidArgumentError(`It must be one of ${KEY_TYPES.join(', ')}.`);
    return upper;
  });
}

/** Participants the base knows, in order. */
async function knownParticipants(sql: Sql): Promise<Participant[]> {
  const { rows } = await sql.query<{ participant: Participant }>(
    'SELECT participant FROM dict_participants ORDER BY participant',
  );
  return rows.map((row) => row.participant);
}

/**
 * The scopes that the options choose: of the participants named by the option, else by the configuration, else of all that the
 * base knows; of the key type named, else of those configured.
 */
export async function scopesOf(
  sql: Sql,
  choice: ScopeChoice,
  configured: { readonly participants: readonly Participant[] | null; readonly keyTypes: readonly KeyType[] },
): Promise<Scope[]> {
  const participants =
    choice.participant === undefined ? (configured.participants ?? (await knownParticipants(sql))) : [choice.participant];
  const keyTypes = choice.keyType === undefined ? configured.keyTypes : [choice.keyType];
  return participants.flatMap((participant) => keyTypes.map((keyType) => ({ participant, keyType })));
}
