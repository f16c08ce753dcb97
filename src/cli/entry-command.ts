/** `dict-vsync entry find`: look an entry up by what a person knows of it. Shown masked; the access to CIDs is audited. */

import { userInfo } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';
import { type Cid, cidFromHex } from '../cid/cid.ts';
import { type EntrySearch, type FoundEntry, searchEntries } from '../ingest/entry-search.ts';
import { appendAudit } from '../ledger/audit.ts';
import { cidFingerprint, maskKey } from '../ledger/masking.ts';
import { type Base, withBase } from '../wire.ts';
import { CommandFailed, type Io } from './io.ts';
import { keyTypeOption, participantOption, type ScopeChoice, scopesOf } from './scope-option.ts';
import { table } from './table.ts';

interface FindOptions extends ScopeChoice {
  readonly key?: string;
  readonly cid?: Cid;
  readonly account?: string;
  readonly branch?: string;
  readonly limit: number;
  readonly json?: true;
}

const limitMax = 1_000;

function cidArgument(text: string): Cid {
  try {
    return cidFromHex(text);
  } catch {
    throw new InvalidArgumentError('It must be 64 hex digits.');
  }
}

function digits(max: number): (text: string) => string {
  return (text) => {
    if (!/^[0-9]+$/.test(text) || text.length > max) throw new InvalidArgumentError(`It must be 1 to ${max} digits.`);
    return text;
  };
}

function limitArgument(text: string): number {
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || value < 1 || value > limitMax) {
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${limitMax}.`);
  }
  return value;
}

async function searchOf(base: Base, options: FindOptions): Promise<EntrySearch> {
  const given = [options.key, options.cid, options.account].filter((value) => value !== undefined).length;
  if (given > 1) throw new CommandFailed('entry find: give one of --key, --cid and --account', 2);
  if (options.branch !== undefined && options.account === undefined) {
    throw new CommandFailed('entry find: --branch goes with --account', 2);
  }
  const scopes = await scopesOf(base.database, options, base.config.program);
  const participants = [...new Set(scopes.map((scope) => scope.participant))];
  if (options.key !== undefined) return { by: 'key', participants, key: options.key };
  if (options.cid !== undefined) return { by: 'cid', participants, cid: options.cid };
  if (options.account !== undefined) {
    return { by: 'account', participants, accountNumber: options.account, branch: options.branch ?? null };
  }
  if (options.keyType === undefined) {
    throw new CommandFailed('entry find: give one of --key, --cid, --account and --key-type', 2);
  }
  return { by: 'keyType', participants, keyType: options.keyType };
}

/** Who saw which CIDs: one row for each participant, with their fingerprints and number. */
async function auditAccess(base: Base, by: string, found: readonly FoundEntry[]): Promise<void> {
  const now = base.clock.now();
  const actor = { name: base.config.program.operator ?? userInfo().username, authenticated: false };
  const records = [...Map.groupBy(found, (entry) => entry.participant)].map(([participant, entries]) => {
    const cids = entries.flatMap((entry) => (entry.cid === null ? [] : [cidFingerprint(entry.cid)]));
    return {
      participant,
      keyType: null,
      occurredAt: now,
      actor,
      kind: 'access' as const,
      action: 'ENTRY_FIND',
      outcome: 'success' as const,
      details: { by, entries: entries.length, cids },
      correlationId: null,
    };
  });
  await base.database.transaction((transaction) => appendAudit(transaction, records));
}

function shown(entry: FoundEntry): Record<string, unknown> {
  return {
    participant: entry.participant,
    key: maskKey(entry.key, entry.keyType),
    keyType: entry.keyType,
    status: entry.status,
    cid: entry.cid === null ? null : Buffer.from(entry.cid).toString('hex'),
    branch: entry.branch,
    accountNumber: entry.accountNumber === null ? null : entry.accountNumber.slice(-4).padStart(entry.accountNumber.length, '*'),
    accountType: entry.accountType,
    ownerType: entry.ownerType,
    occurredAt: entry.occurredAt.toISOString(),
    syncedFrom: entry.syncedFrom,
  };
}

async function find(io: Io, base: Base, options: FindOptions): Promise<void> {
  const search = await searchOf(base, options);
  const found = (await searchEntries(base.database, search, options.limit)).filter(
    (entry) => options.keyType === undefined || entry.keyType === options.keyType,
  );
  await auditAccess(base, search.by, found);
  if (options.json === true) {
    io.stdout.write(`${JSON.stringify(found.map(shown), null, 2)}\n`);
    return;
  }
  if (found.length === 0) throw new CommandFailed(`entry find: no entry found${search.by === 'cid' ? ' with that CID' : ''}`);
  const titles = ['participant', 'keyType', 'key', 'status', 'accountType', 'accountNumber', 'occurredAt', 'syncedFrom', 'cid'];
  io.stdout.write(
    table(
      titles.map((title) => ({ title, value: (row: Record<string, unknown>) => String(row[title] ?? '') })),
      found.map(shown),
    ),
  );
  if (found.length === options.limit) io.stderr.write(`Only the first ${options.limit} are shown; --limit shows more.\n`);
}

/** `entry find`. */
export function entryCommand(io: Io): Command {
  const findCommand = new Command('find')
    .description('Find entries by key, CID (also one of long ago), account or key type; shown masked')
    .option('--key <key>', 'the whole key, as DICT holds it')
    .option('--cid <hex>', 'a CID that the entry has or had', cidArgument)
    .option('--account <number>', 'the account’s number with its leading zeros', digits(20))
    .option('--branch <number>', 'the account’s branch', digits(4))
    .addOption(keyTypeOption())
    .addOption(participantOption())
    .option('--limit <count>', 'at most so many', limitArgument, 50)
    .option('--json', 'print as JSON')
    .allowExcessArguments(false)
    .action((options: FindOptions) => withBase(io, (base) => find(io, base, options)));
  return new Command('entry').description('Look entries up').addCommand(findCommand);
}
