/** A download over servers that cut, compress, ignore ranges, refuse and change at random: the very file, or an error that names why. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { it } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { type Script, scriptedDict } from '../../test/support/scripted-dict.ts';
import { DictError } from '../dict/errors.ts';
import { systemClock } from '../platform/clock.ts';
import { createDictClient } from './dict-client.ts';

/** Bytes that repeat nowhere, so that none is taken for another's. */
const content = Buffer.concat(Array.from({ length: 600 }, (_, index) => createHash('sha512').update(`${index}`).digest()));
const other = Buffer.concat(Array.from({ length: 500 }, (_, index) => createHash('sha512').update(`other ${index}`).digest()));
const packed = gzipSync(content);

interface Turn {
  readonly ranges: boolean;
  readonly gzip: boolean;
  readonly tagged: boolean;
  /** Bytes of the body after which the connection is cut; more than there are: not at all. */
  readonly cutAfter: number;
  readonly refused: boolean;
  /** The file is another one by now. */
  readonly changed: boolean;
}

/** What an honest server in that state answers. */
function scriptOf({ ranges, gzip, tagged, cutAfter, refused, changed }: Turn): Script {
  return (response, { headers }) => {
    if (refused) return void response.writeHead(503).end();
    const [file, tag] = changed ? [other, '"other"'] : [content, '"content"'];
    const told = tagged ? { etag: tag } : {};
    const takesGzip = headers['accept-encoding'] === 'gzip';
    const first = Number(/^bytes=([0-9]+)-$/.exec(headers.range ?? '')?.[1] ?? Number.NaN);
    const isSame = headers['if-range'] === undefined || headers['if-range'] === tag;
    const cut = (status: number, body: Buffer, more: Readonly<Record<string, string>>): void => {
      response.writeHead(status, { 'content-length': String(body.length), ...more });
      if (cutAfter >= body.length) response.end(body);
      else response.write(body.subarray(0, cutAfter), () => setTimeout(() => response.socket?.destroy(), 5));
    };
    if (gzip && takesGzip && !changed) return cut(200, packed, { 'content-encoding': 'gzip' });
    if (!ranges || Number.isNaN(first) || !isSame) return cut(200, file, told);
    if (first >= file.length) return void response.writeHead(416).end();
    const part = file.subarray(first);
    cut(206, part, { ...told, 'content-range': `bytes ${first}-${file.length - 1}/${file.length}` });
  };
}

const turn = fc.record({
  ranges: fc.boolean(),
  gzip: fc.boolean(),
  tagged: fc.boolean(),
  cutAfter: fc.integer({ min: 0, max: 50_000 }),
  refused: fc.boolean().chain((once) => (once ? fc.boolean() : fc.constant(false))),
  changed: fc.integer({ min: 0, max: 19 }).map((one) => one === 0),
});

it('comes to the very file, or to an error by name; only where the server said no version may two be mixed', {
  timeout: 180_000,
}, async (t) => {
  const files = await scriptedDict(t);
  const client = createDictClient({
    apiUrl: files.apiUrl,
    filesHosts: [files.host],
    clock: systemClock,
    random: Math.random,
    retry: { triesMax: 3, firstWaitMs: 1, waitMaxMs: 1 },
    circuit: { failuresMax: 1_000_000 },
  });
  t.after(() => client.close());
  let whole = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(turn, { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 0, max: content.length }),
      async (turns, known) => {
        const isMixable =
          turns.some(({ changed }) => changed) && (known > 0 || turns.some(({ tagged, gzip }) => !tagged || gzip));
        files.play(...turns.map(scriptOf));
        const chunks: Uint8Array[] = [content.subarray(0, known)];
        try {
          const request = { url: `http://${files.host}/x`, bytesMax: 100_000, from: known };
          for await (const chunk of client.downloadCidSetFile(request)) chunks.push(chunk);
        } catch (error) {
          assert.ok(error instanceof DictError, String(error));
          assert.match(error.kind, /^(ConnectionLost|ServiceUnavailable|FileChanged|InvalidAnswer)$/);
          // What was handed on before is right nevertheless.
          const got = Buffer.concat(chunks);
          if (!isMixable) assert.deepEqual(got, (turns[0]?.changed ? other : content).subarray(0, got.length));
          return;
        }
        const got = Buffer.concat(chunks);
        if (got.equals(content)) whole += 1;
        else if (!isMixable) assert.deepEqual(got, other, 'the file as it is by now');
      },
    ),
    { numRuns: 150 },
  );
  assert.ok(whole > 30, `${whole} of 150 downloads came through`);
});
