/** What secures connections, from files: what is accepted, complaints that name the file, and what PKCS#12 must not smuggle in. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { describe, it } from 'node:test';
import { opensslMissing } from '../../test/support/foreign-programs.ts';
import { type TemporaryFiles, temporaryFiles } from '../../test/support/temporary-files.ts';
import { type Issued, rsaKeys, tlsAuthority } from '../../test/support/tls-authority.ts';
import { KeyFileRefused } from './key-files.ts';
import { leadsTo, type TlsFiles, tlsIdentityFromFiles, tlsPlaces } from './tls-files.ts';

const ours = tlsAuthority('ours');
const below = tlsAuthority('below', ours);
const strange = tlsAuthority('strange');
const client = ours.issue();
/** 1.2.840.113549.1.12.1.3 in DER. */
const TRIPLE_DES = Buffer.from('060a2a864886f70d010c0103', 'hex');
const nothing: TlsFiles = { own: null, passphrase: null, authority: null };

function pem(files: TemporaryFiles, issued: Issued = client): TlsFiles {
  const certificateFile = files.write('client.pem', issued.pem.certificate);
  const keyFile = files.write('client-key.pem', issued.pem.key);
  return { ...nothing, own: { form: 'pem', certificateFile, keyFile } };
}

/** A PKCS#12 file with the passphrase "segredo", made by openssl. */
function pkcs12(files: TemporaryFiles, more: readonly string[] = []): TlsFiles {
  const { directory } = files;
  pem(files);
  const file = path.join(directory, 'client.p12');
  const made = ['pkcs12', '-export', '-inkey', 'client-key.pem', '-in', 'client.pem', '-out', file, '-passout', 'pass:segredo'];
  execFileSync('openssl', [...made, ...more], { cwd: directory, stdio: 'ignore' });
  return { own: { form: 'pkcs12', file }, passphrase: 'segredo', authority: null };
}

describe('tlsIdentityFromFiles', () => {
  it('presents nothing, and trusts whom Node trusts, where nothing is given', () => {
    const { certificate, anchors } = tlsIdentityFromFiles(nothing);
    assert.deepEqual([certificate, anchors, tlsPlaces(nothing)], [null, null, []]);
  });

  it('takes certificate and key in PEM, the key with a passphrase or without', (t) => {
    const files = temporaryFiles(t);
    const plain = pem(files);
    assert.equal(tlsIdentityFromFiles(plain).certificate?.fingerprint256, client.certificate.fingerprint256);
    const locked = client.key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'segredo' }).toString();
    files.write('client-key.pem', locked);
    const opened = tlsIdentityFromFiles({ ...plain, passphrase: 'segredo' });
    assert.equal(opened.certificate?.fingerprint256, client.certificate.fingerprint256);
    assert.throws(() => tlsIdentityFromFiles({ ...plain, passphrase: 'falso' }), /client-key\.pem: no private key in PEM/);
  });

  it('says which file cannot be used, and why, and nothing of what is in it', (t) => {
    const files = temporaryFiles(t);
    const { own } = pem(files);
    assert.ok(own?.form === 'pem');
    const { certificateFile, keyFile } = own;
    const otherKey = files.write('other-key.pem', ours.issue({ keys: rsaKeys() }).pem.key);
    const wrong: readonly [TlsFiles, RegExp][] = [
      [
        { ...nothing, own: { ...own, certificateFile: '/nonexistent/c.pem' } },
        /^\/nonexistent\/c\.pem: it cannot be read \(ENOENT\)$/,
      ],
      [{ ...nothing, own: { ...own, certificateFile: keyFile } }, /client-key\.pem: there is no certificate in it$/],
      [{ ...nothing, own: { ...own, keyFile: certificateFile } }, /client\.pem: no private key in PEM/],
      [
        { ...nothing, own: { ...own, keyFile: otherKey } },
        /other-key\.pem: the key does not belong to the first certificate in .*client\.pem$/,
      ],
      [{ ...nothing, authority: keyFile }, /client-key\.pem: there is no certificate in it$/],
      [{ ...nothing, authority: '/nonexistent/ca.pem' }, /^\/nonexistent\/ca\.pem: it cannot be read/],
      [
        { ...nothing, own: { form: 'pkcs12', file: keyFile } },
        /client-key\.pem: it is no PKCS#12 file with a certificate and its key$/,
      ],
    ];
    for (const [settings, complaint] of wrong) {
      assert.throws(
        () => tlsIdentityFromFiles(settings),
        (error) => error instanceof KeyFileRefused && complaint.test(error.message),
        String(complaint),
      );
    }
  });

  it('is made from the files that are to be looked at for changes', (t) => {
    const files = temporaryFiles(t);
    const authority = files.write('authority.pem', ours.pem.certificate);
    const names = tlsPlaces({ ...pem(files), authority }).map((place) => path.basename(place));
    assert.deepEqual(names, ['client.pem', 'client-key.pem', 'authority.pem']);
    const file = path.join(files.directory, 'client.p12');
    assert.deepEqual(tlsPlaces({ ...nothing, own: { form: 'pkcs12', file } }), [file]);
  });
});

