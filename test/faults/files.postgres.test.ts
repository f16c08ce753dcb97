/** Every form in which a CID set file can come, and what the whole product makes of it: divergences that only a file can show. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { FILE_VARIANTS, type FileVariant } from '../../src/simulator/file-variant.ts';
import { type Expected, faultWorld } from '../support/fault-world.ts';

const refused = (why: string): Expected => ({ status: 'FAILED', says: new RegExp(`^failed: ${why}`), base: 'untouched' });
const read: Expected = { status: 'COMPLETED', says: /^completed/, base: 'equal' };

/** All files that are asked for come out so. */
const always: Readonly<Record<FileVariant, Expected>> = {
  proper: read,
  'upper-case': read,
  'no-last-newline': read,
  empty: refused('file refused: empty: no line, where the base has \\d+ keys'),
  truncated: refused('file refused: truncated: \\d+ of \\d+ bytes'),
  cut: refused('file refused: malformed: line \\d+: the last line has 40 of 64 digits'),
  half: refused('file refused: implausible: \\d+ of \\d+ keys would be orphans'),
  foreign: refused('file refused: foreign: \\d+ of \\d+ lines are unknown here, and DICT has none of the \\d+ tried'),
  'duplicate-line': refused('file refused: duplicated: lines \\d+ and \\d+ hold the same CID'),
  'malformed-line': refused('file refused: malformed: line \\d+: character 103 at column 64 is no hex digit'),
  crlf: refused('file refused: malformed: line 1: character 13 where the line should end'),
  'wrong-sha256': refused('file refused: digest: SHA-256 is [0-9a-f]{64}, DICT announced [0-9a-f]{64}'),
  'wrong-bytes': refused('file refused: truncated: \\d+ of \\d+ bytes'),
  'not-found': refused("CID set file \\d+ is AVAILABLE by DICT's word, and was not found for 6\\d\\d s"),
  unavailable: refused('no CID set file after 3 requests \\(0 lost\\)'),
  error: refused('no CID set file after 3 requests \\(0 lost\\)'),
  'never-ready': refused('CID set file \\d+ was still PROCESSING after 6\\d\\d s'),
};

it('every file comes out', { timeout: 900_000 }, async (t) => {
  const world = await faultWorld(t, { keys: 100 });
  for (const variant of FILE_VARIANTS) {
    await t.test(`${variant}: ${always[variant].status}`, async () => {
      const ended = await world.endure({
        plant: 'hidden',
        fault: () => world.state.planFile(variant, 10),
        expected: always[variant],
      });
      assert.match(ended.outcome, always[variant].says ?? /^$/);
    });
  }
});

it('the first file comes out', { timeout: 900_000 }, async (t) => {
  const world = await faultWorld(t, { keys: 60 });
  for (const variant of ['unavailable', 'error'] as const) {
    await t.test(`${variant}: the next one is taken`, async () => {
      const before = world.state.counts()['createCidSetFile 201'] ?? 0;
      let during = 0;
      await world.endure({
        plant: 'hidden',
        fault: () => world.state.planFile(variant),
        mend: () => {
          during = (world.state.counts()['createCidSetFile 201'] ?? 0) - before;
        },
        expected: read,
      });
      assert.equal(during, 2);
    });
  }

  await t.test('AVAILABLE, and is there only after a while', async () => {
    const ended = await world.endure({
      plant: 'hidden',
      fault: () => world.state.addFault({ operation: 'downloadCidSetFile', times: 3, error: 'NotFound' }),
      expected: read,
    });
    assert.equal(ended.status, 'COMPLETED');
  });

  await t.test('AVAILABLE, and the connection breaks in its middle, twice', async () => {
    const transfer = { kind: 'reset', afterBytes: 100 } as const;
    const ended = await world.endure({
      plant: 'hidden',
      fault: () => world.state.addFault({ operation: 'downloadCidSetFile', times: 2, transfer }),
      expected: read,
    });
    assert.equal(ended.status, 'COMPLETED');
  });
});

it('a file of strange lines that DICT does not answer about', { timeout: 300_000 }, async (t) => {
  const world = await faultWorld(t, { keys: 60 });
  const ended = await world.endure({
    plant: 'hidden',
    fault: () => {
      world.state.planFile('foreign', 10);
      world.state.addFault({ operation: 'getEntryByCid', times: 1_000_000, error: 'InternalServerError' });
    },
    expected: refused(
      'file refused: unconfirmed: \\d+ of \\d+ lines are unknown here, and DICT confirmed none of the \\d+ tried',
    ),
  });
  assert.match(ended.words, /DICT answered InternalServerError \(500\)/);
});
