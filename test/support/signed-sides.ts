/** A participant and a DICT that know each other's certificates: what the bridge and the simulator take to sign and verify. */

import type { Signatures } from '../../src/bridge/answer-signature.ts';
import { certificateStore } from '../../src/platform/certificate.ts';
import { xmlSigner } from '../../src/platform/xml-signature.ts';
import type { SimulatorSignatures } from '../../src/simulator/options.ts';
import { LARGE_SERIAL, type SigningKey, signingKey } from './signing-keys.ts';

const participant = signingKey({ serial: LARGE_SERIAL });
/** DICT's own key. */
export const dictKey: SigningKey = signingKey({ serial: LARGE_SERIAL + 10n });

/** For the bridge. */
export const participantSide: Signatures = {
  sign: xmlSigner(participant.privateKey, participant.certificate),
  trust: certificateStore([dictKey.certificate]),
  answers: 'required',
  errors: 'required',
};

/** For the simulator. */
export const dictSide: SimulatorSignatures = {
  sign: xmlSigner(dictKey.privateKey, dictKey.certificate),
  trust: certificateStore([participant.certificate]),
};
