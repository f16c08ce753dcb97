/** What is to go wrong with an answer on its way out: its bytes, its signature, its content. */

/** What happens to the bytes of an answer on their way. Runs on the system's clock, as networks do. */
export const TRANSFER_FAULTS = [
  /** Silence after so many bytes, for ten minutes or until the caller hangs up. */
  'stall',
  /** The connection is reset (RST) after so many bytes. */
  'reset',
  /** One byte, a pause, one byte, a pause. */
  'dribble',
  /** Content-Length is not that of the body; where it promises more, the connection is closed at the end of the bytes. */
  'wrong-length',
] as const;

export interface TransferFault {
  readonly kind: (typeof TRANSFER_FAULTS)[number];
  /** Bytes of the body, compressed where it is, that go out first. Default: half of an answer, 1 KiB of a file. */
  readonly afterBytes?: number;
  /** `dribble` only. Default 200. */
  readonly pauseMs?: number;
  /** `wrong-length` only: what is added to the true length. Default 64. */
  readonly byBytes?: number;
}

/** What is wrong with the signature of an answer. Without keys the simulator signs nothing, and none of these shows. */
export const SIGNATURE_FAULTS = [
  'unsigned',
  /** The content was changed after it had been signed. */
  'altered',
  /** A signature that holds, under a certificate that nobody trusts. */
  'unknown-certificate',
  /** DICT's certificate is named, and somebody else's key has signed. */
  'other-signer',
  /** DICT's own signature, taken from another document. */
  'other-body',
] as const;
export type SignatureFault = (typeof SIGNATURE_FAULTS)[number];

/** What is unusual or wrong in the content of an answer, which is signed as it then stands. */
export const DISTORTIONS = [
  /** Elements and attributes that no contract knows, in every section: nothing may break. */
  'unknown-fields',
  /** Values that no enumeration has: a file's status, an event's type, a result, an account's type. */
  'unknown-values',
  /** The entry for a CID has another name than the one that the CID was computed from. */
  'wrong-attributes',
  /** All elements of a problem document under a prefix of their own. */
  'prefixed-problem',
] as const;
export type Distortion = (typeof DISTORTIONS)[number];

/** Each is carried out where the thing that it spoils is done: distortion.ts, signature.ts, transfer.ts. */
export interface Marks {
  readonly transfer?: TransferFault;
  readonly signature?: SignatureFault;
  readonly distortion?: Distortion;
}
