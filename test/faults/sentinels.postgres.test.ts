/** Participants whose number alone provokes a fault, under the whole product: nothing is planned and nothing is scripted. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { participant } from '../../src/dict/participant.ts';
import { FILE_VARIANTS } from '../../src/simulator/file-variant.ts';
import { faultWorld, type Status } from '../support/fault-world.ts';

const ends: readonly (readonly [form: (typeof FILE_VARIANTS)[number], Status, RegExp])[] = [
  ['empty', 'FAILED', /file refused: empty/],
  ['foreign', 'FAILED', /file refused: foreign/],
  ['upper-case', 'COMPLETED', /^completed/],
  ['error', 'FAILED', /no CID set file after 3 requests/],
];

for (const [form, status, says] of ends) {
  const ispb = `99998${String(FILE_VARIANTS.indexOf(form)).padStart(3, '0')}`;
  it(`participant ${ispb} has files that are ${form}`, { timeout: 300_000 }, async (t) => {
    const world = await faultWorld(t, { participant: participant(ispb) });
    const planted = world.plant('hidden');
    const before = await world.picture();
    const ended = await world.synchronise();
    assert.deepEqual([ended.status, says.test(ended.words)], [status, true], ended.words);
    await world.assertPromises(before, planted);
  });
}

it('participant 99997020 meets fields that nobody knows in every answer, and is repaired', { timeout: 300_000 }, async (t) => {
  const world = await faultWorld(t, { participant: participant('99997020') });
  const planted = world.plant('logged');
  const before = await world.picture();
  assert.equal((await world.synchronise()).status, 'COMPLETED');
  await world.assertPromises(before, planted);
  await world.assertEqualSides();
});
