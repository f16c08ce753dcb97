/** The database pool as a specification; transactions and failures are a real server's. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testDatabase } from '../../../test/support/database.ts';
import { openDatabase } from './database.ts';
import { accessDatabase } from './database-access.ts';
import { asDatabaseError, DatabaseUnavailable } from './errors.ts';

const pool = { poolMin: 0, poolMax: 2, connectTimeoutMs: 5_000, statementTimeoutMs: 5_000, applicationName: 'dict-vsync test' };
const unreachable = 'postgres://nobody@127.0.0.1:1/nothing';

describe('a database', () => {
  it('commits a transaction that resolves and rolls back one that rejects', async (t) => {
    const database = await testDatabase(t);
    await database.query('CREATE TABLE item (id integer)');
    assert.equal(await database.transaction(async (tx) => (await tx.query('INSERT INTO item VALUES (1)')).rowCount), 1);
    await assert.rejects(
      database.transaction(async (tx) => {
        await tx.query('INSERT INTO item VALUES (2)');
        throw new Error('changed my mind');
      }),
      /changed my mind/,
    );
    assert.deepEqual((await database.query<{ id: number }>('SELECT id FROM item')).rows, [{ id: 1 }]);
  });

  it('reads several things as of one moment, and only reads, where that is asked for', async (t) => {
    const database = await testDatabase(t);
    await database.query('CREATE TABLE item (id integer)');
    await database.transaction(
      async (tx) => {
        const count = async () => (await tx.query<{ n: number }>('SELECT count(*)::int AS n FROM item')).rows[0]?.n;
        assert.equal(await count(), 0);
        await database.query('INSERT INTO item VALUES (1)');
        assert.equal(await count(), 0);
        await assert.rejects(tx.query('INSERT INTO item VALUES (2)'), /read-only transaction/);
      },
      { isolation: 'repeatable read', readOnly: true },
    );
  });

  it('returns int8 as numbers and refuses what a number cannot hold', async (t) => {
    const database = await testDatabase(t);
    const { rows } = await database.query<{ n: number }>('SELECT 9007199254740991::int8 AS n');
    assert.deepEqual(rows, [{ n: Number.MAX_SAFE_INTEGER }]);
    await assert.rejects(database.query('SELECT 9007199254740992::int8 AS n'), /exceeds 2\^53/);
  });

  it('says that the connection was lost, and goes on with another', async (t) => {
    const database = await testDatabase(t);
    await assert.rejects(
      database.transaction(async (tx) => {
        await tx.query('SELECT pg_terminate_backend(pg_backend_pid())');
      }),
      { name: 'DatabaseUnavailable' },
    );
    assert.equal((await database.query<{ one: number }>('SELECT 1 AS one')).rows[0]?.one, 1);
  });

  it('ends a statement that takes longer than allowed', async (t) => {
    const { url } = await testDatabase(t);
    const database = await openDatabase({ ...pool, url, statementTimeoutMs: 50 });
    t.after(() => database.close());
    await assert.rejects(database.query('SELECT pg_sleep(5)'), /statement timeout/);
  });

  it('whose server does not answer is an error at once, and nothing embedded is started instead', async () => {
    await assert.rejects(openDatabase({ ...pool, url: unreachable }), { name: 'DatabaseUnavailable', message: /ECONNREFUSED/ });
    const access = {
      ...pool,
      url: unreachable,
      embeddedDirectory: '/dev/null',
      embeddedStartTimeoutMs: 1,
      embeddedStopTimeoutMs: 1,
    };
    await assert.rejects(accessDatabase(access), { name: 'DatabaseUnavailable' });
  });
});

describe('a failure of PostgreSQL', () => {
  for (const code of ['ECONNREFUSED', 'ECONNRESET', '57P01', '57P03', '08006']) {
    it(`${code} is a lost connection`, () => {
      assert.ok(asDatabaseError(Object.assign(new Error('it'), { code })) instanceof DatabaseUnavailable);
    });
  }
  for (const code of ['23505', '40001', '42P01']) {
    it(`${code} passes as it is`, () => {
      const failure = Object.assign(new Error('it'), { code });
      assert.equal(asDatabaseError(failure), failure);
    });
  }
});
