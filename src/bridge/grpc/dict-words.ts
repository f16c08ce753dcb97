/**
 * DICT's words and the enums that stand for them on the wire. Only closed vocabularies are here: words that DICT may add to cross as
 * text and need no table.
 */

import type { CallOptions, CidSetEvent, SyncVerification } from '../../dict/api.ts';
import type { AccountType, OwnerType } from '../../dict/entry.ts';
import type { Remedy } from '../../dict/errors.ts';
import type { KeyType } from '../../dict/key-type.ts';
import * as pb from './generated/dict/bridge/v1/bridge_pb.ts';

/** One vocabulary, both ways. */
interface Words<Word extends string, Value extends number> {
  valueOf(word: Word): Value;
  /** Null for an enum's value that stands for no word: not given, or newer than this program. */
  wordOf(value: number): Word | null;
}

function words<const Word extends string, const Value extends number>(values: Readonly<Record<Word, Value>>): Words<Word, Value> {
  // Object.entries widens the names of a record to text.
  const byValue = new Map<number, Word>((Object.entries(values) as [Word, Value][]).map(([word, value]) => [value, word]));
  return { valueOf: (word) => values[word], wordOf: (value) => byValue.get(value) ?? null };
}

export const keyTypes = words({
  CPF: pb.KeyType.CPF,
  CNPJ: pb.KeyType.CNPJ,
  PHONE: pb.KeyType.PHONE,
  EMAIL: pb.KeyType.EMAIL,
  EVP: pb.KeyType.EVP,
} satisfies Record<KeyType, number>);

export const priorities = words({
  routine: pb.Priority.ROUTINE,
  verification: pb.Priority.VERIFICATION,
  person: pb.Priority.PERSON,
} satisfies Record<NonNullable<CallOptions['priority']>, number>);

export const results = words({
  OK: pb.SyncVerification_Result.OK,
  NOK: pb.SyncVerification_Result.NOK,
} satisfies Record<SyncVerification['result'], number>);

export const eventTypes = words({
  ADDED: pb.CidSetEvent_Type.ADDED,
  REMOVED: pb.CidSetEvent_Type.REMOVED,
} satisfies Record<CidSetEvent['type'], number>);

export const accountTypes = words({
  CACC: pb.Account_Type.CACC,
  TRAN: pb.Account_Type.TRAN,
  SLRY: pb.Account_Type.SLRY,
  SVGS: pb.Account_Type.SVGS,
} satisfies Record<AccountType, number>);

export const ownerTypes = words({
  NATURAL_PERSON: pb.Owner_Type.NATURAL_PERSON,
  LEGAL_PERSON: pb.Owner_Type.LEGAL_PERSON,
} satisfies Record<OwnerType, number>);

export const remedies = words({
  retry: pb.DictProblem_Remedy.RETRY,
  final: pb.DictProblem_Remedy.FINAL,
  person: pb.DictProblem_Remedy.PERSON,
} satisfies Record<Remedy, number>);
