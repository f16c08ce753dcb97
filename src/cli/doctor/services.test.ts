/** Services of one's own are examined where the configuration names them, and only there: whether they serve, not only whether a port opens. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { redisMissing } from '../../../test/support/foreign-programs.ts';
import { grpcBridge } from '../../../test/support/grpc-bridge.ts';
import { testRedis } from '../../../test/support/redis-server.ts';
import { scriptedDict } from '../../../test/support/scripted-dict.ts';
import { createDictClient } from '../../bridge/dict-client.ts';
import { type Config, loadConfig } from '../../config.ts';
import { systemClock } from '../../platform/clock.ts';
import { bridgeOf, checkServices } from './services.ts';

const options = { limitMs: 5_000, signal: new AbortController().signal };

function configured(env: Readonly<Record<string, string>>): Config {
  return loadConfig({ env, cwd: '/' });
}

/** A port that takes connections and breaks them off. */
async function deafPort(t: TestContext): Promise<number> {
  const server = createServer((socket) => socket.destroy());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const address = server.address();
  assert.ok(address !== null && typeof address !== 'string');
  return address.port;
}

describe('services that the configuration names', () => {
  it('are not examined where there are none', async () => {
    assert.deepEqual(await checkServices(configured({}), options), []);
    assert.equal(bridgeOf(configured({})), null);
  });

  it('say what is lost when their ports take no connections', async () => {
    const config = configured({
      DICT_VSYNC_REDIS_URL: 'redis://user:geheim@127.0.0.1:9/0',
      DICT_VSYNC_BRIDGE_URL: 'grpcs://127.0.0.1:9',
    });
    const findings = await checkServices(config, options);
    assert.deepEqual(
      findings.map(({ check, level }) => `${check} ${level}`),
      ['Redis fail', 'bridge fail'],
    );
    for (const { seen } of findings) assert.match(seen, /127\.0\.0\.1:9 cannot be connected to \(ECONNREFUSED\)/);
    assert.match(findings[0]?.advice ?? '', /DICT_VSYNC_REDIS_URL.*replicas cannot share/);
    assert.match(findings[1]?.advice ?? '', /DICT_VSYNC_BRIDGE_URL.*without it DICT cannot be asked/);
    assert.equal(JSON.stringify(findings).includes('geheim'), false);
    assert.equal(bridgeOf(config), 'grpcs://127.0.0.1:9');
  });

  it('have failed where a port opens and nobody of that kind answers', async (t) => {
    const port = await deafPort(t);
    const config = configured({
      DICT_VSYNC_REDIS_URL: `redis://user:geheim@127.0.0.1:${port}/0`,
      DICT_VSYNC_BRIDGE_URL: `grpc://127.0.0.1:${port}`,
    });
    const findings = await checkServices(config, options);
    assert.deepEqual(
      findings.map(({ check, level }) => `${check} ${level}`),
      ['Redis fail', 'bridge fail'],
    );
    assert.match(findings[0]?.seen ?? '', new RegExp(`Redis at 127.0.0.1:${port} cannot be used`));
    assert.match(findings[1]?.seen ?? '', new RegExp(`bridge at 127.0.0.1:${port}`));
    assert.equal(JSON.stringify(findings).includes('geheim'), false);
  });

  it('are fine when they serve: a bridge says so of itself, and DICT is not asked', async (t) => {
    const scripted = await scriptedDict(t);
    const dict = createDictClient({ apiUrl: scripted.apiUrl, filesHosts: [], clock: systemClock, random: Math.random });
    t.after(() => dict.close());
    const { server } = await grpcBridge(t, dict);
    const [finding] = await checkServices(configured({ DICT_VSYNC_BRIDGE_URL: `grpc://127.0.0.1:${server.port}` }), options);
    assert.deepEqual([finding?.check, finding?.level], ['bridge', 'ok']);
    assert.equal(scripted.received.length, 0);
  });

  it('are fine when they serve: Redis greets us', { skip: redisMissing() ?? false }, async (t) => {
    const redis = await testRedis(t);
    const [finding] = await checkServices(configured({ DICT_VSYNC_REDIS_URL: redis.url }), options);
    assert.deepEqual([finding?.check, finding?.level], ['Redis', 'ok']);
    assert.match(finding?.seen ?? '', /accepts connections.*, and serves/);
  });

  it('are named when their host is none', async () => {
    const [finding] = await checkServices(configured({ DICT_VSYNC_REDIS_URL: 'redis://redis.invalid' }), options);
    assert.equal(finding?.level, 'fail');
    assert.match(finding.seen, /redis\.invalid leads to no address/);
  });
});
