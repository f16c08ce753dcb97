/**
 * `dict-vsync ingest`: events of the core, from a file or standard input, into the base. What it is killed over is taken up by
 * running it again; what cannot be applied becomes a dead letter and stops nothing.
 */

import * as path from 'node:path';
import { Argument, Command } from 'commander';
import type { EventSource, IngestedStream } from '../ingest/ingest-stream.ts';
import { ingestStream } from '../ingest/ingest-stream.ts';
import { tidyInbox } from '../verify/housekeeping.ts';
import { withBase, withMetrics } from '../wire.ts';
import { openBytes } from './input-bytes.ts';
import { CommandFailed, type Io } from './io.ts';
import { withProgress } from './progress.ts';

/** A longer line becomes a dead letter, of which the beginning is kept. */
const lineBytesMax = 1_048_576;

/** `ingest FILE` or `-`: exit status 1 for dead letters only with --strict. */
export function ingestCommand(io: Io): Command {
  return new Command('ingest')
    .description('Take events of the core into the base: NDJSON from a file or standard input')
    .addArgument(new Argument('<file>', 'NDJSON of events, one a line; - is standard input'))
    .option('--strict', 'exit status 1 when there were dead letters')
    .allowExcessArguments(false)
    .addHelpText(
      'after',
      `
An event: {"action":"key.created","event_id":"…","occurred_at":"2026-03-01T12:00:00.000Z","payload":{…}}
Actions: key.created, key.updated, key.deleted, core.acknowledged. The payload is flat (key, key_type, ispb, branch,
account_number, account_type, account_opened_at, owner_type, owner_tax_id, owner_name, owner_trade_name, request_id)
or nested as DICT's own Entry. What was taken in before is recognised: after a crash, run the same command again.`,
    )
    .action((file: string, options: { readonly strict?: true }) => ingest(io, file, options.strict === true));
}

/** The file, opened before the database is: a wrong name should not start a server. */
async function openSource(io: Io, file: string): Promise<EventSource> {
  const { sizeBytes, chunks } = await openBytes(io, file);
  const origin = file === '-' ? 'stdin' : `file:${path.resolve(io.cwd, file)}`;
  return { origin, chunks, totalBytes: sizeBytes };
}

async function ingest(io: Io, file: string, strict: boolean): Promise<void> {
  await withProgress(io, { title: 'ingest', unit: 'events' }, async (apart, progress) => {
    const source = await openSource(apart, file);
    await withBase(apart, (base) =>
      withMetrics(base, async () => {
        const { config, database, clock } = base;
        const settings = { ...config.ingest, lineBytesMax };
        const result = await ingestStream({ database, clock }, source, settings, io.signal, ({ lines, bytes }) => {
          const share = source.totalBytes === null ? null : bytes / source.totalBytes;
          progress.at({ done: lines, total: null, share });
        });
        await tidyInbox({ database, clock }, config.ingest.inboxKeptMs);
        report(apart, result, strict);
      }),
    );
  });
}

function report(io: Io, result: IngestedStream, strict: boolean): void {
  const { applied, superseded, echo, duplicate, dead } = result;
  io.stdout.write(
    `${result.lines} events: ${applied} applied, ${superseded} older than the base, ${echo} already so, ` +
      `${duplicate} delivered before, ${dead} dead letters\n`,
  );
  if (!result.complete) throw new CommandFailed('interrupted before the end: run the same command again to go on', 130);
  if (dead === 0) return;
  const message = `${dead} events could not be applied; each is kept with its reason in event_dead_letters`;
  if (strict) throw new CommandFailed(message);
  io.stderr.write(`warning: ${message}\n`);
}
