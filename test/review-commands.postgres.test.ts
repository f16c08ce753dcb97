/** `review`, `approve` and `reject` through the whole command line, against the real simulator and database. */

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { type CommandOutcome, runLine } from './support/command-run.ts';
import { reconcileWorld } from './support/reconcile-world.ts';

const minuteMs = 60_000;
const id = '0b7c9a52-3f0e-4f6a-9d3c-1f2e3d4c5b6a';

async function commandWorld(t: TestContext, approvalThreshold = 100) {
  const world = await reconcileWorld(t, { settings: { approvalThreshold } });
  const env = { DATABASE_URL: world.database.url, DICT_URL: world.apiUrl, DICT_VSYNC_LOG_LEVEL: 'error' };
  const command = (...argv: string[]): Promise<CommandOutcome> => runLine(argv, { env });
  return { ...world, command };
}

/** A key that DICT dropped, marked ORPHANED by a run: one item in the queue. */
async function withOrphan(t: TestContext) {
  const world = await commandWorld(t);
  const [sample] = world.first;
  assert.ok(sample);
  world.state.remove(sample.entry.key, { log: true });
  world.pass(10 * minuteMs);
  await world.reconcile();
  const [item] = JSON.parse((await world.command('review', 'list', '--json')).stdout);
  // What --json prints is the product's own, checked by what the tests do with it.
  return { ...world, sample, item: item as { id: string; key: string; version: number } };
}

