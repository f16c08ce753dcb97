/**
 * The real `scan` and `rebuild`, killed (SIGKILL) at random moments and resumed by `--resume`: in the end each tells exactly what an
 * undisturbed one tells, and a base that was rebuilt is sound.
 */

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { KEY_TYPES } from '../src/dict/key-type.ts';
import { participant } from '../src/dict/participant.ts';
import { sampleEntries } from '../src/dict/sample-entries.ts';
import { flatEntry } from '../src/event/flat-entry.ts';
import { readUnfinished, type ScanKind } from '../src/ingest/scan-run.ts';
import { testDatabase } from './support/database.ts';
import { fileOf, importOf } from './support/imported-file.ts';
import { ownDirectory, type ProgramOutcome, runProgram } from './support/program-run.ts';
import { assertSound } from './support/stored-state.ts';

const keysEach = 1_500;
const kills = 8;
const participants = ['00038166', '60701190'].map(participant);

type Base = Awaited<ReturnType<typeof testDatabase>>;

/** A base with damage of each kind in both participants; the same each time. */
async function damagedBase(t: TestContext): Promise<Base> {
  const database = await testDatabase(t);
  const lines = participants.flatMap((ispb) =>
    KEY_TYPES.flatMap((keyType) =>
      [...sampleEntries({ seed: 'scan-kill', participant: ispb, keyType, count: keysEach })].map(({ entry, requestId }) =>
        JSON.stringify(flatEntry(entry, requestId)),
      ),
    ),
  );
  await importOf(database, fileOf(t, lines));
  const some = (from: number): string => `key IN (SELECT key FROM dict_entries ORDER BY md5(key) OFFSET ${from} LIMIT 400)`;
  await database.query(`UPDATE dict_entries SET cid = sha256(cid) WHERE ${some(0)}`);
  await database.query(`UPDATE dict_entries SET owner_name = owner_name || ' x' WHERE ${some(400)}`);
  await database.query(`DELETE FROM dict_cids WHERE ${some(800)}`);
  await database.query(`UPDATE dict_vsyncs SET vsync = sha256(vsync) WHERE key_type = 'EVP'`);
  await database.query('ANALYZE');
  return database;
}

/** Runs it; killed some milliseconds after it has begun to keep how far it is, unless that is null or it ends before. */
async function run(
  database: Base,
  directory: string,
  args: readonly string[],
  killAfterMs: number | null,
): Promise<ProgramOutcome> {
  let hasEnded = false;
  const kind = args[0] === 'scan' ? 'scan' : 'rebuild';
  return await runProgram(args, {
    cwd: directory,
    env: { DATABASE_URL: database.url },
    onStart: (child) => {
      child.on('exit', () => {
        hasEnded = true;
      });
      if (killAfterMs === null) return;
      void (async () => {
        const isResumed = args.includes('--resume');
        // Ends with the process.
        while (!hasEnded && !isResumed && (await readUnfinished(database, kind)).length === 0) await wait(2);
        // A resumed one needs its start as well, and has something to go on from.
        await wait(killAfterMs + (isResumed ? 250 : 0));
        child.kill('SIGKILL');
      })();
    },
  });
}

/** Kills and resumes it until it ends by itself, or was killed after its end; answers what they all said, how the last ended, and how often it was killed. */
async function disturbed(database: Base, directory: string, kind: ScanKind, options: readonly string[]) {
  let resume: string[] = [];
  const said = new Set<string>();
  for (let killed = 0; ; killed++) {
    const killAfterMs = killed < kills ? Math.floor(Math.random() * (60 + 40 * killed)) : null;
    const outcome = await run(database, directory, [kind, ...options, ...resume], killAfterMs);
    for (const line of told(outcome)) said.add(line);
    const [unfinished] = await readUnfinished(database, kind);
    // Killed when everything was done and told, before it could end: another one would find nothing left to mend.
    const isDone = unfinished === undefined && outcome.stdout !== '';
    if (outcome.exitCode !== null || isDone) return { said, outcome, killed };
    resume = unfinished === undefined ? [] : ['--resume', unfinished.id];
  }
}

/** Without ids, which are new each time. */
function told({ stdout }: ProgramOutcome): string[] {
  return stdout
    .replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'ID')
    .split('\n')
    .sort();
}

describe('a scan and a rebuild, killed again and again', () => {
  for (const [kind, options, exitCode] of [
    ['scan', ['--json'], 1],
    ['rebuild', ['--accept-altered'], 0],
  ] as const) {
    it(`${kind} --resume ends as if nothing had been`, { timeout: 300_000 }, async (t) => {
      const [undisturbedBase, base] = [await damagedBase(t), await damagedBase(t)];
      const directory = ownDirectory(t);
      const whole = await run(undisturbedBase, directory, [kind, ...options], null);
      assert.equal(whole.exitCode, exitCode, whole.stderr);
      const { said, outcome, killed } = await disturbed(base, directory, kind, options);
      t.diagnostic(`killed ${killed} times`);
      assert.ok(outcome.exitCode === null || outcome.exitCode === exitCode, outcome.stderr);
      assert.ok(killed > 0 || outcome.exitCode === null, 'it was killed at least once');
      // Participants that were done before a kill were told then.
      assert.deepEqual([...said].sort(), [...new Set(told(whole))].sort());
      if (kind === 'rebuild') await assertSound(base);
      assert.deepEqual(await readUnfinished(base, kind), []);
    });
  }
});
