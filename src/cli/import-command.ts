/** `dict-vsync import`: an existing base, as it was at a stated time. Rows that are refused go to a file beside it, with the reason. */

import { randomUUID } from 'node:crypto';
import { type FileHandle, open, stat } from 'node:fs/promises';
import * as path from 'node:path';
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { INSTANT_FORM, parseInstant } from '../event/instant.ts';
import type { ImportResult } from '../ingest/entry-import.ts';
import { type FileToImport, type ImportListener, ImportUnderWay, importFile } from '../ingest/file-import.ts';
import { BaseFileRefused } from '../ingest/import-file.ts';
import { AlgorithmChanged, ImportLost } from '../ingest/import-run.ts';
import type { ImportedFile } from '../ingest/imported-file.ts';
import { appendAudit } from '../ledger/audit.ts';
import type { Transaction } from '../platform/postgres/database.ts';
import { fileFailureOf } from '../platform/system-failure.ts';
import { type Base, withBase } from '../wire.ts';
import { openBytes, refuseUtf16 } from './input-bytes.ts';
import { CommandFailed, type Io } from './io.ts';
import { operatorOf } from './operator.ts';
import { type Progress, withProgress } from './progress.ts';
import { RefusedFile } from './refused-file.ts';

const interruptedExitCode = 130;
/** Of a byte order mark. */
const markBytes = 2;

interface ImportOptions {
  readonly asOf: Date;
  readonly format?: 'ndjson' | 'csv';
  readonly refused?: string;
}

/** `import FILE`: may be repeated; refused rows go to a file with their reasons. */
export function importCommand(io: Io): Command {
  return new Command('import')
    .description('Load an existing base: NDJSON of entries, or CSV with a header line')
    .addArgument(new Argument('<file>', 'one entry a line or row (flat names, or nested as DICT has them); - is standard input'))
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
tells it. A second run changes nothing; one that was interrupted or killed goes on
where it ended when the same command is given again. Refused rows give exit status 1.`,
    )
    .action((file: string, options: ImportOptions) =>
      withProgress(io, { title: 'import', unit: 'rows' }, (apart, progress) => importNamed(apart, file, options, progress)),
    );
}

function instantOf(text: string): Date {
  const instant = parseInstant(text);
  if (instant === null) throw new InvalidArgumentError(`It must be ${INSTANT_FORM}.`);
  if (instant.getTime() > Date.now()) throw new InvalidArgumentError('It must not lie in the future.');
  return instant;
}

/** Opened before the database is: a wrong name should not start a server. */
async function openFile(io: Io, file: string): Promise<{ readonly file: ImportedFile; close(): Promise<void> }> {
  const name = path.resolve(io.cwd, file);
  const isPlain =
    file !== '-' &&
    (await stat(name).then(
      (found) => found.isFile(),
      () => false,
    ));
  if (!isPlain) {
    const { chunks } = await openBytes(io, file);
    return { file: { pipe: chunks }, close: async () => void (await chunks.return()) };
  }
  let handle: FileHandle | null = null;
  try {
    handle = await open(name);
    const { buffer } = await handle.read(Buffer.alloc(markBytes), 0, markBytes, 0);
    refuseUtf16(buffer, file);
    return { file: handle, close: handle.close.bind(handle) };
  } catch (cause) {
    await handle?.close();
    throw cause instanceof CommandFailed ? cause : new CommandFailed(`${file} cannot be read: ${fileFailureOf(cause)}`, 1, cause);
  }
}

async function importNamed(io: Io, file: string, options: ImportOptions, progress: Progress): Promise<void> {
  const refusedName = options.refused ?? (file === '-' ? 'refused.ndjson' : `${file}.refused.ndjson`);
  const refused = new RefusedFile(path.resolve(io.cwd, refusedName));
  if (refused.name === path.resolve(io.cwd, file)) throw new CommandFailed('--refused: names the imported file itself');
  const opened = await openFile(io, file);
  try {
    const format = options.format ?? (/\.csv$/i.test(file) ? 'csv' : 'ndjson');
    const toImport = { handle: opened.file, format, asOf: options.asOf, refused };
    const result = await withBase(io, (base) => importOpened(io, base, toImport, progress));
    report(io, result, refused.name);
  } catch (cause) {
    if (cause instanceof BaseFileRefused) throw new CommandFailed(`${file}: ${cause.message}`, 1, cause);
    throw cause;
  } finally {
    await refused.close();
    await opened.close();
  }
}

async function importOpened(io: Io, base: Base, file: FileToImport, progress: Progress): Promise<ImportResult> {
  const deps = { database: base.database, clock: base.clock, newId: randomUUID, signal: io.signal };
  const listener: ImportListener = {
    onUnknown: (columns) => io.stderr.write(`warning: columns passed over: ${columns.join(', ')}\n`),
    onResumed: (rows) => io.stderr.write(`goes on after the ${rows} rows that an earlier run had loaded\n`),
    onProgress: ({ phase, done, total, rows }) => {
      progress.at({ done: rows, total: null, share: total === null || total === 0 ? null : done / total, phase });
    },
    onEnd: (tx, result) => record(tx, base, result, file.asOf),
  };
  try {
    return await importFile(deps, file, listener);
  } catch (cause) {
    if (io.signal.aborted) {
      throw new CommandFailed('interrupted; the same command goes on where this one ended', interruptedExitCode, cause);
    }
    const isExpected = cause instanceof ImportUnderWay || cause instanceof ImportLost || cause instanceof AlgorithmChanged;
    throw isExpected ? new CommandFailed(cause.message, 1, cause) : cause;
  }
}

async function record(tx: Transaction, base: Base, result: ImportResult, asOf: Date): Promise<void> {
  const { rows, loaded, unchanged, superseded, refused } = result;
  const now = base.clock.now();
  await appendAudit(
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
