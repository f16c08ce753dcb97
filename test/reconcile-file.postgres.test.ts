/** Rules R14 and R15, and the comparison with the CID set file. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import * as path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { DictError } from '../src/dict/errors.ts';
import type { FileVariant } from '../src/simulator/file-variant.ts';
import { readCursor } from '../src/verify/event-cursor.ts';
import { reconcileWorld } from './support/reconcile-world.ts';

const minuteMs = 60_000;

describe('R14: bad files change nothing', () => {
  const refusals: readonly (readonly [FileVariant, RegExp])[] = [
    ['empty', /file refused: empty/],
    ['truncated', /file refused: truncated/],
    ['cut', /file refused: malformed/],
    ['half', /file refused: implausible: (29|30) of 60 keys would be orphans/],
    ['foreign', /file refused: foreign/],
    ['duplicate-line', /file refused: duplicated: lines \d+ and \d+ hold the same CID/],
    ['malformed-line', /file refused: malformed: line \d+/],
    ['crlf', /file refused: malformed: line 1: character 13/],
    ['wrong-sha256', /file refused: digest/],
    ['wrong-bytes', /file refused: (truncated|too-large)/],
    ['not-found', /AVAILABLE by DICT's word, and was not found/],
    ['never-ready', /still PROCESSING after 6\d\d s/],
    ['error', /no CID set file after 3 requests/],
    ['unavailable', /no CID set file after 3 requests/],
  ];
  for (const [variant, reason] of refusals) {
    it(`refuses a file that is ${variant}, and names it`, async (t) => {
      const world = await reconcileWorld(t, { keys: 60 });
      const [missing] = world.take(1);
      assert.ok(missing);
      world.state.insert(missing);
      world.pass(10 * minuteMs);
      world.state.planFile(variant, 10);
      const before = await world.count('FROM dict_entries');
      const { runId, outcome } = await world.reconcileFrom('file');
      assert.ok(outcome.kind === 'ended' && outcome.state === 'failed', JSON.stringify(outcome));
      assert.match(outcome.reason ?? '', reason);
      assert.equal(await world.count('FROM dict_entries'), before);
      assert.equal(await world.count(`FROM audit_log WHERE kind = 'correction'`), 0);
      assert.equal(await world.count(`FROM dict_divergences WHERE state = 'applied' AND reconciliation_id = '${runId}'`), 0);
      assert.equal(await world.count(`FROM event_outbox WHERE payload ->> 'alert' = 'reconciliation-failed'`), 1);
      assert.deepEqual(await readdir(world.deps.workDirectory), []);
    });
  }

  for (const variant of ['upper-case', 'no-last-newline', 'proper'] as const) {
    it(`reads a file that is ${variant}`, async (t) => {
      const world = await reconcileWorld(t, { keys: 60 });
      const [missing] = world.take(1);
      assert.ok(missing);
      world.state.insert(missing);
      world.pass(10 * minuteMs);
      world.state.planFile(variant);
      assert.deepEqual((await world.reconcileFrom('file')).outcome, { kind: 'ended', state: 'completed', reason: null });
      await world.assertEqualSides();
    });
  }

  it('takes the next file when DICT could not generate the first', async (t) => {
    const world = await reconcileWorld(t);
    const [missing] = world.take(1);
    assert.ok(missing);
    world.state.insert(missing);
    world.pass(10 * minuteMs);
    world.state.planFile('error');
    assert.deepEqual((await world.reconcileFrom('file')).outcome, { kind: 'ended', state: 'completed', reason: null });
    assert.equal(world.state.counts()['createCidSetFile 201'], 2);
  });

  it('believes an empty file where the base is empty too', async (t) => {
    const world = await reconcileWorld(t);
    for (const sample of world.first) {
      world.state.remove(sample.entry.key);
      await world.ingest(world.event('key.deleted', sample));
    }
    world.pass(10 * minuteMs);
    assert.deepEqual((await world.reconcileFrom('file')).outcome, { kind: 'ended', state: 'completed', reason: null });
  });
});

describe('the comparison with a CID set file', () => {
  it('is placed in time by the log, so that events around it are no divergences', async (t) => {
    const world = await reconcileWorld(t);
    const fresh = world.take(9);
    const [hidden, ...live] = fresh;
    assert.ok(hidden);
    world.state.insert(hidden);
    world.pass(10 * minuteMs);
    const opening = await world.open({ fromRung: 'file' });
    assert.ok(opening.kind === 'opened');
    const late: Record<string, unknown>[] = [];
    const traffic = async (): Promise<void> => {
      const [next] = live.splice(0, 1);
      if (next === undefined) return;
      world.state.insert(next, { log: true });
      // Every second one arrives at once, the others after the comparison.
      if (live.length % 2 === 0) await world.ingest(world.event('key.created', next));
      else late.push(world.event('key.created', next));
    };
    const outcome = await world.run(opening.runId, {
      ...world.steps,
      requestCidSetFile: async (input) => {
        await traffic();
        return world.steps.requestCidSetFile(input);
      },
      downloadCidSetFile: async (input) => {
        await traffic();
        world.pass(7_000);
        return world.steps.downloadCidSetFile(input);
      },
      judgeDivergences: async (input) => {
        if (late.length > 0) await world.ingest(...late.splice(0));
        return world.steps.judgeDivergences(input);
      },
    });
    assert.deepEqual(outcome, { kind: 'ended', state: 'completed', reason: null });
    const applied = (await world.divergences(opening.runId)).filter(({ state }) => state === 'applied');
    assert.deepEqual(
      applied.map(({ key }) => key),
      [hidden.entry.key],
    );
    const { rows } = await world.database.query<{ instant: Date | null }>(
      'SELECT file_instant AS instant FROM dict_reconciliations',
    );
    assert.ok(rows[0]?.instant, 'the log passes through the XOR of the file');
    assert.ok(await readCursor(world.database, world.scope));
    await world.assertEqualSides();
  });

  it('gives up on a file that differs in more CIDs than can be settled one by one', async (t) => {
    const world = await reconcileWorld(t, { settings: { differencesMax: 20, implausibleOrphans: 1_000 } });
    for (const sample of world.take(30)) world.state.insert(sample);
    world.pass(10 * minuteMs);
    const { outcome } = await world.reconcileFrom('file');
    assert.ok(outcome.kind === 'ended' && outcome.state === 'failed', JSON.stringify(outcome));
    assert.match(outcome.reason ?? '', /import/);
  });
});

describe('R15: file equals base and still NOK', () => {
  it('repairs nothing and leaves an evidence bundle for the Central Bank', async (t) => {
    const world = await reconcileWorld(t);
    world.state.corruptVSync(world.scope, 'ab'.repeat(32));
    world.pass(10 * minuteMs);
    const { runId, outcome } = await world.reconcile();
    assert.deepEqual(outcome, { kind: 'ended', state: 'failed', reason: 'dict-inconsistent' });
    assert.deepEqual(await world.divergences(runId), []);
    const { rows } = await world.database.query<{ evidence: Record<string, Record<string, unknown>> }>(
      'SELECT evidence FROM dict_reconciliations',
    );
    const evidence = rows[0]?.evidence;
    assert.ok(evidence);
    assert.equal(evidence['file']?.['vsync'], evidence['base']?.['vsync']);
    assert.equal(evidence['file']?.['differences'], 0);
    assert.match(JSON.stringify(evidence['verifications']), /"NOK"/);
    assert.doesNotMatch(JSON.stringify(evidence), /@/);
    assert.equal(await world.count(`FROM event_outbox WHERE payload ->> 'alert' = 'reconciliation-failed'`), 1);
  });
});

describe('a CID set file on this machine’s disk', () => {
  /** A world with one key that only DICT has, and what stands in its working directory when the comparison is about to begin. */
  async function downloaded(t: TestContext, atRest: (files: readonly string[], times: number) => Promise<void>) {
    const world = await reconcileWorld(t);
    const [missing] = world.take(1);
    assert.ok(missing);
    world.state.insert(missing);
    world.pass(10 * minuteMs);
    const opening = await world.open({ fromRung: 'file' });
    assert.ok(opening.kind === 'opened');
    let times = 0;
    const { workDirectory } = world.deps;
    const files = async (): Promise<string[]> => (await readdir(workDirectory)).map((name) => path.join(workDirectory, name));
    const outcome = await world.run(opening.runId, {
      ...world.steps,
      compareCidSetFile: async (input) => {
        times += 1;
        await atRest(await files(), times);
        return world.steps.compareCidSetFile(input);
      },
      judgeDivergences: async (input) => {
        assert.deepEqual(await files(), [], 'what was compared is gone');
        return world.steps.judgeDivergences(input);
      },
    });
    return { world, outcome, runId: opening.runId };
  }

  const ended = { kind: 'ended', state: 'completed', reason: null };
  const flip = async (file: string, at: number): Promise<void> => {
    const bytes = await readFile(file);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    await writeFile(file, bytes);
  };

  it('is encrypted under a key that ends with the run, and is its owner’s alone', async (t) => {
    const { world, outcome } = await downloaded(t, async (files) => {
      assert.equal(files.length, 1);
      const [file = ''] = files;
      const stored = await readFile(file, 'latin1');
      assert.ok(stored.length > 41 * 65);
      assert.doesNotMatch(stored, /[0-9a-f]{64}/);
      if (process.platform !== 'win32') assert.equal((await stat(file)).mode & 0o777, 0o600);
    });
    assert.deepEqual(outcome, ended);
    assert.equal(await world.count('FROM dict_reconciliations WHERE file_key IS NOT NULL'), 0);
    await world.assertEqualSides();
  });

  const changes: readonly (readonly [string, (file: string) => Promise<void>])[] = [
    ['changed', (file) => flip(file, 500)],
    ['cut', (file) => truncate(file, 1_000)],
    ['taken away', (file) => rm(file)],
    ['replaced by plain lines', (file) => writeFile(file, `${'ab'.repeat(32)}\n`)],
  ];
  for (const [what, change] of changes) {
    it(`that was ${what} is downloaded again and believed only then`, async (t) => {
      const { world, outcome } = await downloaded(t, async ([file = ''], times) => {
        if (times === 1) await change(file);
      });
      assert.deepEqual(outcome, ended);
      assert.equal(world.state.counts()['createCidSetFile 201'], 1);
      await world.assertEqualSides();
    });
  }

  it('that is changed again and again ends the run with the reason, and nothing is repaired', async (t) => {
    const { world, outcome, runId } = await downloaded(t, async ([file = '']) => truncate(file, 1_000));
    assert.ok(outcome.kind === 'ended' && outcome.state === 'failed', JSON.stringify(outcome));
    assert.match(outcome.reason ?? '', /file refused: altered at rest: truncated: ends within segment 0/);
    assert.deepEqual(await world.divergences(runId), []);
    assert.deepEqual(await readdir(world.deps.workDirectory), []);
  });

  it('of a run that is over is removed by the next download, and nothing else is', async (t) => {
    const world = await reconcileWorld(t);
    world.state.planFile('error', 3);
    const { runId: over } = await world.reconcileFrom('file');
    const foreign = randomUUID();
    const place = (name: string): string => path.join(world.deps.workDirectory, name);
    for (const name of [`${over}.cids`, `${over}.cids.${foreign}.part`, `${foreign}.cids`, 'notes'])
      await writeFile(place(name), 'x');
    const { outcome } = await downloadedAfter(world);
    assert.deepEqual(outcome, ended);
    assert.deepEqual(await readdir(world.deps.workDirectory), ['notes']);
  });

  async function downloadedAfter(world: Awaited<ReturnType<typeof reconcileWorld>>) {
    world.state.planFile('proper', 1);
    const [missing] = world.take(1);
    assert.ok(missing);
    world.state.insert(missing);
    world.pass(10 * minuteMs);
    return world.reconcileFrom('file');
  }
});

