/** `dict-vsync approve RUN` and `reject RUN`: a person's decision about a list of divergences that a reconciliation has found. */

import { Command, InvalidArgumentError } from 'commander';
import { decideApproval } from '../reconcile/approval.ts';
import { readUndecided } from '../reconcile/approval-store.ts';
import { listCovered, type ShownDivergence } from '../reconcile/covered-divergences.ts';
import { type Base, withBase } from '../wire.ts';
import { namedOperator, operatorOption, reasonOption, uuidArgument } from './decision-options.ts';
import { CommandFailed, type Io } from './io.ts';
import { table } from './table.ts';

interface DecisionOptions {
  readonly reason?: string;
  readonly operator?: string;
  readonly digest?: string;
  readonly list?: true;
}

const shownMax = 2_000;

function digestArgument(text: string): string {
  if (!/^[0-9a-f]{8,64}$/i.test(text))
    throw new InvalidArgumentError('It must be the first 8 or more hex digits of the digest shown.');
  return text.toLowerCase();
}

/** What an approval would cover, keys masked, and its digest. */
async function showList(base: Base, io: Io, runId: string): Promise<void> {
  const approval = (await readUndecided(base.database, runId))[0];
  if (approval === undefined) throw new CommandFailed(`approve: run ${runId} waits for no decision`);
  const rows = await listCovered(base.database, approval.id, shownMax);
  io.stdout.write(
    table<ShownDivergence>(
      [
        { title: 'divergence', value: ({ id }) => String(id), right: true },
        { title: 'kind', value: ({ kind }) => kind ?? '' },
        { title: 'key', value: ({ key }) => key ?? '' },
        { title: 'found by', value: ({ foundBy }) => foundBy },
      ],
      rows,
    ),
  );
  if (approval.divergences > rows.length) io.stdout.write(`… and ${approval.divergences - rows.length} more\n`);
  const digest = approval.digest.toString('hex');
  io.stdout.write(`${approval.divergences} divergences, digest ${digest}\n`);
  io.stdout.write(`Asked for by ${approval.requestedBy}; expires ${approval.expiresAt.toISOString()}\n`);
}

async function decide(io: Io, decision: 'approved' | 'rejected', runId: string, options: DecisionOptions): Promise<void> {
  const name = decision === 'approved' ? 'approve' : 'reject';
  await withBase(io, async (base) => {
    if (options.list === true) {
      await showList(base, io, runId);
      return;
    }
    if (options.reason === undefined) throw new CommandFailed(`${name}: --reason is needed; it is kept with the decision`, 2);
    const actor = namedOperator(base.config, options.operator);
    const result = await decideApproval(base, { runId, decision, actor, reason: options.reason, digest: options.digest ?? null });
    if (result.kind === 'refused') throw new CommandFailed(`${name}: ${result.reason}`);
    const then = decision === 'approved' ? 'the run goes on' : 'the run ends';
    io.stdout.write(
      `${result.divergences} divergences ${decision} by ${actor.name}; ${then} with its process, or with "dict-vsync reconcile --resume ${runId}"\n`,
    );
  });
}

function decisionCommand(io: Io, name: string, decision: 'approved' | 'rejected', description: string): Command {
  return new Command(name)
    .description(description)
    .argument('<run>', 'id of the reconciliation', uuidArgument)
    .addOption(reasonOption())
    .addOption(operatorOption())
    .option(
      '--digest <hex>',
      'the list that you looked at, by the beginning of its digest; refused if it is another by now',
      digestArgument,
    )
    .option('--list', 'only show what the decision would cover')
    .action((runId: string, options: DecisionOptions) => decide(io, decision, runId, options));
}

/** `approve RUN`: by another operator than the one who asked for the run. */
export function approveCommand(io: Io): Command {
  return decisionCommand(
    io,
    'approve',
    'approved',
    'Approve the repairs that a reconciliation waits with; another operator than who asked for it',
  );
}

/** `reject RUN`: the run ends without these repairs. */
export function rejectCommand(io: Io): Command {
  return decisionCommand(
    io,
    'reject',
    'rejected',
    'Reject the repairs that a reconciliation waits with; it ends and nothing of them is changed',
  );
}
