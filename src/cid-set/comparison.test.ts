/** Two files against a plain reckoning of what differs: any order and form of lines, any memory, and files that do not stay as they are. */

import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { appendFile, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { FileChanged } from '../platform/input-file.ts';
import { openSpool } from '../platform/spool-file.ts';
import { type CidFile, openCidFile } from './cid-file.ts';
import { type Comparison, compareFiles } from './comparison.ts';
import type { Occurrences } from './differences.ts';
import { tellDuplicates } from './duplicates.ts';
import { foldFile } from './reading.ts';
import type { Phase } from './second-pass.ts';

interface Told {
  readonly differences: string[];
  readonly repeated: string[];
  readonly bad: string[];
  readonly phases: Phase[];
  readonly comparison: Comparison;
}

let directory: string;
before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'dict-vsync-cid-set-'));
});
after(() => rm(directory, { recursive: true }));

const makeSpool = () => openSpool(directory, randomUUID());
const signal = new AbortController().signal;

async function fileOf(text: string, name: string): Promise<CidFile> {
  const file = path.join(directory, name);
  await writeFile(file, text);
  return openCidFile({ from: file, name, openSpool: makeSpool });
}

async function told(
  a: CidFile,
  b: CidFile,
  { memoryBytes = 1_000_000, onPhase = () => {} }: { memoryBytes?: number; onPhase?: (phase: Phase) => void } = {},
): Promise<Told> {
  const result: Omit<Told, 'comparison'> = { differences: [], repeated: [], bad: [], phases: [] };
  const timesOf = ({ times, lines }: Occurrences) => `${times}@${lines.join(',')}`;
  try {
    const comparison = await compareFiles(
      [a, b],
      {
        signal,
        memoryBytes,
        openSpool: makeSpool,
        onBad: ({ file, line }) => result.bad.push(`${file}:${line}`),
        onRead: () => {},
        onPhase(phase) {
          result.phases.push(phase);
          onPhase(phase);
        },
      },
      {
        onlyIn: (side, bytes, at) =>
          result.differences.push(`${side === 0 ? '<' : '>'} ${Buffer.from(bytes.subarray(at, at + 32)).toString('hex')}`),
        repeated: (cid, [inA, inB]) => result.repeated.push(`${cid} ${timesOf(inA)} ${timesOf(inB)}`),
        flush: async () => true,
      },
    );
    return { ...result, comparison };
  } finally {
    await a.close();
    await b.close();
  }
}

const hash = (seed: string) => createHash('sha256').update(seed).digest('hex');

/** What differs, reckoned with a Map. */
function reckoned(a: readonly string[], b: readonly string[]): { differences: string[]; repeated: string[] } {
  const linesOf = (cids: readonly string[]) => Map.groupBy(cids.keys(), (index) => cids[index] ?? '');
  const [inA, inB] = [linesOf(a), linesOf(b)];
  const differences: string[] = [];
  const repeated: string[] = [];
  for (const cid of [...new Set([...a, ...b])].sort()) {
    const [ofA, ofB] = [inA.get(cid) ?? [], inB.get(cid) ?? []];
    if (ofA.length === ofB.length) continue;
    if (ofA.length === 0) differences.push(`> ${cid}`);
    if (ofB.length === 0) differences.push(`< ${cid}`);
    const text = (indexes: readonly number[]) => `${indexes.length}@${indexes.map((index) => index + 1).join(',')}`;
    if (Math.max(ofA.length, ofB.length) > 1) repeated.push(`${cid} ${text(ofA)} ${text(ofB)}`);
  }
  return { differences, repeated };
}