describe('a file that was placed by a process that died before it could say so', () => {
  it('is found by the next one, which asks DICT for nothing of it', async (t) => {
    let asked = 0;
    const world = await reconcileWorld(t, {
      dict: (dict) => ({
        ...dict,
        downloadCidSetFile: (request, options) => {
          asked += 1;
          return dict.downloadCidSetFile(request, options);
        },
      }),
    });
    const [missing] = world.take(1);
    assert.ok(missing);
    world.state.insert(missing);
    world.pass(10 * minuteMs);
    const opening = await world.open({ fromRung: 'file' });
    assert.ok(opening.kind === 'opened');
    let died = false;
    const outcome = await world.run(opening.runId, {
      ...world.steps,
      downloadCidSetFile: async (input) => {
        const next = await world.steps.downloadCidSetFile(input);
        if (died) return next;
        died = true;
        await world.database.query(`UPDATE dict_reconciliations SET state = 'downloading' WHERE id = $1`, [opening.runId]);
        return world.steps.downloadCidSetFile(input);
      },
    });
    assert.deepEqual(outcome, { kind: 'ended', state: 'completed', reason: null });
    assert.equal(asked, 1);
    await world.assertEqualSides();
  });
});

describe('a download that is cut', () => {
  it('is taken up by the next try with what the first one stored', async (t) => {
    const asked: (number | undefined)[] = [];
    let cuts = 1;
    const world = await reconcileWorld(t, {
      keys: 9_000,
      // Cuts after two segments' worth, as a connection that is lost for longer does.
      dict: (dict) => ({
        ...dict,
        async *downloadCidSetFile(request, options) {
          asked.push(request.from);
          let bytes = 0;
          for await (const chunk of dict.downloadCidSetFile(request, options)) {
            yield chunk;
            bytes += chunk.length;
            if (bytes > 530_000 && cuts-- > 0) throw new DictError('ConnectionLost', 0, 'cut by the test');
          }
        },
      }),
    });
    const [missing] = world.take(1);
    assert.ok(missing);
    world.state.insert(missing);
    world.pass(10 * minuteMs);
    const opening = await world.open({ fromRung: 'file' });
    assert.ok(opening.kind === 'opened');
    const outcome = await world.run(opening.runId, {
      ...world.steps,
      // As the runner does with what may succeed later.
      downloadCidSetFile: (input) => world.steps.downloadCidSetFile(input).catch(() => world.steps.downloadCidSetFile(input)),
    });
    assert.deepEqual(outcome, { kind: 'ended', state: 'completed', reason: null });
    assert.deepEqual(asked, [0, 524_288]);
    assert.equal((await world.entry(missing.entry.key))?.status, 'ACTIVE');
  });
});
