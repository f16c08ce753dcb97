/** Under which UUID an event is known, in the program and in the migration that gave the events before it theirs. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import * as path from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { testDatabase } from '../../test/support/database.ts';
import { migrationsDirectory } from '../platform/postgres/database-access.ts';
import { inboxId } from './event-inbox.ts';

const uuid = '6f1c0f4e-0b55-4b8e-9a61-0d7f2a1c9e10';

describe('the id of an event', () => {
  it('is itself where it is a UUID in lower case, and no other id shares it', () => {
    assert.equal(inboxId(uuid), uuid);
    const others = [uuid.toUpperCase(), ` ${uuid}`, uuid.replaceAll('-', ''), `${uuid}\n`];
    const ids = others.map(inboxId);
    assert.equal(new Set([uuid, ...ids]).size, others.length + 1);
    for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it('is digested where it could pass for the digest of another', () => {
    const digest = inboxId('event 17');
    assert.notEqual(inboxId(digest), digest);
  });

  it('is the same in the migration of what was taken in before', async (t) => {
    const database = await testDatabase(t);
    const migration = await readFile(path.join(migrationsDirectory, '000015_ingest_indexes.sql'), 'utf8');
    const expression = /USING (CASE[\s\S]*?END);/.exec(migration)?.[1];
    assert.ok(expression !== undefined);
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 200 }).filter((value) => !/\p{Cc}|\p{Cs}/u.test(value));
    const anyId = fc.oneof(
      text,
      fc.uuid(),
      fc.uuid({ version: 8 }),
      fc.constantFrom(uuid.toUpperCase(), 'é', inboxId('event 17')),
    );
    const ids = fc.sample(anyId, 300);
    const { rows } = await database.query<{ event_id: string; id: string }>(
      `SELECT event_id, ${expression} AS id FROM unnest($1::text[]) AS given (event_id)`,
      [ids],
    );
    assert.deepEqual(
      rows.map(({ id }) => id),
      ids.map(inboxId),
    );
  });
});
