/**
 * Keys and certificates as they stand in their files: readable, belonging together, valid now and for a while. What the network and DICT
 * make of them is dict.ts.
 */

import type { X509Certificate } from 'node:crypto';
import { statSync } from 'node:fs';
import { tlsFromFiles } from '../../bridge/dict-keys.ts';
import type { Config } from '../../config.ts';
import { issuerSerialOf } from '../../platform/certificate.ts';
import { systemClock } from '../../platform/clock.ts';
import { certificatesAt, certificatesIn, KeyFileRefused, signerFromFiles } from '../../platform/key-files.ts';
import { type Finding, fail, skip, warn } from './finding.ts';

const DAY_MS = 86_400_000;
/** An authority takes days to weeks to renew a certificate. */
const WARNING_DAYS = 30;

/** One certificate's time; `what` says whose it is. */
function validityOf(what: string, certificate: X509Certificate, now: Date): Pick<Finding, 'level' | 'seen' | 'advice'> {
  const { validFromDate, validToDate } = certificate;
  const days = Math.floor((validToDate.getTime() - now.getTime()) / DAY_MS);
  const until = validToDate.toISOString().slice(0, 10);
  if (validFromDate > now) {
    const seen = `${what} is valid from ${validFromDate.toISOString()} only`;
    return { level: 'fail', seen, advice: 'check this machine’s clock; if it is right, use the former certificate until then' };
  }
  if (validToDate < now) {
    return { level: 'fail', seen: `${what} expired on ${until}`, advice: 'put a renewed certificate in its place' };
  }
  if (days < WARNING_DAYS) {
    const seen = `${what} expires on ${until}, in ${days} days`;
    return {
      level: 'warn',
      seen,
      advice: 'have it renewed before, and known to whoever has to know it; a changed file is read again by itself',
    };
  }
  return { level: 'ok', seen: `${what} is valid until ${until} (${days} days)`, advice: null };
}

/** The key that signs, and its certificate. */
export function checkSigning(dict: Config['dict'], now: Date): readonly Finding[] {
  const check = 'signing certificate';
  const { url, signingKey, signingCertificate } = dict;
  if (signingKey === null || signingCertificate === null) {
    if (url === null) return [skip(check, 'none is configured, nor is DICT_URL')];
    return [
      warn(
        check,
        'none is configured: bodies go out unsigned, which DICT refuses',
        'set DICT_VSYNC_DICT_SIGNING_KEY and DICT_VSYNC_DICT_SIGNING_CERTIFICATE',
      ),
    ];
  }
  return refusable(check, 'DICT_VSYNC_DICT_SIGNING_KEY, _CERTIFICATE and _KEY_PASSPHRASE', () => {
    signerFromFiles({ keyFile: signingKey, certificateFile: signingCertificate, passphrase: dict.signingKeyPassphrase });
    const [certificate] = certificatesIn(signingCertificate);
    const about = certificate === undefined ? [] : [{ check, ...validityOf(nameOf(certificate), certificate, now) }];
    return [...about, ...exposure(check, signingKey)];
  });
}

/** What secures connections: our certificate and the authorities that we trust. */
export function checkTls(dict: Config['dict'], now: Date): readonly Finding[] {
  const check = 'TLS certificate';
  const { url, tlsCertificate, tlsKey, tlsPkcs12, tlsAuthority } = dict;
  const file = tlsPkcs12 ?? tlsCertificate;
  if (url?.startsWith('https:') !== true) return [skip(check, 'not needed: DICT_URL does not begin with https')];
  const own = refusable(check, 'DICT_VSYNC_DICT_TLS_CERTIFICATE and _KEY, or _PKCS12, and _PASSPHRASE, _AUTHORITY', () => {
    const { certificate } = tlsFromFiles({ clock: systemClock, log: null }, dict)();
    if (certificate === null || file === null) {
      const advice = 'set DICT_VSYNC_DICT_TLS_CERTIFICATE and DICT_VSYNC_DICT_TLS_KEY, or DICT_VSYNC_DICT_TLS_PKCS12';
      return [warn(check, 'none is configured: DICT lets nobody in without', advice)];
    }
    return [{ check, ...validityOf(nameOf(certificate), certificate, now) }, ...exposure(check, tlsPkcs12 ?? tlsKey ?? file)];
  });
  return tlsAuthority === null ? own : [...own, ...checkAuthorities(tlsAuthority, now)];
}

function checkAuthorities(place: string, now: Date): readonly Finding[] {
  const check = 'TLS authority';
  return refusable(check, 'DICT_VSYNC_DICT_TLS_AUTHORITY', () => heldTogether(check, certificatesAt(place), now));
}

/** Certificates of others: one that is usable is enough. */
function heldTogether(check: string, certificates: readonly X509Certificate[], now: Date): readonly Finding[] {
  const judged = certificates.map((certificate) => validityOf(nameOf(certificate), certificate, now));
  const usable = judged.some(({ level }) => level === 'ok' || level === 'warn');
  // While a certificate is changed, the former and the next one lie beside the present one.
  const advice = 'take it out once it is not in use any more';
  return judged.map((one) => ({ check, ...one, ...(usable && one.level === 'fail' ? { level: 'warn' as const, advice } : {}) }));
}

/** The certificates that DICT signs with. */
export function checkTrustStore({ url, trustStore }: Config['dict'], now: Date): readonly Finding[] {
  const check = 'trust store';
  if (trustStore === null) {
    if (url === null) return [skip(check, 'none is configured, nor is DICT_URL')];
    return [
      warn(
        check,
        'none is configured: signatures of DICT’s answers are not verified',
        'set DICT_VSYNC_DICT_TRUST_STORE to the certificates that the Central Bank signs with',
      ),
    ];
  }
  return refusable(check, 'DICT_VSYNC_DICT_TRUST_STORE', () => heldTogether(check, certificatesAt(trustStore), now));
}

/** Certificates as people find them again: by their serial and their subject's last part. */
function nameOf(certificate: X509Certificate): string {
  const name = certificate.subject.split('\n').at(-1) ?? '';
  return `${name} (serial ${issuerSerialOf(certificate).serial})`;
}

/** A private key that everybody on the machine may read is nobody's. */
function exposure(check: string, keyFile: string): readonly Finding[] {
  const others = process.platform === 'win32' ? 0 : statSync(keyFile).mode & 0o077;
  if (others === 0) return [];
  const mode = (statSync(keyFile).mode & 0o777).toString(8);
  return [warn(check, `${keyFile} can be used by others than its owner (mode ${mode})`, `chmod 600 ${keyFile}`)];
}

/** What a file is refused for becomes the finding. */
function refusable(check: string, options: string, work: () => readonly Finding[]): readonly Finding[] {
  try {
    return work();
  } catch (cause) {
    if (!(cause instanceof KeyFileRefused)) throw cause;
    return [fail(check, cause.message, `correct the file, or name another one: ${options}`)];
  }
}