describe('two files of CIDs compared', () => {
  // Evenly spread ones, and ones that share all but their last digits, or differ only in their first.
  const cids = fc.oneof(
    fc.integer({ min: 0, max: 12 }).map((seed) => hash(String(seed))),
    fc.integer({ min: 0, max: 12 }).map((seed) => seed.toString(16).padStart(64, '0')),
    fc.integer({ min: 0, max: 12 }).map((seed) => seed.toString(16).padEnd(64, '0')),
  );
  const forms: readonly ((cid: string) => string)[] = [
    (cid) => `${cid}\n`,
    (cid) => `${cid.toUpperCase()}\n`,
    (cid) => `${cid}\r\n`,
    (cid) => `  ${cid}\t\n`,
  ];

  it('tell what a plain reckoning tells, whatever order, case and line ends they have', async () => {
    let name = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(cids, { maxLength: 30 }),
        fc.array(cids, { maxLength: 30 }),
        fc.integer({ min: 0, max: 3 }),
        fc.boolean(),
        async (a, b, form, lastFeed) => {
          name += 1;
          const text = (list: readonly string[], at: number) =>
            list.map((cid, index) => forms[(index + at) % forms.length]?.(cid)).join('');
          const textA = lastFeed ? text(a, form) : text(a, form).replace(/\r?\n$/, '');
          const fileB = await openCidFile({
            from: Readable.from([Buffer.from(text(b, 0))]),
            name: 'standard input',
            openSpool: makeSpool,
          });
          const { differences, repeated, bad } = await told(await fileOf(textA, `a${name}`), fileB);
          assert.deepEqual({ differences, repeated }, reckoned(a, b));
          assert.deepEqual(bad, []);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('need no second reading where they are equal', async () => {
    const list = ['1', '2', '3'].map(hash);
    const result = await told(
      await fileOf(list.map((cid) => `${cid}\n`).join(''), 'equal-a'),
      await fileOf(list.toReversed().join('\n'), 'equal-b'),
    );
    assert.deepEqual([result.differences, result.repeated, result.phases], [[], [], ['folding']]);
  });

  it('differ where each has another CID twice, which leaves XOR and count as they are', async () => {
    const same = '0000';
    const [x, y] = [`${same}${hash('x').slice(4)}`, `${same}${hash('y').slice(4)}`];
    const { differences } = await told(await fileOf(`${x}\n${x}\n`, 'twice-x'), await fileOf(`${y}\n${y}\n`, 'twice-y'));
    assert.deepEqual(differences.toSorted(), [`< ${x}`, `> ${y}`].toSorted());
  });

  it('name bad lines with their numbers and compare the rest', async () => {
    const a = await fileOf(`${hash('1')}\n\nno CID\n${hash('2')}\n${hash('3')} ${hash('3')}\n`, 'bad-a');
    const { bad, differences, comparison } = await told(a, await fileOf(`${hash('2')}\n${hash('1')}`, 'bad-b'));
    assert.deepEqual([bad, differences], [['bad-a:3', 'bad-a:5'], []]);
    const [{ lines, cids: count, badLines }] = comparison.files;
    assert.deepEqual([lines, count, badLines], [5, 2, 2]);
  });

  for (const [title, count, phases] of [
    ['by slices of buckets', 30_000, ['folding', 'collecting', 'collecting']],
    ['through a temporary file', 50_000, ['folding', 'collecting', 'merging']],
  ] as const) {
    it(`tell the same where memory holds only a part, ${title}`, async () => {
      const list = (side: string) => Array.from({ length: count }, (_unused, index) => hash(`${side} ${index}`));
      const repeated = hash('a 7');
      const [a, b] = [[...list('a'), repeated], list('b')];
      const result = await told(await fileOf(a.join('\n'), 'large-a'), await fileOf(b.join('\n'), 'large-b'), { memoryBytes: 0 });
      assert.deepEqual(result.phases, phases);
      assert.deepEqual(result.differences, reckoned(a, b).differences);
      assert.deepEqual(result.repeated, [`${repeated} 2@8,${count + 1} 0@`]);
      assert.deepEqual(
        (await readdir(directory)).filter((file) => file.endsWith('.tmp')),
        [],
        'the temporary file has no name',
      );
    });
  }

  it('refuse one that is appended to, rewritten or cut between two readings', async () => {
    const text = ['1', '2', '3'].map((seed) => `${hash(seed)}\n`).join('');
    const changes: readonly ((file: string) => Promise<void>)[] = [
      (file) => appendFile(file, text),
      (file) => writeFile(file, text.replaceAll(/^./gm, '0')),
      (file) => writeFile(file, ''),
      async (file) => {
        await writeFile(file, text.replaceAll(/^./gm, '0'));
        await utimes(file, 1, 1);
      },
    ];
    for (const [index, change] of changes.entries()) {
      const name = `changing-${index}`;
      const a = await fileOf(text, name);
      const b = await fileOf('', `${name}-other`);
      const changed: Promise<void>[] = [];
      const onPhase = (phase: Phase) => {
        if (phase === 'collecting') changed.push(change(path.join(directory, name)));
      };
      await assert.rejects(
        told(a, b, { onPhase }),
        (cause: Error) => cause instanceof FileChanged && cause.message.startsWith(`${name} was changed while it was read`),
      );
      await Promise.all(changed);
    }
  });
});

describe('duplicates of one file', () => {
  async function duplicatesOf(text: string, memoryBytes: number): Promise<Occurrences[]> {
    const file = await fileOf(text, 'duplicates');
    try {
      const folded = await foldFile(file, { signal, onBad: () => {}, onRead: () => {} });
      const found: Occurrences[] = [];
      const deps = { signal, memoryBytes, openSpool: makeSpool, onRead: () => {}, onPhase: () => {} };
      await tellDuplicates({ file, folded }, deps, ({ times, lines }) => found.push({ times, lines: [...lines] }));
      return found;
    } finally {
      await file.close();
    }
  }

  it('are all found, with their lines, in one slice or many', async () => {
    const cids = Array.from({ length: 2_000 }, (_unused, index) => hash(String(index)));
    const text = [...cids, ...cids.slice(10, 13), cids[10]?.toUpperCase()].join('\n');
    for (const memoryBytes of [1_000_000, 400]) {
      const found = await duplicatesOf(text, memoryBytes);
      assert.deepEqual(
        found.toSorted((a, b) => (a.lines[0] ?? 0) - (b.lines[0] ?? 0)),
        [
          { times: 3, lines: [11, 2_001, 2_004] },
          { times: 2, lines: [12, 2_002] },
          { times: 2, lines: [13, 2_003] },
        ],
      );
    }
  });

  it('are not CIDs that only begin, or only end, alike', async () => {
    const many = Array.from({ length: 300 }, (_unused, index) => index.toString(16).padStart(4, '0'));
    const text = many.flatMap((digits) => [digits.padStart(64, '0'), digits.padEnd(64, '0')]).slice(1);
    assert.deepEqual(await duplicatesOf(text.join('\n'), 1_000), []);
  });
});
