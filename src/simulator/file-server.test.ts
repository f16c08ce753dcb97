/** Parts of CID set files, as the simulator's file server gives them out. */

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { steppedClock } from '../../test/support/stepped-clock.ts';
import { createDictClient } from '../bridge/dict-client.ts';
import { participant } from '../dict/participant.ts';
import { sampleEntries } from '../dict/sample-entries.ts';
import { startSimulator } from './simulator.ts';

const scope = { participant: participant('00038166'), keyType: 'EVP' } as const;
const keys = 5_000;
const plain = { 'accept-encoding': 'identity' };

async function fileOf(t: TestContext): Promise<{ url: string; whole: string; tag: string }> {
  const clock = steppedClock();
  const { state, apiUrl, close } = await startSimulator({ clock, policies: null });
  const client = createDictClient({ apiUrl, filesHosts: [], clock, random: () => 0, budget: { policies: 'configured' } });
  t.after(async () => {
    await client.close();
    await close();
  });
  state.seedEntries(sampleEntries({ seed: 1, ...scope, count: keys }));
  const { id } = await client.createCidSetFile(scope);
  clock.move(3_600_000);
  const { url } = await client.getCidSetFile({ participant: scope.participant, id });
  assert.ok(url !== null);
  const response = await fetch(url, { headers: plain });
  return { url, whole: await response.text(), tag: response.headers.get('etag') ?? '' };
}

describe('the file server', () => {
  it('gives the rest of a file from any byte on, and says so', async (t) => {
    const { url, whole, tag } = await fileOf(t);
    assert.equal(whole.length, keys * 65);
    assert.match(tag, /^"[0-9]+"$/);
    for (const from of [1, 64, 65, 133_119, 133_120, 133_121, whole.length - 1]) {
      const response = await fetch(url, { headers: { ...plain, range: `bytes=${from}-`, 'if-range': tag } });
      assert.equal(response.status, 206);
      assert.equal(response.headers.get('content-range'), `bytes ${from}-${whole.length - 1}/${whole.length}`);
      assert.equal(await response.text(), whole.slice(from));
    }
  });

  it('gives the whole where another version is asked about, where the answer is compressed, and over ranges it does not know', async (t) => {
    const { url, whole } = await fileOf(t);
    for (const headers of [
      { ...plain, range: 'bytes=10-', 'if-range': '"other"' },
      { 'accept-encoding': 'gzip', range: 'bytes=10-' },
      { ...plain, range: 'bytes=10-20' },
      { ...plain, range: 'lines=1-' },
    ]) {
      const response = await fetch(url, { headers });
      assert.equal(response.status, 200);
      assert.equal(await response.text(), whole);
    }
  });

  it('has nothing after the end', async (t) => {
    const { url, whole } = await fileOf(t);
    const response = await fetch(url, { headers: { ...plain, range: `bytes=${whole.length}-` } });
    assert.equal(response.status, 416);
    assert.equal(response.headers.get('content-range'), `bytes */${whole.length}`);
    await response.arrayBuffer();
  });
});
