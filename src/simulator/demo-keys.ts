/**
 * Keys and certificates for demonstrations, made on first use and never committed: an authority, DICT's and a participant's for
 * signatures, a server's and a client's for TLS. Nothing made here is of any use against the real DICT.
 */

import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { issuedCertificate, type NameParts, simpleName } from '../platform/certificate-issuing.ts';

const ORGANISATION = 'dict-vsync demonstração';
const DAY_MS = 86_400_000;

/** Where each key and certificate stands. */
export interface DemoKeyFiles {
  readonly dictSigning: KeyFiles;
  readonly participantSigning: KeyFiles;
  /** For TLS. */
  readonly server: KeyFiles;
  readonly client: KeyFiles;
  /** Of the authority that has issued them all. */
  readonly authorityFile: string;
}

interface KeyFiles {
  readonly keyFile: string;
  readonly certificateFile: string;
}

/** The files that belong into that directory. */
export function demoKeyFiles(directory: string): DemoKeyFiles {
  const pair = (name: string): KeyFiles => ({
    keyFile: path.join(directory, `${name}-key.pem`),
    certificateFile: path.join(directory, `${name}.pem`),
  });
  return {
    dictSigning: pair('dict-signing'),
    participantSigning: pair('participant-signing'),
    server: pair('server'),
    client: pair('client'),
    authorityFile: path.join(directory, 'authority.pem'),
  };
}

const issued: readonly (readonly [name: string, commonName: string, hosts: readonly string[]])[] = [
  ['dict-signing', 'DICT simulado: assinatura', []],
  ['participant-signing', 'Participante: assinatura', []],
  ['server', 'localhost', ['localhost', '127.0.0.1']],
  ['client', 'Participante: conexão', []],
];

/**
 * Makes everything anew in an empty directory; one that holds all of it is left as it is. Answers whether something was made.
 * `hosts`: names and IPv4 addresses that the server is reached by, beside localhost and 127.0.0.1.
 *
 * @throws Error when the directory holds something else, or cannot be written.
 */
export function initDemoKeys(directory: string, now: Date, hosts: readonly string[] = []): boolean {
  const names = ['authority', ...issued.map(([name]) => name)].flatMap((name) => [`${name}.pem`, `${name}-key.pem`]);
  if (names.every((name) => existsSync(path.join(directory, name)))) return false;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const [found] = readdirSync(directory);
  if (found !== undefined) throw new Error(`${directory} is not empty (${found}) and holds no complete set of keys`);
  // A directory inside a repository stays out of it.
  write(path.join(directory, '.gitignore'), '*\n');
  const authority = { name: simpleName(ORGANISATION, 'Autoridade de demonstração'), ...keyPair() };
  const common = { issuer: authority.name, issuerKey: authority.privateKey, ...validity(now) };
  const place = (name: string, keys: KeyPair, subject: NameParts, hosts: readonly string[] | null): void => {
    const { publicKey, privateKey } = keys;
    const about = { subject, publicKey, serial: newSerial(), authority: hosts === null, hosts: hosts ?? [] };
    write(path.join(directory, `${name}.pem`), issuedCertificate({ ...common, ...about }).toString());
    write(path.join(directory, `${name}-key.pem`), privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  };
  place('authority', authority, authority.name, null);
  for (const [name, commonName, own] of issued) {
    place(name, keyPair(), simpleName(ORGANISATION, commonName), own.length === 0 ? own : [...new Set([...own, ...hosts])]);
  }
  return true;
}

interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

function keyPair(): KeyPair {
  return generateKeyPairSync('rsa', { modulusLength: 2048 });
}

/** From yesterday, for clocks that are behind, for two years. */
function validity(now: Date): { readonly notBefore: Date; readonly notAfter: Date } {
  return { notBefore: new Date(now.getTime() - DAY_MS), notAfter: new Date(now.getTime() + 730 * DAY_MS) };
}

/** 159 random bits: what authorities use, and beyond what a 64-bit number holds. */
function newSerial(): bigint {
  return BigInt(`0x${randomBytes(20).toString('hex')}`) >> 1n;
}

/** Readable by the owner alone; never over a file that is there. */
function write(file: string, content: string): void {
  writeFileSync(file, content, { mode: 0o600, flag: 'wx' });
}