describe('wrong arguments', () => {
  const cases: readonly (readonly [string, string[], RegExp])[] = [
    ['approve without a run', ['approve'], /missing required argument 'run'/],
    ['approve of what is no id', ['approve', 'x', '--reason', 'r'], /It must be an id such as/],
    ['approve without a reason', ['approve', id], /--reason is needed/],
    ['approve with an empty reason', ['approve', id, '--reason', '  '], /1 to 500 characters/],
    ['approve with a short digest', ['approve', id, '--reason', 'r', '--digest', 'abc'], /8 or more hex digits/],
    ['approve of a run that does not exist', ['approve', id, '--reason', 'r'], /does not exist/],
    ['approve --list of a run that waits for nothing', ['approve', id, '--list'], /waits for no decision/],
    ['reject of a run that does not exist', ['reject', id, '--reason', 'r'], /does not exist/],
    ['reject with an empty operator', ['reject', id, '--reason', 'r', '--operator', ''], /1 to 100 characters/],
    ['review without a subcommand', ['review'], /Usage/],
    ['review show of what is no id', ['review', 'show', '7'], /It must be an id such as/],
    ['review show of an item that does not exist', ['review', 'show', id], /does not exist/],
    ['review list with a wrong limit', ['review', 'list', '--limit', '0'], /whole number from 1 to 1000/],
    ['review list with a wrong participant', ['review', 'list', '--participant', '1'], /eight digits/],
    ['review resolve without an action', ['review', 'resolve', id, '--reason', 'r'], /--action <action>' not specified/],
    [
      'review resolve with an unknown action',
      ['review', 'resolve', id, '--action', 'delete', '--reason', 'r'],
      /Allowed choices/,
    ],
    ['review resolve without a reason', ['review', 'resolve', id, '--action', 'keep'], /--reason <text>' not specified/],
    [
      'review resolve of an item that does not exist',
      ['review', 'resolve', id, '--action', 'keep', '--reason', 'r'],
      /does not exist/,
    ],
  ];
  it('end with a message on standard error and a status that is not 0', async (t) => {
    const { command } = await commandWorld(t);
    for (const [what, argv, message] of cases) {
      const { stderr, exitCode } = await command(...argv);
      assert.match(stderr, message, what);
      assert.notEqual(exitCode, 0, what);
    }
  });
});

describe('review', () => {
  it('lists what waits with its key masked, and shows the key on request, which is audited', async (t) => {
    const { command, item, sample, count } = await withOrphan(t);
    const list = await command('review', 'list');
    assert.match(list.stdout, new RegExp(item.id));
    assert.match(list.stdout, /orphaned/);
    assert.doesNotMatch(list.stdout, new RegExp(sample.entry.key));
    assert.doesNotMatch((await command('review', 'show', item.id)).stdout, new RegExp(sample.entry.key));
    assert.match(
      (await command('review', 'show', item.id, '--reveal', '--operator', 'ana')).stdout,
      new RegExp(sample.entry.key),
    );
    assert.equal(await count(`FROM audit_log WHERE action = 'REVIEW_KEY_REVEALED' AND actor = 'ana' AND NOT authenticated`), 1);
  });

  it('carries a decision out and keeps who made it and why', async (t) => {
    const { command, item, sample, entry, count } = await withOrphan(t);
    const { stdout, stderr, exitCode } = await command(
      ...['review', 'resolve', item.id, '--action', 'confirm-deletion'],
      ...['--reason', 'account closed', '--operator', 'ana', '--seen', String(item.version)],
    );
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, /deleted here/);
    assert.equal((await entry(sample.entry.key))?.status, 'DELETED');
    assert.equal(await count(`FROM manual_review_queue WHERE reviewed_by = 'ana' AND action_reason = 'account closed'`), 1);
    assert.match((await command('review', 'list')).stdout, /^id[^\n]*\n$/);
    assert.match((await command('review', 'list', '--all')).stdout, /confirm-deletion/);
  });

  it('changes nothing when DICT cannot be reached', async (t) => {
    const { item, sample, entry, database } = await withOrphan(t);
    const env = { DATABASE_URL: database.url, DICT_URL: 'http://127.0.0.1:9/api/v2/', DICT_VSYNC_LOG_LEVEL: 'error' };
    const argv = ['review', 'resolve', item.id, '--action', 'confirm-deletion', '--reason', 'r'];
    const { stderr, exitCode } = await runLine(argv, { env });
    assert.notEqual(exitCode, 0);
    assert.match(stderr, /DICT could not be asked \(Unreachable\); nothing was changed/);
    assert.equal((await entry(sample.entry.key))?.status, 'ORPHANED');
  });
});

describe('approve and reject', () => {
  it('show the list, refuse who asked, and write the decision of another operator', async (t) => {
    const world = await commandWorld(t, 1);
    const missing = world.take(2);
    for (const sample of missing) world.state.insert(sample);
    world.pass(10 * minuteMs);
    const opening = await world.open({ fromRung: 'file', by: 'carlos' });
    assert.ok(opening.kind === 'opened');
    // The commands run on the present's clock, the world on its own: an approval must be valid for both.
    const lasting = () =>
      world.database.query(`UPDATE reconciliation_approvals SET expires_at = '2100-01-01T00:00:00Z' WHERE decision IS NULL`);
    let outcomes: CommandOutcome[] = [];
    const outcome = await world.run(opening.runId, {
      ...world.steps,
      awaitApproval: async (input) => {
        const next = await world.steps.awaitApproval(input);
        if (next.kind !== 'wait' || outcomes.length > 0) return next;
        await lasting();
        outcomes = [
          await world.command('approve', opening.runId, '--list'),
          await world.command('approve', opening.runId, '--reason', 'mine', '--operator', 'carlos'),
          await world.command('approve', opening.runId, '--reason', 'checked', '--operator', 'ana'),
          await world.command('reject', opening.runId, '--reason', 'too late', '--operator', 'ana'),
        ];
        return { ...next, waitMs: 1_000 };
      },
    });
    const [list, own, given, late] = outcomes;
    assert.match(list?.stdout ?? '', /missing_local[\s\S]*2 divergences, digest [0-9a-f]{64}/);
    for (const { entry } of missing) assert.doesNotMatch(list?.stdout ?? '', new RegExp(entry.key));
    assert.match(own?.stderr ?? '', /carlos asked for this run: another operator has to approve it/);
    assert.deepEqual([given?.exitCode, late?.exitCode], [0, 1]);
    assert.match(given?.stdout ?? '', /2 divergences approved by ana/);
    assert.deepEqual(outcome, { kind: 'ended', state: 'completed', reason: null });
  });
});
