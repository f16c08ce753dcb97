/** `dict-vsync review`: what waits for a person, and their decisions. Keys are shown masked, except on request, which is audited. */

import { Command, InvalidArgumentError, Option } from 'commander';
import { DictError } from '../dict/errors.ts';
import type { Participant } from '../dict/participant.ts';
import { appendAudit } from '../ledger/audit.ts';
import { maskKey } from '../ledger/masking.ts';
import { resolveReview } from '../reconcile/review.ts';
import {
  closeSettledReviews,
  REVIEW_ACTIONS,
  type ReviewAction,
  type ReviewItem,
  readReview,
  readReviews,
} from '../reconcile/review-store.ts';
import { type Base, withBase } from '../wire.ts';
import { openDict } from '../wire-dict.ts';
import { namedOperator, operatorOption, reasonOption, uuidArgument } from './decision-options.ts';
import { CommandFailed, type Io } from './io.ts';
import { participantOption } from './scope-option.ts';
import { ageText, table } from './table.ts';

interface ListOptions {
  readonly participant?: Participant;
  readonly all?: true;
  readonly limit: number;
  readonly json?: true;
}

interface ShowOptions {
  readonly reveal?: true;
  readonly operator?: string;
  readonly json?: true;
}

interface ResolveOptions {
  readonly action: ReviewAction;
  readonly reason: string;
  readonly operator?: string;
  readonly seen?: number;
}

const limitMax = 1_000;

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || value < 1 || value > limitMax) {
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${limitMax}.`);
  }
  return value;
}

function shown(item: ReviewItem, key = maskKey(item.key, item.keyType)): Record<string, unknown> {
  return {
    id: item.id,
    version: item.version,
    status: item.status,
    participant: item.participant,
    key_type: item.keyType,
    key,
    reason: item.reason,
    detail: item.detail,
    created_at: item.createdAt.toISOString(),
    action_taken: item.actionTaken,
    action_reason: item.actionReason,
    reviewed_by: item.reviewedBy,
    reviewed_at: item.reviewedAt?.toISOString() ?? null,
  };
}

async function list(io: Io, options: ListOptions): Promise<void> {
  await withBase(io, async ({ database, clock }) => {
    const participant = options.participant ?? null;
    await closeSettledReviews(database, participant, clock.now());
    const statuses =
      options.all === true
        ? (['PENDING', 'INVESTIGATING', 'RESOLVED', 'CLOSED'] as const)
        : (['PENDING', 'INVESTIGATING'] as const);
    const items = await readReviews(database, { participant, statuses, limit: options.limit });
    if (options.json === true) {
      io.stdout.write(`${JSON.stringify(items.map((item) => shown(item)))}\n`);
      return;
    }
    const now = clock.now();
    io.stdout.write(
      table<ReviewItem>(
        [
          { title: 'id', value: (item) => item.id },
          { title: 'status', value: (item) => item.status },
          { title: 'participant', value: (item) => item.participant },
          { title: 'type', value: (item) => item.keyType },
          { title: 'key', value: (item) => maskKey(item.key, item.keyType) },
          { title: 'reason', value: (item) => item.reason },
          { title: 'age', value: (item) => ageText(now.getTime() - item.createdAt.getTime()), right: true },
          { title: 'action', value: (item) => item.actionTaken ?? '' },
        ],
        items,
      ),
    );
  });
}

/** Seeing a key in clear is an access to personal data: who and when is kept. */
async function auditReveal({ database, clock, config }: Base, item: ReviewItem, operator: string | undefined): Promise<void> {
  await database.transaction((tx) =>
    appendAudit(tx, [
      {
        participant: item.participant,
        keyType: item.keyType,
        occurredAt: clock.now(),
        actor: namedOperator(config, operator),
        kind: 'access',
        action: 'REVIEW_KEY_REVEALED',
        outcome: 'success',
        details: { item: item.id, key: maskKey(item.key, item.keyType) },
        correlationId: item.id,
      },
    ]),
  );
}

async function show(io: Io, id: string, options: ShowOptions): Promise<void> {
  await withBase(io, async (base) => {
    const item = await readReview(base.database, id);
    if (item === null) throw new CommandFailed(`review show: item ${id} does not exist ("dict-vsync review list" shows them)`);
    if (options.reveal === true) await auditReveal(base, item, options.operator);
    const fields = options.reveal === true ? shown(item, item.key) : shown(item);
    if (options.json === true) {
      io.stdout.write(`${JSON.stringify(fields)}\n`);
      return;
    }
    for (const [name, value] of Object.entries(fields))
      if (value !== null) io.stdout.write(`${name.padEnd(14)}${String(value)}\n`);
  });
}

async function resolve(io: Io, id: string, options: ResolveOptions): Promise<void> {
  await withBase(io, async (base) => {
    await closeSettledReviews(base.database, null, base.clock.now());
    const dict = await openDict(base);
    try {
      const { action, reason } = options;
      const actor = namedOperator(base.config, options.operator);
      const result = await resolveReview({ ...base, dict }, { id, action, actor, reason, version: options.seen ?? null });
      switch (result.kind) {
        case 'refused':
          throw new CommandFailed(`review resolve: ${result.reason}`);
        case 'reactivated':
          io.stdout.write('DICT has the entry after all: it is active again, and the item is closed\n');
          return;
        case 'resolved':
          io.stdout.write(`${result.outcome}\n`);
          return;
      }
    } catch (cause) {
      if (cause instanceof DictError)
        throw new CommandFailed(`review resolve: DICT could not be asked (${cause.kind}); nothing was changed`, 1, cause);
      throw cause;
    } finally {
      await dict.close();
    }
  });
}

/** `review list`, `show` and `resolve`. */
export function reviewCommand(io: Io): Command {
  const review = new Command('review').description('What waits for a person: list it, look at it, decide');
  review
    .command('list')
    .description('List what waits, oldest first')
    .addOption(participantOption())
    .option('--all', 'what was decided or closed too')
    .option('--limit <n>', 'at most this many', wholeNumber, 100)
    .option('--json', 'print as JSON')
    .action((options: ListOptions) => list(io, options));
  review
    .command('show')
    .description('Show one item')
    .argument('<id>', 'id of the item', uuidArgument)
    .option('--reveal', 'show the key in clear; the access is audited')
    .addOption(operatorOption())
    .option('--json', 'print as JSON')
    .action((id: string, options: ShowOptions) => show(io, id, options));
  review
    .command('resolve')
    .description('Decide about one item, after a new look at DICT')
    .argument('<id>', 'id of the item', uuidArgument)
    .addOption(new Option('--action <action>', 'what to do').choices([...REVIEW_ACTIONS]).makeOptionMandatory())
    .addOption(reasonOption().makeOptionMandatory())
    .addOption(operatorOption())
    .option('--seen <version>', 'the version that you looked at; refused if the item has changed since', wholeNumber)
    .action((id: string, options: ResolveOptions) => resolve(io, id, options));
  return review;
}
