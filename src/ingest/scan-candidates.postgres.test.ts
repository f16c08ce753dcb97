/** Keys that several lanes of a scan name at the same time. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { testDatabase } from '../../test/support/database.ts';
import { participant } from '../dict/participant.ts';
import { addCandidates, countCandidates } from './scan-candidates.ts';

const now = new Date('2026-03-01T12:00:00.000Z');
const keysNamed = 5_000;
const rounds = 5;

describe('candidates of a scan', () => {
  it('are taken from lanes that name the same keys in any order, each once and without a deadlock', async (t) => {
    const database = await testDatabase(t);
    const run = { id: randomUUID(), participant: participant('00038166') };
    await database.query(
      `INSERT INTO scan_runs (id, participant, kind, accept_altered, phase, position, files, token, started_at, updated_at)
       VALUES ($1, $2, 'scan', false, 'buckets', 0, '[]', 1, $3, $3)`,
      [run.id, run.participant, now],
    );
    for (let round = 0; round < rounds; round++) {
      const keys = Array.from({ length: keysNamed }, (_, at) => ({ keyType: 'EVP' as const, key: `key ${round} ${at}` }));
      await Promise.all([keys, keys.toReversed(), keys].map((named) => addCandidates(database, run, named)));
    }
    assert.equal(await countCandidates(database, run), rounds * keysNamed);
  });
});
