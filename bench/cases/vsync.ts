/** The VSync of a file of CIDs, against a reading in plain JavaScript. */

import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { assert } from '../../src/platform/assert.ts';
import { vsyncOfBuckets } from '../../src/vsync/buckets.ts';
import { foldLines } from '../../src/vsync/cid-lines.ts';
import { vsyncToHex } from '../../src/vsync/vsync.ts';
import type { Bench } from '../bench.ts';
import { writeCidFiles } from '../fixtures/cid-files.ts';

async function kernel(file: string): Promise<string> {
  const reader = foldLines(({ number }) => {
    throw new TypeError(`line ${number} is no CID`);
  });
  // A file stream without encoding yields Buffers.
  for await (const chunk of createReadStream(file, { highWaterMark: 1_048_576 })) reader.read(chunk as Buffer);
  reader.end();
  return vsyncToHex(vsyncOfBuckets(reader.buckets));
}

async function plain(file: string): Promise<string> {
  const vsync = Buffer.alloc(32);
  for await (const line of createInterface({ input: createReadStream(file) })) {
    const cid = Buffer.from(line, 'hex');
    for (let at = 0; at < 32; at++) vsync[at] = (vsync[at] ?? 0) ^ (cid[at] ?? 0);
  }
  return vsync.toString('hex');
}

export const bench: Bench = {
  what: 'the VSync of a file of CIDs',
  items: { usual: 10_000_000, small: 1_000_000, unit: 'lines' },
  timed: 'work',
  rounds: 5,
  sides: {
    ours: {
      run: async ({ file, vsync, lines }) => {
        assert((await kernel(String(file))) === vsync, 'the VSync is right');
        return Number(lines);
      },
    },
    'plain JavaScript': {
      run: async ({ file, vsync, lines }) => {
        assert((await plain(String(file))) === vsync, 'the VSync is right');
        return Number(lines);
      },
    },
  },
  wanted: { 'plain JavaScript': { atMost: 0.2, smallAtMost: 0.7 } },
  async prepare(items, directory) {
    const { a } = await writeCidFiles(directory, items);
    return { fixture: { file: a, lines: items, vsync: await plain(a) } };
  },
};
