/**
 * What both sides of a demonstration are told of the keys that demo-keys.ts has made: the simulated DICT as options, the participant as
 * settings of its program.
 */

import { isIP } from 'node:net';
import { bytesOf, certificatesIn, signerFromFiles, trustFromFiles } from '../platform/key-files.ts';
import { demoKeyFiles } from './demo-keys.ts';
import type { SimulatorOptions } from './options.ts';

/**
 * Signatures and TLS of the simulated DICT.
 *
 * @throws KeyFileRefused when a file cannot be used.
 */
export function dictSide(directory: string): Pick<SimulatorOptions, 'signatures' | 'tls'> {
  const { dictSigning, participantSigning, server, authorityFile } = demoKeyFiles(directory);
  const text = (file: string): string => bytesOf(file).toString('latin1');
  return {
    signatures: {
      sign: signerFromFiles({ ...dictSigning, passphrase: null }),
      trust: trustFromFiles(participantSigning.certificateFile),
    },
    tls: { certificate: text(server.certificateFile), key: text(server.keyFile), authority: text(authorityFile) },
  };
}

/**
 * Whether clients that reach the server by this host find it in its certificate.
 *
 * @throws KeyFileRefused when the certificate cannot be read.
 */
export function serverIsFor(directory: string, host: string): boolean {
  const [certificate] = certificatesIn(demoKeyFiles(directory).server.certificateFile);
  return (isIP(host) === 0 ? certificate?.checkHost(host) : certificate?.checkIP(host)) !== undefined;
}

/** What a participant of it sets, by the names of the environment. */
export function participantSettings(directory: string): Readonly<Record<string, string>> {
  const { participantSigning, dictSigning, client, authorityFile } = demoKeyFiles(directory);
  return {
    DICT_VSYNC_DICT_SIGNING_KEY: participantSigning.keyFile,
    DICT_VSYNC_DICT_SIGNING_CERTIFICATE: participantSigning.certificateFile,
    DICT_VSYNC_DICT_TRUST_STORE: dictSigning.certificateFile,
    DICT_VSYNC_DICT_TLS_CERTIFICATE: client.certificateFile,
    DICT_VSYNC_DICT_TLS_KEY: client.keyFile,
    DICT_VSYNC_DICT_TLS_AUTHORITY: authorityFile,
  };
}
