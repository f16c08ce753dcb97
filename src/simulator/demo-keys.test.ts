/** Keys for demonstrations: made once, for their owner's eyes, each certificate issued by the one authority. */

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { initDemoKeys } from './demo-keys.ts';

const NOW = new Date('2026-11-27T12:00:00Z');

function directory(t: TestContext): string {
  const made = mkdtempSync(path.join(tmpdir(), 'dict-vsync-pki-'));
  t.after(() => rmSync(made, { recursive: true }));
  return made;
}

describe('initDemoKeys', () => {
  it('makes an authority and what it issues, readable by their owner alone and kept out of repositories', (t) => {
    const place = path.join(directory(t), 'pki');
    assert.equal(initDemoKeys(place, NOW), true);
    const read = (name: string) => new X509Certificate(readFileSync(path.join(place, `${name}.pem`)));
    const authority = read('authority');
    assert.ok(authority.ca && authority.verify(authority.publicKey));
    for (const name of ['dict-signing', 'participant-signing', 'server', 'client']) {
      const certificate = read(name);
      assert.ok(certificate.checkIssued(authority) && certificate.verify(authority.publicKey), name);
      assert.ok(!certificate.ca && certificate.validFromDate < NOW && certificate.validToDate > NOW, name);
    }
    assert.equal(read('server').checkHost('localhost'), 'localhost');
    assert.equal(read('server').checkIP('127.0.0.1'), '127.0.0.1');
    assert.equal(readFileSync(path.join(place, '.gitignore'), 'utf8'), '*\n');
    if (process.platform !== 'win32') {
      for (const name of readdirSync(place)) assert.equal(statSync(path.join(place, name)).mode & 0o777, 0o600, name);
    }
  });

  it('makes the server’s certificate for further hosts', (t) => {
    const place = path.join(directory(t), 'pki');
    initDemoKeys(place, NOW, ['dict.example', '10.1.2.3', 'localhost']);
    const server = new X509Certificate(readFileSync(path.join(place, 'server.pem')));
    assert.equal(server.subjectAltName, 'DNS:localhost, IP Address:127.0.0.1, DNS:dict.example, IP Address:10.1.2.3');
    assert.equal(new X509Certificate(readFileSync(path.join(place, 'client.pem'))).subjectAltName, undefined);
  });

  it('leaves what is there as it is, and makes nothing beside other files', (t) => {
    const place = path.join(directory(t), 'pki');
    initDemoKeys(place, NOW);
    const before = readFileSync(path.join(place, 'dict-signing-key.pem'), 'utf8');
    assert.equal(initDemoKeys(place, NOW), false);
    assert.equal(readFileSync(path.join(place, 'dict-signing-key.pem'), 'utf8'), before);
    const other = directory(t);
    writeFileSync(path.join(other, 'important.txt'), 'x');
    assert.throws(() => initDemoKeys(other, NOW), /is not empty \(important\.txt\)/);
    assert.deepEqual(readdirSync(other), ['important.txt']);
  });
});
