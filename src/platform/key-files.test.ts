/** Keys and certificates from files: what is accepted, and complaints that name the file and nothing of its content. */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { LARGE_SERIAL, signingKey } from '../../test/support/signing-keys.ts';
import { issuerSerialOf } from './certificate.ts';
import { KeyFileRefused, signerFromFiles, trustFromFiles } from './key-files.ts';

const key = signingKey();
const other = signingKey({ serial: LARGE_SERIAL + 1n });

function directory(t: TestContext): (name: string, content: string) => string {
  const made = mkdtempSync(path.join(tmpdir(), 'dict-vsync-keys-'));
  t.after(() => rmSync(made, { recursive: true }));
  return (name, content) => {
    const file = path.join(made, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, content);
    return file;
  };
}

const pem = key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const locked = key.privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'segredo' }).toString();

describe('signerFromFiles', () => {
  it('signs with a key in the clear, and with one that a passphrase opens', (t) => {
    const file = directory(t);
    const certificateFile = file('certificate.pem', key.certificate.toString());
    const open = signerFromFiles({ keyFile: file('key.pem', pem), passphrase: null, certificateFile });
    const opened = signerFromFiles({ keyFile: file('locked.pem', locked), passphrase: 'segredo', certificateFile });
    assert.equal(opened('<a/>'), open('<a/>'));
  });

  it('complains with the name of the file, and of nothing in it', (t) => {
    const file = directory(t);
    const certificateFile = file('certificate.pem', key.certificate.toString());
    const keyFile = file('key.pem', pem);
    const lockedFile = file('locked.pem', locked);
    const wrong: readonly [Parameters<typeof signerFromFiles>[0], RegExp][] = [
      [
        { keyFile: '/nonexistent/key.pem', passphrase: null, certificateFile },
        /^\/nonexistent\/key\.pem: it cannot be read \(ENOENT\)$/,
      ],
      [
        { keyFile: lockedFile, passphrase: null, certificateFile },
        /locked\.pem: no private key in PEM that the passphrase opens/,
      ],
      [{ keyFile: lockedFile, passphrase: 'falso', certificateFile }, /locked\.pem: no private key/],
      [{ keyFile: certificateFile, passphrase: null, certificateFile }, /certificate\.pem: no private key/],
      [{ keyFile, passphrase: null, certificateFile: keyFile }, /key\.pem: there is no certificate in it/],
      [{ keyFile, passphrase: null, certificateFile: file('other.pem', other.certificate.toString()) }, /does not belong/],
      [
        {
          keyFile,
          passphrase: null,
          certificateFile: file('x.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'),
        },
        /x\.pem: a certificate in it is malformed/,
      ],
    ];
    for (const [given, says] of wrong) {
      assert.throws(
        () => signerFromFiles(given),
        (error) => error instanceof KeyFileRefused && says.test(error.message) && !/segredo|falso|AAAA/.test(error.message),
      );
    }
  });
});

describe('trustFromFiles', () => {
  it('reads every certificate of a file, and of a directory’s files', (t) => {
    const file = directory(t);
    const both = file('both.pem', `DICT\n${key.certificate.toString()}\n${other.certificate.toString()}`);
    const first = file('store/a.crt', key.certificate.toString());
    file('store/b.PEM', other.certificate.toString());
    file('store/readme.txt', 'not a certificate');
    for (const place of [both, path.dirname(first)]) {
      for (const { certificate } of [key, other]) {
        const { issuer, serial } = issuerSerialOf(certificate);
        assert.ok(trustFromFiles(place).find(issuer, serial)?.raw.equals(certificate.raw));
      }
    }
  });

  it('refuses a place without certificates', (t) => {
    const file = directory(t);
    const empty = path.dirname(file('empty/x.txt', ''));
    for (const place of [empty, file('none.pem', 'x'), '/nonexistent']) {
      assert.throws(() => trustFromFiles(place), KeyFileRefused);
    }
  });
});
