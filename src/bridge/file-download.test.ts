/** A CID set file comes whole and uncompressed or not at all, and only from hosts that are expected. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { answer, type Script, type ScriptedDict, scriptedDict } from '../../test/support/scripted-dict.ts';
import { DictError } from '../dict/errors.ts';
import { participant } from '../dict/participant.ts';
import { systemClock } from '../platform/clock.ts';
import { createDictClient, type DictReadClientOptions } from './dict-client.ts';

type Client = ReturnType<typeof createDictClient>;

async function setUp(
  t: TestContext,
  more: Partial<DictReadClientOptions> = {},
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

/** Cuts the connection after so many bytes of what is asked for. */
const cutAfter =
  (bytes: number, headers: Readonly<Record<string, string>> = {}): Script =>
  (response) => {
    response.writeHead(200, { 'content-length': String(content.length), ...headers });
    response.write(content.subarray(0, bytes), () => response.socket?.destroy());
  };

/** The rest that is asked for by Range, as a server that knows it answers. */
const rest =
  (headers: Readonly<Record<string, string>> = {}, upto = content.length): Script =>
  (response, { headers: { range } }) => {
    const first = Number(/^bytes=([0-9]+)-$/.exec(range ?? '')?.[1]);
    const told = { 'content-range': `bytes ${first}-${content.length - 1}/${content.length}`, ...headers };
    response.writeHead(206, { 'content-length': String(content.length - first), ...told });
    if (upto === content.length) response.end(content.subarray(first));
    else response.write(content.subarray(first, upto), () => response.socket?.destroy());
  };

