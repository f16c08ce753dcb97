/** A CID set file comes whole and uncompressed or not at all, and only from hosts that are expected. */

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { answer, type Script, type ScriptedDict, scriptedDict } from '../../test/support/scripted-dict.ts';
import { DictError } from '../dict/errors.ts';
import { systemClock } from '../platform/clock.ts';
import { createDictClient } from './dict-client.ts';

type Client = ReturnType<typeof createDictClient>;

async function setUp(
  t: TestContext,
  more: { apiUrl?: string; filesHosts?: string[] } = {},
): Promise<{ files: ScriptedDict; client: Client }> {
  const files = await scriptedDict(t);
  const client = createDictClient({
    apiUrl: files.apiUrl,
    filesHosts: [files.host],
    clock: systemClock,
    random: Math.random,
    limits: { idleMs: 300 },
    ...more,
  });
  t.after(() => client.close());
  return { files, client };
}

async function download(client: Client, url: string, bytesMax = 1_000_000, signal?: AbortSignal): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  const options = signal === undefined ? {} : { signal };
  for await (const chunk of client.downloadCidSetFile({ url, bytesMax }, options)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const content = Buffer.alloc(650_000, `${'ca978112'.repeat(8)}\n`);
const plain: Script = (response) => void response.writeHead(200, { 'content-type': 'text/plain' }).end(content);

describe('downloadCidSetFile', () => {
  it('gives the content, whether it travels plain or as gzip', async (t) => {
    const { files, client } = await setUp(t);
    files.play(plain, answer(200, gzipSync(content), { 'content-encoding': 'gzip' }), answer(200, ''));
    const url = `http://${files.host}/cids/1.txt?x=1`;
    assert.deepEqual(await download(client, url), content);
    assert.deepEqual(await download(client, url), content);
    assert.equal((await download(client, url)).length, 0);
    assert.equal(files.received[0]?.path, '/cids/1.txt?x=1');
    assert.equal(files.received[0]?.headers['accept-encoding'], 'gzip');
  });

  it('takes a host without a port for that host on any', async (t) => {
    const { files, client } = await setUp(t, { filesHosts: ['127.0.0.1'] });
    files.play(plain);
    assert.equal((await download(client, `http://${files.host}/x`)).length, content.length);
    await assert.rejects(download(client, 'http://127.0.0.2/x'), /names the host/);
  });

  it('follows a redirect to an expected host, a few times', async (t) => {
    const { files, client } = await setUp(t);
    const moved: Script = (response) => void response.writeHead(302, { location: '/there' }).end('moved');
    files.play(moved, plain);
    assert.equal((await download(client, `http://${files.host}/here`)).length, content.length);
    files.play(moved);
    await assert.rejects(download(client, `http://${files.host}/here`), /more than 3 redirects/);
  });

  it('lets go of the connection when its reader leaves', async (t) => {
    const { files, client } = await setUp(t);
    const closed = Promise.withResolvers<void>();
    files.play((response) => {
      response.on('close', () => closed.resolve());
      response.writeHead(200);
      response.write(content);
    });
    for await (const chunk of client.downloadCidSetFile({ url: `http://${files.host}/x`, bytesMax: 1_000_000 })) {
      assert.ok(chunk.byteLength > 0);
      break;
    }
    await closed.promise;
  });

  it("ends with the caller's signal", async (t) => {
    const { files, client } = await setUp(t);
    files.play((response) => {
      response.writeHead(200);
      response.write(content.subarray(0, 65));
    });
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('enough')), 50);
    await assert.rejects(download(client, `http://${files.host}/x`, 1_000_000, controller.signal), /enough/);
  });

  const foreign: readonly [string, string, RegExp][] = [
    ['another host', 'http://127.0.0.2/x', /names the host 127\.0\.0\.2, which is not among/],
    ['the right host on another port', 'http://127.0.0.1:1/x', /names the host/],
    ['a name that only begins right', 'http://HOST.evil.example/x', /is no URL|names the host/],
    ['a user name', 'http://me:secret@HOST/x', /carries a user name/],
    ['another scheme', 'file:///etc/passwd', /uses file: instead of https/],
    ['no URL', 'not a url', /is no URL/],
    ['a URL without end', `http://HOST/${'x'.repeat(600)}`, /at most 500 characters/],
  ];
  for (const [what, url, message] of foreign) {
    it(`asks nobody at ${what}, also when sent there`, async (t) => {
      const { files, client } = await setUp(t);
      const target = url.replace('HOST', files.host);
      await assert.rejects(download(client, target), message);
      assert.equal(files.received.length, 0);
      if (what === 'no URL') return;
      files.play((response) => void response.writeHead(307, { location: target }).end());
      await assert.rejects(download(client, `http://${files.host}/x`), message);
      assert.equal(files.received.length, 1);
    });
  }

  it('insists on https where the API is spoken to by https', async (t) => {
    const { files } = await setUp(t);
    const { client } = await setUp(t, { apiUrl: 'https://127.0.0.1:1/api/v2/', filesHosts: [files.host] });
    await assert.rejects(download(client, `http://${files.host}/x`), /uses http: instead of https/);
  });

  const broken: readonly [string, Script, string, RegExp][] = [
    ['a missing file', answer(404, ''), 'NotFound', /HTTP 404/],
    ['a forbidden file', answer(403, ''), 'Forbidden', /HTTP 403/],
    ['a server in trouble', answer(503, ''), 'ServiceUnavailable', /HTTP 503/],
    ['a part of a file', answer(206, 'x'), 'InvalidAnswer', /HTTP 206/],
    ['a redirect to nowhere', answer(302, ''), 'InvalidAnswer', /without Location/],
    [
      'a file longer than allowed',
      (response) => void response.writeHead(200).end(Buffer.alloc(1_000_001)),
      'InvalidAnswer',
      /longer than 1000000/,
    ],
    [
      'a gzip bomb',
      answer(200, gzipSync(Buffer.alloc(50_000_000)), { 'content-encoding': 'gzip' }),
      'InvalidAnswer',
      /longer than 1000000/,
    ],
    [
      'gzip cut off',
      answer(200, gzipSync(content).subarray(0, 500), { 'content-encoding': 'gzip' }),
      'InvalidAnswer',
      /not whole gzip/,
    ],
    ['gzip that is none', answer(200, content, { 'content-encoding': 'gzip' }), 'InvalidAnswer', /not whole gzip/],
    ['another encoding', answer(200, content, { 'content-encoding': 'zstd' }), 'InvalidAnswer', /"zstd" is not gzip/],
    [
      'a file cut off',
      (response) => {
        response.writeHead(200, { 'content-length': '650000' });
        response.write(content.subarray(0, 1000), () => response.socket?.destroy());
      },
      'ConnectionLost',
      /connection broke/,
    ],
    [
      'a server that falls silent',
      (response) => {
        response.writeHead(200);
        response.write(content.subarray(0, 1000));
      },
      'Timeout',
      /fell silent/,
    ],
    ['a server that never answers', () => undefined, 'Timeout', /fell silent/],
  ];
  for (const [what, script, kind, message] of broken) {
    it(`fails by name on ${what}`, async (t) => {
      const { files, client } = await setUp(t);
      files.play(script);
      await assert.rejects(download(client, `http://${files.host}/x`), (error) => {
        assert.ok(error instanceof DictError, String(error));
        assert.match(error.message, message);
        assert.equal(error.kind, kind);
        return true;
      });
    });
  }
});
