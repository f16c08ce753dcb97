/**
 * An entry of DICT: the link between a key, an account and its owner, in the API's own words and with its own values. Nothing
 * here is normalised: what DICT holds is what is hashed. Which values are acceptable is decided in `src/event/`.
 */

import type { KeyType } from './key-type.ts';
import type { Participant } from './participant.ts';

export const ACCOUNT_TYPES = ['CACC', 'TRAN', 'SLRY', 'SVGS'] as const;
export type AccountType = (typeof ACCOUNT_TYPES)[number];

export const OWNER_TYPES = ['NATURAL_PERSON', 'LEGAL_PERSON'] as const;
export type OwnerType = (typeof OWNER_TYPES)[number];

/** `BrazilianAccount` of the DICT API. */
export interface Account {
  readonly participant: Participant;
  /** 1 to 4 digits, without check digit; null when the account has none. */
  readonly branch: string | null;
  /** 1 to 20 digits, leading zeros kept. */
  readonly accountNumber: string;
  readonly accountType: AccountType;
  /** When the account was opened: ISO 8601, UTC. Not part of the CID. */
  readonly openingDate: string;
}

/** `Person` of the DICT API. */
export interface Owner {
  readonly type: OwnerType;
  /** CPF (11 digits) of a natural person, CNPJ (14) of a legal one. */
  readonly taxIdNumber: string;
  readonly name: string;
  /** Legal persons only. */
  readonly tradeName: string | null;
}

/** `Entry` of the DICT API: everything of it that a CID is made of, and the opening date. */
export interface Entry {
  readonly key: string;
  readonly keyType: KeyType;
  readonly account: Account;
  readonly owner: Owner;
}

/** `ExtendedEntry` of the DICT API: an entry as DICT returns it. Dates are ISO 8601, UTC. */
export interface ExtendedEntry extends Entry {
  readonly creationDate: string;
  readonly keyOwnershipDate: string;
  /** Since when a claim on the key is open; null when none is. */
  readonly openClaimCreationDate: string | null;
}
