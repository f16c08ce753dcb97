/** `dict-vsync import`: an existing base, as it was at a stated time. Rows that are refused go to a file beside it, with the reason. */

import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import * as path from 'node:path';
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { INSTANT_FORM, parseInstant } from '../event/instant.ts';
import { type ImportResult, importBase, type RefusedRow } from '../ingest/entry-import.ts';
import { BaseFileRefused, type BaseRow, csvRows, ndjsonRows } from '../ingest/import-file.ts';
import { appendAudit } from '../ledger/audit.ts';
import { type Base, withBase } from '../wire.ts';
import { CommandFailed, type Io } from './io.ts';
import { operatorOf } from './operator.ts';

interface ImportOptions {
  readonly asOf: Date;
  readonly format?: 'ndjson' | 'csv';
  readonly refused?: string;
}

/** `import FILE`: may be repeated; refused rows go to a file with their reasons. */
export function importCommand(io: Io): Command {
  return new Command('import')
    .description('Load an existing base: NDJSON of entries, or CSV with a header line')
    .addArgument(new Argument('<file>', 'one entry a line or row (flat names, or nested as DICT has them)'))
    .addOption(
      new Option('--as-of <time>', 'when the base was as the file has it; what is known from later stays')
        .argParser(instantOf)
        .makeOptionMandatory(),
    )
    .addOption(new Option('--format <format>', 'default: csv for names ending in .csv, else ndjson').choices(['ndjson', 'csv']))
    .option('--refused <file>', 'where refused rows go, with the reason (default: FILE.refused.ndjson)')
    .allowExcessArguments(false)
    .addHelpText(
      'after',
      `
Columns: key, key_type, ispb, branch, account_number, account_type, account_opened_at, owner_type, owner_tax_id, owner_name,
owner_trade_name, request_id, registered_at, participant_registered_at. Entries without request_id stay unresolved until DICT
tells it. A second run changes nothing; an interrupted one is run again. Refused rows give exit status 1.`,
    )
    .action((file: string, options: ImportOptions) => importFile(io, file, options));
}

function instantOf(text: string): Date {
  const instant = parseInstant(text);
  if (instant === null) throw new InvalidArgumentError(`It must be ${INSTANT_FORM}.`);
  if (instant.getTime() > Date.now()) throw new InvalidArgumentError('It must not lie in the future.');
  return instant;
}

/** The refused rows' file; made, or emptied, when the first row is refused. */
class RefusedFile {
  readonly name: string;
  #handle: FileHandle | null = null;

  constructor(name: string) {
    this.name = name;
  }

  async write({ line, decoded, raw }: RefusedRow): Promise<void> {
    try {
      // Personal data: for the owner's eyes only.
      this.#handle ??= await open(this.name, 'w', 0o600);
      await this.#handle.write(`${JSON.stringify({ line, reason: decoded.reason, detail: decoded.detail, row: raw })}\n`);
    } catch (cause) {
      throw new CommandFailed(
        `${this.name} cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`,
        1,
        cause,
      );
    }
  }

  async close(): Promise<void> {
    await this.#handle?.close();
  }
}

async function openFile(name: string, file: string): Promise<AsyncIterable<Uint8Array>> {
  try {
    const handle = await open(name);
    if ((await handle.stat()).isDirectory()) {
      await handle.close();
      throw new Error('it is a directory');
    }
    return createReadStream(name, { fd: handle, autoClose: true });
  } catch (cause) {
    throw new CommandFailed(`${file} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, 1, cause);
  }
}

async function importFile(io: Io, file: string, options: ImportOptions): Promise<void> {
  const name = path.resolve(io.cwd, file);
  const chunks = await openFile(name, file);
  const refused = new RefusedFile(path.resolve(io.cwd, options.refused ?? `${file}.refused.ndjson`));
  if (refused.name === name) throw new CommandFailed('--refused: names the imported file itself');
  const format = options.format ?? (/\.csv$/i.test(file) ? 'csv' : 'ndjson');
  const passedOver = (columns: readonly string[]): void => {
    io.stderr.write(`warning: columns passed over: ${columns.join(', ')}\n`);
  };
  const rows: AsyncIterable<BaseRow> = format === 'csv' ? csvRows(chunks, passedOver) : ndjsonRows(chunks);
  await withBase(io, async (base) => {
    const deps = { database: base.database, clock: base.clock, signal: io.signal };
    try {
      const result = await importBase(deps, rows, options.asOf, (row) => refused.write(row));
      await record(base, result, options.asOf);
      report(io, result, refused.name);
    } catch (cause) {
      if (cause instanceof BaseFileRefused) throw new CommandFailed(`${file}: ${cause.message}`, 1, cause);
      throw cause;
    } finally {
      await refused.close();
    }
  });
}

async function record(base: Base, result: ImportResult, asOf: Date): Promise<void> {
  const { rows, loaded, unchanged, superseded, refused } = result;
  const now = base.clock.now();
  await base.database.transaction((tx) =>
    appendAudit(
      tx,
      result.participants.map((participant) => ({
        participant,
        keyType: null,
        occurredAt: now,
        actor: operatorOf(base.config),
        kind: 'administration',
        action: 'BASE_IMPORT',
        outcome: refused === 0 ? 'success' : 'failure',
        // Of the whole file, which may be of several participants.
        details: { as_of: asOf.toISOString(), rows, loaded, unchanged, superseded, refused },
        correlationId: null,
      })),
    ),
  );
}

function report(io: Io, result: ImportResult, refusedFile: string): void {
  const { rows, loaded, unchanged, superseded, refused, withoutRequestId } = result;
  io.stdout.write(
    `${rows} rows: ${loaded} loaded, ${unchanged} already so, ${superseded} older than the base, ${refused} refused\n`,
  );
  if (withoutRequestId > 0) {
    io.stderr.write(`warning: ${withoutRequestId} rows have no request_id: unresolved where the base has none either\n`);
  }
  if (refused > 0) throw new CommandFailed(`${refused} rows were refused; each is in ${refusedFile} with its reason`);
}
