/** The embedded server as its users meet it: shared, killed, adopted, refused. Running as other users: embedded-server-users. */

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { createServer } from 'node:net';
import * as path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { startEmbeddedServer } from '../src/platform/postgres/embedded-server.ts';
import { isAlive, query, serverPid, startProgram, temporaryDirectory, until } from './support/embedded-server-programs.ts';

function start(dataDirectory: string, startTimeoutMs = 60_000) {
  return startEmbeddedServer({ dataDirectory, durable: false, startTimeoutMs, stopTimeoutMs: 30_000 });
}

/** Starts and leaves once, so that the directory holds a database. */
async function initialised(t: TestContext): Promise<string> {
  const directory = path.join(temporaryDirectory(t), 'data');
  await (await start(directory)).leave();
  return directory;
}

describe('embedded PostgreSQL', () => {
  it('starts, stops when left, and has its data and its address again at the next start', async (t) => {
    const directory = path.join(temporaryDirectory(t), 'deep', 'data');
    const first = await start(directory);
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    assert.equal(fs.statSync(path.join(directory, 'connection.json')).mode & 0o777, 0o600);
    await first.leave();
    await first.leave();
    assert.equal(serverPid(directory), null, 'the server has stopped in good order');
    const second = await start(directory);
    try {
      assert.equal(second.url, first.url);
      assert.deepEqual(await query(second.url, 'SELECT answer FROM kept'), [{ answer: 42 }]);
    } finally {
      await second.leave();
    }
  });

  it('is one server for two programs that start at once; the last to leave stops it', async (t) => {
    const directory = path.join(temporaryDirectory(t), 'data');
    const programs = [startProgram(t, directory), startProgram(t, directory)] as const;
    const [one, other] = await Promise.all(programs.map((program) => program.joined));
    assert.equal(one?.url, other?.url);
    const pid = serverPid(directory);
    await programs[0].leave();
    assert.deepEqual(await query(other?.url ?? '', 'SELECT 1 AS alive'), [{ alive: 1 }]);
    assert.equal(serverPid(directory), pid, 'the same server still runs');
    await programs[1].leave();
    assert.equal(serverPid(directory), null);
  });

  it('survives kill -9 of its starter, is adopted by the next program, and stops with it', async (t) => {
    const directory = path.join(temporaryDirectory(t), 'data');
    const starter = startProgram(t, directory);
    await starter.joined;
    const pid = serverPid(directory);
    assert.ok(pid !== null);
    await starter.kill();
    assert.ok(isAlive(pid), 'the server outlives its starter');
    const adopter = await start(directory);
    assert.equal(serverPid(directory), pid);
    await adopter.leave();
    await until(() => !isAlive(pid));
    assert.equal(serverPid(directory), null);
  });

  it('is adopted even if its starter was killed before it could write the port down', async (t) => {
    const directory = path.join(temporaryDirectory(t), 'data');
    const starter = startProgram(t, directory);
    const { url } = await starter.joined;
    await starter.kill();
    const file = path.join(directory, 'connection.json');
    const text = fs.readFileSync(file, 'utf8');
    fs.writeFileSync(file, text.replace(/"port":[0-9]+/, '"port":null'));
    const adopter = await start(directory);
    assert.equal(adopter.url, url);
    await adopter.leave();
    assert.equal(fs.readFileSync(file, 'utf8'), text, 'the port is written down again');
  });

  it('counts a killed member as gone: the other one, leaving, is the last', async (t) => {
    const directory = path.join(temporaryDirectory(t), 'data');
    const remaining = await start(directory);
    const killed = startProgram(t, directory);
    await killed.joined;
    await killed.kill();
    await remaining.leave();
    assert.equal(serverPid(directory), null);
  });

  it('loses nothing when program and server were both killed', async (t) => {
    const directory = path.join(temporaryDirectory(t), 'data');
    const program = startProgram(t, directory, { durable: true });
    const { url } = await program.joined;
    await query(url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    const pid = serverPid(directory);
    assert.ok(pid !== null);
    await program.kill();
    process.kill(pid, 'SIGKILL');
    await until(() => !isAlive(pid));
    const again = await start(directory);
    try {
      assert.notEqual(serverPid(directory), pid);
      assert.deepEqual(await query(again.url, 'SELECT answer FROM kept'), [{ answer: 42 }]);
    } finally {
      await again.leave();
    }
  });

  it('is not held up by a stale postmaster.pid whose id another process has by now', async (t) => {
    const directory = await initialised(t);
    fs.writeFileSync(path.join(directory, 'cluster/postmaster.pid'), `${process.pid}\n/elsewhere\n0\n5432\n\n127.0.0.1\n`);
    const server = await start(directory);
    assert.notEqual(serverPid(directory), process.pid);
    await server.leave();
    assert.ok(isAlive(process.pid));
  });

  it('takes another port when its former one is in use', async (t) => {
    const directory = path.join(temporaryDirectory(t), 'data');
    const first = await start(directory);
    await first.leave();
    const occupier = createServer().listen(first.port, '127.0.0.1');
    t.after(() => occupier.close());
    const second = await start(directory);
    try {
      assert.notEqual(second.port, first.port);
      assert.deepEqual(await query(second.url, 'SELECT 1 AS alive'), [{ alive: 1 }]);
    } finally {
      await second.leave();
    }
  });

  it('begins anew after a program was killed while it made the database', async (t) => {
    const directory = path.join(temporaryDirectory(t), 'data');
    fs.mkdirSync(path.join(directory, 'cluster.new', 'base'), { recursive: true });
    fs.writeFileSync(path.join(directory, 'cluster.new', 'PG_VERSION'), '18\n');
    fs.writeFileSync(path.join(directory, 'connection.json.initdb'), 'half\n');
    const server = await start(directory);
    await server.leave();
    assert.deepEqual(fs.readdirSync(directory).toSorted(), [
      'cluster',
      'connection.json',
      'guard.lock',
      'members.lock',
      'server.log',
    ]);
  });

  it('gives up when its time is over and leaves nothing running', async (t) => {
    const directory = await initialised(t);
    await assert.rejects(start(directory, 1), /embedded PostgreSQL: .*(did not get ready|in time)/s);
    await until(() => {
      const pid = serverPid(directory);
      return pid === null || !isAlive(pid);
    });
    const pid = serverPid(directory);
    assert.ok(pid === null || !isAlive(pid));
    await (await start(directory)).leave();
  });

  it('accepts its password only', async (t) => {
    const directory = path.join(temporaryDirectory(t), 'data');
    const server = await start(directory);
    try {
      const url = new URL(server.url);
      url.password = 'guessed';
      await assert.rejects(query(url.href, 'SELECT 1'), /password authentication failed/);
    } finally {
      await server.leave();
    }
  });

  it('keeps statements and rows out of its log', async (t) => {
    const directory = path.join(temporaryDirectory(t), 'data');
    const server = await start(directory);
    try {
      await query(server.url, 'CREATE TABLE entry (key text PRIMARY KEY)');
      await query(server.url, `INSERT INTO entry VALUES ('11122233300')`);
      await assert.rejects(query(server.url, `INSERT INTO entry VALUES ('11122233300')`), /duplicate key/);
    } finally {
      await server.leave();
    }
    const log = fs.readFileSync(path.join(directory, 'server.log'), 'utf8');
    assert.match(log, /duplicate key/);
    assert.doesNotMatch(log, /11122233300/);
  });
});

describe('embedded PostgreSQL refuses a data directory', () => {
  const refused: readonly { readonly name: string; readonly plant: (directory: string) => void; readonly says: RegExp }[] = [
    {
      name: 'that holds something else',
      plant: (directory) => fs.writeFileSync(path.join(directory, 'thesis.doc'), ''),
      says: /holds something else \(thesis\.doc\); give an empty or a new directory/,
    },
    {
      name: 'of another PostgreSQL server',
      plant: (directory) => fs.writeFileSync(path.join(directory, 'PG_VERSION'), '18\n'),
      says: /data directory of another PostgreSQL server/,
    },
    {
      name: 'of another major version',
      plant: (directory) => {
        fs.mkdirSync(path.join(directory, 'cluster'));
        fs.writeFileSync(path.join(directory, 'cluster', 'PG_VERSION'), '15\n');
      },
      says: /belong to PostgreSQL 15, this program brings 18/,
    },
    {
      name: 'whose password is lost',
      plant: (directory) => {
        fs.mkdirSync(path.join(directory, 'cluster'));
        fs.writeFileSync(path.join(directory, 'cluster', 'PG_VERSION'), '18\n');
      },
      says: /connection\.json is missing/,
    },
    {
      name: 'whose connection.json is damaged',
      plant: (directory) => {
        fs.mkdirSync(path.join(directory, 'cluster'));
        fs.writeFileSync(path.join(directory, 'cluster', 'PG_VERSION'), '18\n');
        fs.writeFileSync(path.join(directory, 'connection.json'), '{"port":');
      },
      says: /connection\.json is damaged/,
    },
  ];
  for (const { name, plant, says } of refused) {
    it(name, async (t) => {
      const directory = temporaryDirectory(t);
      plant(directory);
      const before = fs.readdirSync(directory);
      await assert.rejects(start(directory), { name: 'EmbeddedServerFailed', message: says });
      for (const kept of before) assert.ok(fs.existsSync(path.join(directory, kept)), `${kept} was left alone`);
    });
  }

  it('that is a file', async (t) => {
    const file = path.join(temporaryDirectory(t), 'file');
    fs.writeFileSync(file, '');
    await assert.rejects(start(file), /cannot be used/);
  });
});
