/** A Redis that the configuration names: used by every client of DICT, an error where it cannot be reached, never passed over. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { CommandFailed } from '../src/cli/io.ts';
import { ConfigRefused, loadConfig } from '../src/config.ts';
import { DictError } from '../src/dict/errors.ts';
import { participant } from '../src/dict/participant.ts';
import { scaledClock } from '../src/platform/clock.ts';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import { type OpenedDict, openDict } from '../src/wire-dict.ts';
import { redisMissing } from './support/foreign-programs.ts';
import { testRedis } from './support/redis-server.ts';

const FACTOR = 600;
const skip = redisMissing() ?? false;
const request = { participant: participant('00038166'), keyType: 'CPF' } as const;

async function simulated(t: TestContext): Promise<Simulator> {
  const policies = { CIDS_EVENTS_LIST: { capacity: 10, refillTokens: 1, refillPeriodSec: 86_400 } };
  const simulator = await startSimulator({ clock: scaledClock(FACTOR), policies });
  t.after(() => simulator.close());
  return simulator;
}

function directoryOf(t: TestContext): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'redis-configuration-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A client as every command opens it; what a minute is to it, is a tenth of a second here. */
async function opened(t: TestContext, env: Readonly<Record<string, string>>): Promise<OpenedDict> {
  const common = { DICT_VSYNC_PROGRAM_TIME_SCALE: String(FACTOR), DICT_VSYNC_DICT_TOKEN_WAIT: '1min' };
  const dict = await openDict({
    config: loadConfig({ env: { ...common, ...env }, cwd: directoryOf(t) }),
    clock: scaledClock(FACTOR),
  });
  t.after(() => dict.close());
  return dict;
}

const failsAs =
  (kind: string, message: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof DictError, String(error));
    assert.deepEqual([error.kind, error.remedy, error.status], [kind, 'retry', 0]);
    assert.match(error.message, message);
    return true;
  };

describe('DICT_VSYNC_REDIS_URL', { skip, timeout: 120_000 }, () => {
  it('lets processes share their tokens, under the prefix and with the password that are configured', async (t) => {
    const redis = await testRedis(t, { more: ['--requirepass', 'geheim'] });
    const simulator = await simulated(t);
    const passwordFile = path.join(directoryOf(t), 'password');
    writeFileSync(passwordFile, 'geheim\n');
    const env = {
      DICT_URL: simulator.apiUrl,
      DICT_VSYNC_REDIS_URL: redis.url,
      DICT_VSYNC_REDIS_PASSWORD_FILE: passwordFile,
      DICT_VSYNC_REDIS_KEY_PREFIX: 'mine:',
    };
    const [one, other] = [await opened(t, env), await opened(t, env)];
    for (let calls = 0; calls < 8; calls += 1) await (calls % 2 === 0 ? one : other).listCidSetEvents(request);
    // Two of ten are kept back from routine; DICT itself would have let it pass.
    for (const dict of [one, other])
      await assert.rejects(dict.listCidSetEvents(request), failsAs('NoTokens', /no token of DICT/));
    await other.listCidSetEvents(request, { priority: 'verification' });
    const counts = simulator.state.counts();
    assert.equal(counts['listCidSetEvents 200'], 9);
    assert.ok((counts['listPolicies 200'] ?? 0) >= 1);
    const names = redis.command('-a', 'geheim', '--no-auth-warning', 'KEYS', '*').split('\n');
    assert.ok(names.length >= 3);
    for (const name of names) assert.match(name, /^mine:\{00038166\}:/);
  });

  it('of a Redis that has lost everything makes DICT be asked anew, instead of guessing', async (t) => {
    const redis = await testRedis(t);
    const simulator = await simulated(t);
    const env = { DICT_URL: simulator.apiUrl, DICT_VSYNC_REDIS_URL: redis.url };
    // Asking takes real time, which counts six hundredfold.
    const dict = await opened(t, { ...env, DICT_VSYNC_DICT_TOKEN_WAIT: '30min' });
    await dict.listCidSetEvents(request);
    redis.command('FLUSHALL');
    // Somebody else used the rest but three. Half a bucket would be a guess of five.
    simulator.state.setTokens(request.participant, 'CIDS_EVENTS_LIST', 3);
    await dict.listCidSetEvents(request);
    await assert.rejects(dict.listCidSetEvents(request), failsAs('NoTokens', /no token of DICT/));
    assert.deepEqual(
      Object.keys(simulator.state.counts()).filter((name) => name.endsWith(' 429')),
      [],
    );
    assert.ok((simulator.state.counts()['listPolicies 200'] ?? 0) >= 2);
  });

  it('that leads nowhere ends the command with what to do about it', async (t) => {
    const redis = await testRedis(t);
    await redis.kill();
    const simulator = await simulated(t);
    await assert.rejects(
      opened(t, { DICT_URL: simulator.apiUrl, DICT_VSYNC_REDIS_URL: redis.url }),
      (error) =>
        error instanceof CommandFailed &&
        /^Redis at 127\.0\.0\.1:\d+ cannot be used: .*ECONNREFUSED.*DICT_VSYNC_REDIS_URL names it/.test(error.message),
    );
    assert.deepEqual(simulator.state.counts(), {});
  });

  it('of a Redis that is lost makes calls wait for it and then say so: nothing goes out unthrottled', async (t) => {
    const redis = await testRedis(t);
    const simulator = await simulated(t);
    const dict = await opened(t, { DICT_URL: simulator.apiUrl, DICT_VSYNC_REDIS_URL: redis.url });
    await dict.listCidSetEvents(request);
    await redis.kill();
    const lost = failsAs(
      'BucketsUnreachable',
      /^CIDS_EVENTS_LIST: nothing was sent, because the token buckets could not be asked in time: Redis at 127\.0\.0\.1:\d+ cannot be used/,
    );
    for (const priority of ['routine', 'verification', 'person'] as const) {
      await assert.rejects(dict.listCidSetEvents(request, { priority }), lost);
    }
    assert.equal(simulator.state.counts()['listCidSetEvents 200'], 1);
    await redis.start();
    const untilMs = Date.now() + 30_000;
    let page = await dict.listCidSetEvents(request).catch(() => null);
    while (page === null && Date.now() < untilMs) {
      await wait(50);
      page = await dict.listCidSetEvents(request).catch(() => null);
    }
    assert.notEqual(page, null);
    assert.equal(simulator.state.counts()['listCidSetEvents 200'], 2);
  });
});

describe('options of Redis', () => {
  it('are refused where the address is missing, and the address is a secret', (t) => {
    const cwd = directoryOf(t);
    assert.throws(
      () => loadConfig({ env: { DICT_VSYNC_REDIS_PASSWORD: 'geheim' }, cwd }),
      (error) => error instanceof ConfigRefused && /without DICT_VSYNC_REDIS_URL/.test(error.message),
    );
    assert.throws(
      () => loadConfig({ env: { DICT_VSYNC_REDIS_URL: 'http://:geheim@redis' }, cwd }),
      (error) =>
        error instanceof ConfigRefused && /redis:\/\/ or rediss:\/\//.test(error.message) && !/geheim/.test(error.message),
    );
    const { redis } = loadConfig({
      env: { DICT_VSYNC_REDIS_URL: 'rediss://redis:6380', DICT_VSYNC_REDIS_AUTHORITIES: 'ca.pem' },
      cwd,
    });
    assert.deepEqual(
      [redis.url, redis.authorities, redis.keyPrefix],
      ['rediss://redis:6380', path.join(cwd, 'ca.pem'), 'dict-vsync:'],
    );
  });
});
