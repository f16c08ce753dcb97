/** A connection to a real Redis: who may connect, what a failure says, and that nothing waits for ever. */

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { redisMissing } from '../../../test/support/foreign-programs.ts';
import { testConnection, testRedis } from '../../../test/support/redis-server.ts';
import { issuedCertificate, simpleName } from '../certificate-issuing.ts';
import { RedisUnavailable, redisScript } from './connection.ts';

const skip = redisMissing() ?? false;
const PLUS_ONE = redisScript('return tonumber(ARGV[1]) + 1');

const unavailable =
  (message: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof RedisUnavailable);
    assert.match(error.message, message);
    return true;
  };

/** A server's certificate for `localhost`, and the authority that alone vouches for it. */
function certificateFiles(t: TestContext): { readonly certificate: string; readonly key: string; readonly authority: string } {
  const directory = mkdtempSync(path.join(tmpdir(), 'redis-tls-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const [root, own] = [0, 1].map(() => generateKeyPairSync('rsa', { modulusLength: 2048 }));
  assert.ok(root !== undefined && own !== undefined);
  const common = {
    issuer: simpleName('Autoridade de Teste', 'raiz'),
    issuerKey: root.privateKey,
    notBefore: new Date('2020-01-01T00:00:00Z'),
    notAfter: new Date('2049-01-01T00:00:00Z'),
  };
  const authority = issuedCertificate({
    ...common,
    subject: common.issuer,
    publicKey: root.publicKey,
    serial: 1n,
    authority: true,
  });
  const subject = simpleName('Redis de Teste', 'redis');
  const issued = issuedCertificate({
    ...common,
    subject,
    publicKey: own.publicKey,
    serial: 2n,
    authority: false,
    hosts: ['localhost'],
  });
  const [certificate, key] = [path.join(directory, 'redis.pem'), path.join(directory, 'redis.key')];
  writeFileSync(certificate, issued.toString());
  writeFileSync(key, own.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  return { certificate, key, authority: authority.toString() };
}

describe('a connection to Redis', { skip, timeout: 120_000 }, () => {
  it('runs scripts, also those that Redis does not know or has forgotten', async (t) => {
    const server = await testRedis(t);
    const redis = await testConnection(t, server.url);
    assert.equal(await redis.run(PLUS_ONE, [], ['41']), 42);
    server.command('SCRIPT', 'FLUSH');
    assert.equal(await redis.run(PLUS_ONE, [], ['42']), 43);
    await assert.rejects(redis.run(redisScript('return nothing()'), [], []), /nothing/);
    assert.equal(await redis.run(PLUS_ONE, [], ['1']), 2, 'a script that is wrong does not cost the connection');
  });

  it('says at the start which server cannot be reached, without its password', async (t) => {
    const server = await testRedis(t);
    await server.kill();
    const url = `redis://somebody:geheim@127.0.0.1:${server.port}`;
    await assert.rejects(
      testConnection(t, url),
      unavailable(new RegExp(`^Redis at 127\\.0\\.0\\.1:${server.port} cannot be used: (?!.*geheim).*ECONNREFUSED`)),
    );
  });

  it('needs the password where there is one, in the address or apart', async (t) => {
    const server = await testRedis(t, { more: ['--requirepass', 'geheim'] });
    await assert.rejects(
      testConnection(t, server.url).then((redis) => redis.run(PLUS_ONE, [], ['1'])),
      unavailable(/NOAUTH/),
    );
    await assert.rejects(testConnection(t, server.url, { password: 'falsch' }), unavailable(/WRONGPASS/));
    const apart = await testConnection(t, server.url, { password: 'geheim' });
    assert.equal(await apart.run(PLUS_ONE, [], ['1']), 2);
    const within = await testConnection(t, server.url.replace('//', '//:geheim@'));
    assert.equal(await within.run(PLUS_ONE, [], ['1']), 2);
  });

  it('speaks TLS, and verifies the server by the authorities given', async (t) => {
    const { certificate, key, authority } = certificateFiles(t);
    const more = [
      '--port',
      '0',
      '--tls-cert-file',
      certificate,
      '--tls-key-file',
      key,
      '--tls-auth-clients',
      'no',
      '--tls-ca-cert-file',
      certificate,
    ];
    const server = await testRedis(t, { portOption: '--tls-port', scheme: 'rediss', more });
    const url = server.url.replace('127.0.0.1', 'localhost');
    const redis = await testConnection(t, url, { authorities: authority });
    assert.equal(await redis.run(PLUS_ONE, [], ['1']), 2);
    await assert.rejects(testConnection(t, url), unavailable(/unable to verify the first certificate|self-signed certificate/));
    await assert.rejects(
      testConnection(t, server.url, { authorities: authority }),
      unavailable(/IP: 127\.0\.0\.1 is not in the cert/),
    );
  });

  it('gives up on a server that accepts and says nothing', async (t) => {
    const silent = createServer().listen(0, '127.0.0.1');
    t.after(() => silent.close());
    await wait(50);
    const address = silent.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    await assert.rejects(
      testConnection(t, `redis://:geheim@127.0.0.1:${port}`, { connectMs: 200 }),
      unavailable(/no answer within 200 ms/),
    );
  });

  it('fails at once while the server is away, and comes back with it', async (t) => {
    const server = await testRedis(t);
    const redis = await testConnection(t, server.url);
    await redis.run(PLUS_ONE, [], ['1']);
    await server.kill();
    for (let tries = 0; tries < 20; tries += 1) {
      await assert.rejects(redis.run(PLUS_ONE, [], ['1']), unavailable(/cannot be used/));
      await wait(5);
    }
    await server.start();
    const untilMs = Date.now() + 30_000;
    let answer: unknown = null;
    while (answer === null && Date.now() < untilMs) {
      answer = await redis.run(PLUS_ONE, [], ['1']).catch(() => null);
      await wait(20);
    }
    assert.equal(answer, 2);
    redis.close();
    await assert.rejects(redis.run(PLUS_ONE, [], ['1']), unavailable(/the connection is closed/));
  });
});
