/**
 * The real `ingest` process, killed (SIGKILL) at random moments over a stream with everything that goes wrong in streams: after
 * enough restarts the base has to be what an undisturbed run makes of the stream.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { KEY_TYPES } from '../src/dict/key-type.ts';
import { participant } from '../src/dict/participant.ts';
import { sampleEntries } from '../src/dict/sample-entries.ts';
import { flatEntry } from '../src/event/flat-entry.ts';
import { testDatabase } from './support/database.ts';
import { withAccount } from './support/key-events.ts';
import { assertSound, baseState } from './support/stored-state.ts';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
/** Small batches, and large ones that are committed as two parts at once: of these the stream has only a few, which end sooner. */
const ways = [
  { what: '', batchEvents: 20, kills: 55, share: 0.95 },
  { what: ' in large batches', batchEvents: 700, kills: 5, share: 0.6 },
] as const;
const participants = ['00038166', '00000001', '60701190'];
const keysEach = 100;

/** Numbers in [0, 1) that follow from the seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Lives of keys, then late, reordered, duplicated, and mixed with what is no event. */
function stream(random: () => number): string[] {
  const timed: { line: string; at: number }[] = [];
  let id = 0;
  for (const ispb of participants) {
    for (const keyType of KEY_TYPES) {
      for (const { entry, requestId } of sampleEntries({
        seed: 'kill',
        participant: participant(ispb),
        keyType,
        count: keysEach,
      })) {
        let moment = Math.floor(random() * 10_000);
        const tell = (action: string, payload: object): void => {
          moment += 1 + Math.floor(random() * 3_000);
          id += 1;
          const occurred_at = new Date(Date.UTC(2026, 0, 1) + moment).toISOString();
          // Arrives late by up to ten seconds, and sometimes twice.
          const line = JSON.stringify({ action, event_id: `k${id}`, occurred_at, payload });
          timed.push({ line, at: moment + random() * 10_000 });
          if (random() < 0.1) timed.push({ line, at: moment + random() * 20_000 });
        };
        tell('key.created', flatEntry(entry, requestId));
        if (random() < 0.6) tell('key.updated', flatEntry(withAccount(entry, String(id))));
        if (random() < 0.3) tell('key.deleted', { key: entry.key, key_type: keyType, ispb });
        if (random() < 0.05) timed.push({ line: `{"broken": ${id}`, at: moment });
        if (random() < 0.05) timed.push({ line: JSON.stringify({ action: 'key.created', event_id: `bad${id}` }), at: moment });
      }
    }
  }
  return timed.sort((a, b) => a.at - b.at).map(({ line }) => line);
}

interface Ended {
  readonly code: number | null;
  readonly text: string;
}

interface Run {
  readonly url: string;
  readonly file: string;
  readonly directory: string;
  readonly batchEvents: number;
}

/** Runs ingest to its end, or until `killWhen` resolves: then it is killed. */
function ingest({ url, file, directory, batchEvents }: Run, killWhen: Promise<void> | null): Promise<Ended> {
  const child = spawn(process.execPath, [main, 'ingest', file], {
    cwd: directory,
    env: { ...process.env, DATABASE_URL: url, DICT_VSYNC_INGEST_BATCH_EVENTS: String(batchEvents) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  void killWhen?.then(() => child.kill('SIGKILL'));
  let text = '';
  for (const output of [child.stdout, child.stderr]) {
    output.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, text }));
  });
}

type Base = Awaited<ReturnType<typeof testDatabase>>;

async function taken(database: Base): Promise<number> {
  const { rows } = await database.query<{ events: number }>('SELECT count(*) AS events FROM event_inbox');
  return rows[0]?.events ?? 0;
}

const pollsMax = 4_000;

/** Resolves a few random milliseconds after so many events are in: anywhere in the transaction that follows. */
async function whenTaken(database: Base, events: number, random: () => number): Promise<void> {
  for (let poll = 0; poll < pollsMax && (await taken(database)) < events; poll++) await wait(2);
  await wait(random() * 15);
}

describe('ingest, killed again and again', () => {
  for (const { what, batchEvents, kills, share } of ways)
    it(`makes the same base as an undisturbed run, after ${kills} kills at random moments${what}`, async (t) => {
      const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000);
      t.diagnostic(`TEST_SEED=${seed}`);
      const random = randomOf(seed);
      const directory = mkdtempSync(path.join(tmpdir(), 'dict-vsync-kill-'));
      t.after(() => rmSync(directory, { recursive: true, force: true }));
      const file = path.join(directory, 'events.ndjson');
      writeFileSync(file, `${stream(random).join('\n')}\n`);
      const [undisturbed, disturbed] = [await testDatabase(t), await testDatabase(t)];

      const run = { file, directory, batchEvents };
      const whole = await ingest({ ...run, url: undisturbed.url }, null);
      assert.equal(whole.code, 0, whole.text);
      const all = await taken(undisturbed);

      let midway = 0;
      for (let killed = 1; killed <= kills; killed++) {
        const before = await taken(disturbed);
        // Each gets a little further; every sixth is killed by the clock alone, which may be before it has begun.
        const aim = Math.max(before + 1, Math.floor((all * share * killed) / kills));
        const killWhen = killed % 6 === 0 ? wait(random() * 400) : whenTaken(disturbed, aim, random);
        const { code, text } = await ingest({ ...run, url: disturbed.url }, killWhen);
        assert.equal(code, null, `ended by itself: ${text}`);
        if ((await taken(disturbed)) > before) midway += 1;
      }
      t.diagnostic(`${midway} of ${kills} kills came after new events had been taken in`);
      assert.ok(midway > kills / 2);
      const last = await ingest({ ...run, url: disturbed.url }, null);
      assert.equal(last.code, 0, last.text);

      assert.deepEqual(await baseState(disturbed), await baseState(undisturbed));
      await assertSound(disturbed);
      const { rows } = await disturbed.query<{ backlog: number }>(
        'SELECT backlog FROM ingest_progress WHERE ended_at IS NOT NULL',
      );
      assert.deepEqual(rows, [{ backlog: 0 }]);
    });
});