describe('a download that breaks off', () => {
  it('goes on by Range where it was, uncompressed, as often as each try brings something', async (t) => {
    const { files, client } = await setUp(t);
    files.play(cutAfter(100_000), rest({}, 200_000), rest({}, 300_000), rest({}, 400_000), rest({}, 500_000), rest());
    assert.deepEqual(await download(client, `http://${files.host}/x`), content);
    const ranges = files.received.map(({ headers }) => [headers['accept-encoding'], headers['range'] ?? null]);
    assert.deepEqual(ranges, [
      ['gzip', null],
      ['identity', 'bytes=100000-'],
      ['identity', 'bytes=200000-'],
      ['identity', 'bytes=300000-'],
      ['identity', 'bytes=400000-'],
      ['identity', 'bytes=500000-'],
    ]);
  });

  it('says which version it has, where the server told one', async (t) => {
    const { files, client } = await setUp(t);
    const changed = 'Fri, 27 Nov 2026 10:00:00 GMT';
    for (const [told, asked] of [
      [{ etag: '"v1"' }, '"v1"'],
      [{ etag: 'W/"v1"', 'last-modified': changed }, undefined],
      [{ 'last-modified': changed }, changed],
      [{}, undefined],
    ] as const) {
      files.play(cutAfter(650), rest(told));
      assert.deepEqual(await download(client, `http://${files.host}/x`), content, JSON.stringify(told));
      files.play(cutAfter(650, told), rest(told));
      assert.deepEqual(await download(client, `http://${files.host}/x`), content, JSON.stringify(told));
      assert.equal(files.received.at(-1)?.headers['if-range'], asked);
    }
  });

  it('asks for the uncompressed rest of what came compressed', async (t) => {
    const { files, client } = await setUp(t);
    // Random digits, so that half of the packed bytes hold about half of the content.
    const varied = Buffer.from(Array.from({ length: 4_000 }, () => `${randomBytes(32).toString('hex')}\n`).join(''));
    const packed = gzipSync(varied);
    const half: Script = (response) => {
      const headers = { 'content-encoding': 'gzip', 'content-length': String(packed.length), etag: '"packed"' };
      response.writeHead(200, headers);
      response.write(packed.subarray(0, packed.length >>> 1), () => setTimeout(() => response.socket?.destroy(), 50));
    };
    files.play(half, (response, { headers: { range } }) => {
      const first = Number(/^bytes=([0-9]+)-$/.exec(range ?? '')?.[1]);
      const told = `bytes ${first}-${varied.length - 1}/${varied.length}`;
      response.writeHead(206, { 'content-range': told, etag: '"plain"' }).end(varied.subarray(first));
    });
    assert.deepEqual(await download(client, `http://${files.host}/x`), varied);
    const [, second] = files.received;
    assert.ok(Number(/^bytes=([0-9]+)-$/.exec(second?.headers['range'] ?? '')?.[1]) > 0);
    assert.deepEqual([second?.headers['accept-encoding'], second?.headers['if-range']], ['identity', undefined]);
  });

  it('passes over what it has where the server knows no ranges', async (t) => {
    const { files, client } = await setUp(t);
    files.play(cutAfter(300_001), plain);
    assert.deepEqual(await download(client, `http://${files.host}/x`), content);
    files.play(cutAfter(300_001), answer(200, gzipSync(content), { 'content-encoding': 'gzip' }));
    assert.deepEqual(await download(client, `http://${files.host}/x`), content);
  });

  it('begins where its caller is, who may have had the beginning from an earlier process', async (t) => {
    const { files, client } = await setUp(t);
    for (const script of [rest(), plain]) {
      files.play(script);
      const chunks: Uint8Array[] = [];
      const request = { url: `http://${files.host}/x`, bytesMax: content.length, from: 123_456 };
      for await (const chunk of client.downloadCidSetFile(request)) chunks.push(chunk);
      assert.deepEqual(Buffer.concat(chunks), content.subarray(123_456));
      assert.equal(files.received.at(-1)?.headers['range'], 'bytes=123456-');
    }
  });

  it('counts what the caller had towards the length that is allowed', async (t) => {
    const { files, client } = await setUp(t);
    files.play(cutAfter(300_000), rest());
    await assert.rejects(download(client, `http://${files.host}/x`, content.length - 1), /longer than 649999/);
  });

  const changed: readonly [string, Script, RegExp][] = [
    ['another ETag', rest({ etag: '"v2"' }), /has changed since 1000 bytes/],
    ['the whole under another ETag', answer(200, content, { etag: '"v2"' }), /has changed since 1000 bytes/],
    ['nothing at that place', answer(416, ''), /not longer than the 1000 bytes/],
    ['a shorter one', answer(200, content.subarray(0, 900)), /100 bytes shorter/],
  ];
  for (const [what, script, message] of changed) {
    it(`is not mixed with another file: ${what}`, async (t) => {
      const { files, client } = await setUp(t);
      files.play(cutAfter(1_000, { etag: '"v1"' }), script);
      await assert.rejects(download(client, `http://${files.host}/x`), (error) => {
        assert.ok(error instanceof DictError, String(error));
        assert.match(error.message, message);
        assert.equal(error.kind, 'FileChanged');
        return true;
      });
      assert.equal(files.received.length, 2);
    });
  }

  for (const [what, range] of [
    ['another part', 'bytes 0-649999/650000'],
    ['a part of nothing known', 'lines 1-2'],
  ] as const) {
    it(`takes no ${what} for the rest`, async (t) => {
      const { files, client } = await setUp(t);
      files.play(cutAfter(1_000), answer(206, content, { 'content-range': range }));
      await assert.rejects(download(client, `http://${files.host}/x`), /not the part from byte 1000 on/);
    });
  }

  it('is given up after tries in a row that bring nothing, by the name of the last failure', async (t) => {
    const { files, client } = await setUp(t);
    files.play(cutAfter(1_000), answer(503, '', { 'retry-after': '0' }));
    await assert.rejects(download(client, `http://${files.host}/x`), /HTTP 503/);
    assert.equal(files.received.length, 3);
    files.play(cutAfter(1_000), answer(503, '', { 'retry-after': '3600' }));
    await assert.rejects(download(client, `http://${files.host}/x`), (error) => {
      return error instanceof DictError && error.kind === 'ServiceUnavailable' && error.retryAfterSec === 3_600;
    });
    assert.equal(files.received.length, 5);
  });

  it('does not follow a redirect to an unexpected host on its way either', async (t) => {
    const { files, client } = await setUp(t);
    files.play(cutAfter(1_000), (response) => void response.writeHead(302, { location: 'http://127.0.0.2/x' }).end());
    await assert.rejects(download(client, `http://${files.host}/x`), /names the host 127\.0\.0\.2/);
  });

  it('leaves a host alone that fails again and again, and tells until when', async (t) => {
    const { files, client } = await setUp(t, { circuit: { failuresMax: 2, openMs: 60_000 }, retry: { triesMax: 1 } });
    const url = `http://${files.host}/x`;
    files.play(answer(503, ''));
    for (let count = 0; count < 2; count++) await assert.rejects(download(client, url), /HTTP 503/);
    await assert.rejects(download(client, url), (error) => {
      assert.ok(error instanceof DictError && error.kind === 'CircuitOpen', String(error));
      assert.match(error.message, /127\.0\.0\.1 failed 2 times in a row and is left alone until 2/);
      return true;
    });
    assert.equal(files.received.length, 2);
    // The API, on the same host here, has a circuit of its own.
    files.play(answer(404, ''));
    await assert.rejects(
      client.listPolicies({ participant: participant('12345678') }),
      (error) => error instanceof DictError && error.kind === 'InvalidAnswer',
    );
  });
});