describe('PKCS#12', { skip: opensslMissing() ?? false }, () => {
  it('is opened by its passphrase', (t) => {
    const settings = pkcs12(temporaryFiles(t));
    assert.equal(tlsIdentityFromFiles(settings).certificate?.fingerprint256, client.certificate.fingerprint256);
    for (const passphrase of ['falso', null]) {
      assert.throws(() => tlsIdentityFromFiles({ ...settings, passphrase }), /client\.p12: the passphrase does not open it$/);
    }
  });

  it('names the remedy where it is encrypted in a way that OpenSSL has given up', (t) => {
    const settings = pkcs12(temporaryFiles(t), ['-nomac', '-certpbe', 'PBE-SHA1-3DES', '-keypbe', 'PBE-SHA1-3DES']);
    assert.ok(settings.own?.form === 'pkcs12');
    const file = readFileSync(settings.own.file);
    // openssl can write RC2 of 40 bits only where its legacy part is installed: here it is but named, by the last arc of the algorithm.
    for (let at = file.indexOf(TRIPLE_DES); at >= 0; at = file.indexOf(TRIPLE_DES, at)) file[at + TRIPLE_DES.length - 1] = 6;
    writeFileSync(settings.own.file, file);
    assert.throws(() => tlsIdentityFromFiles(settings), /client\.p12: .*out of use: .*openssl pkcs12 -legacy/);
  });

  it('says so where it holds no certificate', (t) => {
    assert.throws(() => tlsIdentityFromFiles(pkcs12(temporaryFiles(t), ['-nocerts'])), /client\.p12: .*certificate/);
  });

  it('has servers lead to the configured authorities, or to those that Node knows, whatever else lies in the file', (t) => {
    const files = temporaryFiles(t);
    files.write('strange.pem', strange.pem.certificate);
    const settings = pkcs12(files, ['-certfile', path.join(files.directory, 'strange.pem')]);
    const authority = files.write('authority.pem', ours.pem.certificate);
    const { anchors } = tlsIdentityFromFiles({ ...settings, authority });
    assert.deepEqual(
      anchors?.map(({ fingerprint256 }) => fingerprint256),
      [ours.certificate.fingerprint256],
    );
    assert.ok((tlsIdentityFromFiles(settings).anchors?.length ?? 0) > 50);
  });
});

describe('leadsTo', () => {
  const anchors = [ours.certificate];
  const server = ours.issue().certificate;

  it('follows signatures to a trusted certificate, sent along or not, in whatever order', () => {
    assert.ok(leadsTo(anchors, [server]));
    assert.ok(leadsTo(anchors, [server, ours.certificate]));
    const deep = below.issue().certificate;
    assert.ok(leadsTo(anchors, [deep, below.certificate]));
    assert.ok(leadsTo(anchors, [deep, strange.certificate, ours.certificate, below.certificate]));
    assert.ok(leadsTo([server], [server]), 'a server’s certificate may itself be what is trusted');
  });

  it('ends nowhere else', () => {
    assert.ok(!leadsTo(anchors, [strange.issue().certificate, strange.certificate]));
    assert.ok(!leadsTo(anchors, [below.issue().certificate]), 'a link is missing');
    assert.ok(!leadsTo(anchors, []));
    assert.ok(!leadsTo([], [server, ours.certificate]));
    const namesake = tlsAuthority('ours');
    assert.ok(!leadsTo(anchors, [namesake.issue().certificate, namesake.certificate]), 'the same name, another key');
  });

  it('takes none for an authority that does not say that it is one', { skip: opensslMissing() ?? false }, (t) => {
    const { directory, write } = temporaryFiles(t);
    write('authority.pem', ours.pem.certificate);
    write('authority-key.pem', ours.pem.key);
    const openssl = (...parameters: string[]) => execFileSync('openssl', parameters, { cwd: directory, stdio: 'ignore' });
    /** Without any extension, so that nothing says what its key may be used for. */
    const issue = (name: string, issuer: string): X509Certificate => {
      openssl(
        'req',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-keyout',
        `${name}-key.pem`,
        '-out',
        `${name}.csr`,
        '-subj',
        `/CN=${name}`,
      );
      const from = ['-CA', `${issuer}.pem`, '-CAkey', `${issuer}-key.pem`, '-CAcreateserial'];
      openssl('x509', '-req', '-in', `${name}.csr`, ...from, '-days', '2', '-out', `${name}.pem`);
      return new X509Certificate(readFileSync(path.join(directory, `${name}.pem`)));
    };
    const mere = issue('mere', 'authority');
    const forged = issue('forged', 'mere');
    assert.ok(forged.checkIssued(mere) && forged.verify(mere.publicKey));
    assert.ok(leadsTo(anchors, [mere]));
    assert.ok(!leadsTo(anchors, [forged, mere]));
  });

  it('takes no certificate of a server for an authority', () => {
    const mere = ours.issue({ keys: rsaKeys() });
    // Issued by somebody who has the key of a server with a good certificate.
    const forged = tlsAuthority('forged', mere).certificate;
    assert.ok(forged.checkIssued(mere.certificate) || forged.verify(mere.certificate.publicKey));
    assert.ok(!leadsTo(anchors, [forged, mere.certificate]));
  });
});
