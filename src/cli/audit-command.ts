/** `dict-vsync audit`: the audit log of a participant, and the proof that nobody changed it afterwards. */

import { Command, InvalidArgumentError } from 'commander';
import { checkAuditChain, readAudit } from '../ledger/audit.ts';
import { withBase } from '../wire.ts';
import { CommandFailed, type Io } from './io.ts';
import { participantOption, type ScopeChoice } from './scope-option.ts';
import { table } from './table.ts';

const rowsMax = 10_000;

function rowCount(text: string): number {
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || value < 1 || value > rowsMax) {
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${rowsMax}.`);
  }
  return value;
}

function listCommand(io: Io): Command {
  return new Command('list')
    .description('Show the newest rows, oldest first')
    .addOption(participantOption().makeOptionMandatory())
    .option('--limit <count>', 'at most so many', rowCount, 100)
    .option('--json', 'print one JSON object a line, with all details')
    .allowExcessArguments(false)
    .action((options: Required<Pick<ScopeChoice, 'participant'>> & { readonly limit: number; readonly json?: true }) =>
      withBase(io, async ({ database }) => {
        const rows = await readAudit(database, options.participant, options.limit);
        if (options.json === true) {
          for (const row of rows) io.stdout.write(`${JSON.stringify(row)}\n`);
          return;
        }
        io.stdout.write(
          table(
            [
              { title: 'id', value: (row) => String(row.id), right: true },
              { title: 'at', value: (row) => row.occurredAt.toISOString() },
              { title: 'type', value: (row) => row.keyType ?? '' },
              { title: 'who', value: (row) => (row.actor.authenticated ? row.actor.name : `${row.actor.name} (not signed in)`) },
              { title: 'action', value: (row) => row.action },
              { title: 'outcome', value: (row) => row.outcome },
            ],
            rows,
          ),
        );
      }),
    );
}

function verifyCommand(io: Io): Command {
  return new Command('verify')
    .description('Recompute the chain of hashes; exit status 1 where a row was changed or cut out')
    .addOption(participantOption().makeOptionMandatory())
    .allowExcessArguments(false)
    .action(({ participant }: Required<Pick<ScopeChoice, 'participant'>>) =>
      withBase(io, async ({ database }) => {
        const chain = await checkAuditChain(database, participant);
        if (!chain.intact) {
          throw new CommandFailed(
            `audit: the chain of ${participant} is broken at row ${chain.brokenAtId}: it, or a row before it, was changed or removed`,
          );
        }
        io.stdout.write(`The chain of ${participant} is intact: ${chain.rows} rows, last hash ${chain.lastHash}\n`);
      }),
    );
}

/** `audit list` and `audit verify`. */
export function auditCommand(io: Io): Command {
  return new Command('audit')
    .description('Show the audit log and prove that it is whole')
    .addCommand(listCommand(io))
    .addCommand(verifyCommand(io));
}
