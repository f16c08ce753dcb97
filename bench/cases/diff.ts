/** Two files of CIDs compared as sets: `dict-vsync diff` against what people use today. */

import { createReadStream } from 'node:fs';
import * as path from 'node:path';
import { createInterface } from 'node:readline';
import { DuckDBInstance } from '@duckdb/node-api';
import { assert } from '../../src/platform/assert.ts';
import type { Bench, Fixture } from '../bench.ts';
import { writeCidFiles } from '../fixtures/cid-files.ts';

const program = path.resolve(import.meta.dirname, '../../src/main.ts');

async function setDifference({ a, b, different }: Fixture): Promise<number> {
  const onlyA = new Set<string>();
  let lines = 0;
  let onlyB = 0;
  for await (const line of createInterface({ input: createReadStream(String(a)) })) onlyA.add(line);
  for await (const line of createInterface({ input: createReadStream(String(b)) })) {
    lines += 1;
    if (!onlyA.delete(line)) onlyB += 1;
  }
  assert(onlyA.size === different && onlyB === different, 'what differs is found');
  return lines;
}

async function antiJoin({ a, b, different, lines }: Fixture): Promise<number> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  for (const [name, file] of Object.entries({ a, b })) {
    await connection.run(
      `CREATE TABLE ${name} AS SELECT column0 AS cid FROM read_csv('${String(file)}', header = false, columns = {'column0': 'VARCHAR'})`,
    );
  }
  for (const [one, other] of [
    ['a', 'b'],
    ['b', 'a'],
  ]) {
    const reader = await connection.runAndReadAll(`SELECT count(*) FROM ${one} ANTI JOIN ${other} USING (cid)`);
    assert(Number(reader.getRows()[0]?.[0]) === different, 'what differs is found');
  }
  connection.closeSync();
  return Number(lines);
}

export const bench: Bench = {
  what: 'two files of CIDs compared as sets, one in 100,000 differing',
  items: { usual: 10_000_000, small: 300_000, unit: 'lines in each' },
  timed: 'process',
  rounds: 3,
  sides: {
    ours: {
      program: ({ a, b }) => [process.execPath, program, 'diff', String(a), String(b)],
      statuses: [1],
    },
    'sort | comm': {
      program: ({ a, b }) => ['bash', '-c', 'comm -3 <(sort "$1") <(sort "$2") | wc -l', 'sort-comm', String(a), String(b)],
    },
    'Set<string>': { run: setDifference },
    'DuckDB anti-join': { run: antiJoin },
    'openssl dgst of both': { program: ({ a, b }) => ['openssl', 'dgst', '-sha256', String(a), String(b)] },
  },
  wanted: {
    'sort | comm': { atMost: 0.25, smallAtMost: 6 },
    'Set<string>': { atMost: 0.2, smallAtMost: 6 },
    'DuckDB anti-join': { atMost: 0.6, smallAtMost: 8 },
  },
  async prepare(items, directory) {
    const files = await writeCidFiles(directory, items);
    return { fixture: { ...files, lines: items } };
  },
};
