/**
 * What a CID is made of. Wider than `Entry` of the dictionary on purpose: hashing takes any text, so that a damaged row can be
 * hashed as it stands; every `Entry` is a `CidEntry`.
 */

/** An entry as the CID functions read it. Null, absent and empty text mean the same under `dict`. */
export interface CidEntry {
  /** The Pix key as DICT holds it. */
  readonly key: string;
  /** CPF, CNPJ, PHONE, EMAIL or EVP. */
  readonly keyType: string;
  readonly account: {
    /** ISPB, eight digits. */
    readonly participant: string;
    readonly branch?: string | null | undefined;
    readonly accountNumber: string;
    /** CACC, TRAN, SLRY or SVGS. */
    readonly accountType: string;
    /** ISO 8601. Hashed by `canonical-json-1.0` only. */
    readonly openingDate?: string | null | undefined;
  };
  readonly owner: {
    /** NATURAL_PERSON or LEGAL_PERSON. Hashed by `canonical-json-1.0` only. */
    readonly type?: string | null | undefined;
    /** CPF or CNPJ, digits only. */
    readonly taxIdNumber: string;
    readonly name: string;
    readonly tradeName?: string | null | undefined;
  };
  /** When the key was registered: ISO 8601. Hashed by `canonical-json-1.0` only. */
  readonly registeredAt?: string | null | undefined;
  /** Since when the participant holds the key: ISO 8601. Hashed by `canonical-json-1.0` only. */
  readonly participantRegisteredAt?: string | null | undefined;
}
