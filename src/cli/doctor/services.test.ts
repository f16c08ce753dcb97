/** Services of one's own are examined where the configuration names them, and only there. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, it } from 'node:test';
import { bridgeOf, checkServices } from './services.ts';

const options = { limitMs: 5_000, signal: new AbortController().signal };

describe('services that the configuration names', () => {
  it('are not examined where there are none', async () => {
    assert.deepEqual(await checkServices({ program: { dataDir: '.data' }, redis: { url: null } }, options), []);
    assert.equal(bridgeOf({ bridge: { url: null } }), null);
  });

  it('are fine when they take connections, and say what is lost when they do not', async (t) => {
    const server = createServer((socket) => socket.destroy());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const address = server.address();
    assert.ok(address !== null && typeof address !== 'string');
    const config = { redis: { url: `redis://user:geheim@127.0.0.1:${address.port}/0` }, bridge: { url: 'grpcs://127.0.0.1:9' } };
    const findings = await checkServices(config, options);
    assert.deepEqual(
      findings.map(({ check, level }) => `${check} ${level}`),
      ['Redis ok', 'bridge fail'],
    );
    assert.match(findings[0]?.seen ?? '', /^127\.0\.0\.1:[0-9]+ accepts connections/);
    assert.match(findings[1]?.seen ?? '', /127\.0\.0\.1:9 cannot be connected to \(ECONNREFUSED\)/);
    assert.match(findings[1]?.advice ?? '', /DICT_VSYNC_BRIDGE_URL.*without it DICT cannot be asked/);
    assert.equal(JSON.stringify(findings).includes('geheim'), false);
    assert.equal(bridgeOf(config), 'grpcs://127.0.0.1:9');
  });

  it('are named when their host is none', async () => {
    const [finding] = await checkServices({ redis: { url: 'redis://redis.invalid' } }, options);
    assert.equal(finding?.level, 'fail');
    assert.match(finding.seen, /redis\.invalid leads to no address/);
  });
});
