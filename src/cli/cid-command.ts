/**
 * `dict-vsync cid`: entries in, CIDs out, without any base. Hashes what it is given: formats are for `ingest` to judge. Messages
 * name fields and lines, never values, which may be personal.
 */

import { Argument, Command, Option } from 'commander';
import { CID_ALGORITHMS, CID_BYTES, type CidAlgorithm, type CidEntry, cidToHex, computeCid } from '../cid/cid.ts';
import { type CidBatch, cidBatch } from '../cid/cid-batch.ts';
import { decodeEntry } from '../event/entry-decoding.ts';
import { type FlatName, isFields, payloadOf } from '../event/entry-payload.ts';
import { type InputLine, inputLines } from './input-lines.ts';
import { CommandFailed, type Io } from './io.ts';
import { type Output, outputOption, withOutput } from './output-file.ts';
import { writeOut } from './output-pipe.ts';
import { type Progress, withProgress } from './progress.ts';

interface CidOptions {
  readonly algorithm: CidAlgorithm;
  readonly strict?: true;
  readonly output?: string;
}

type Read = { readonly entry: CidEntry; readonly requestId: string } | { readonly problem: string };

/** The command, to be added to the program. */
export function cidCommand(io: Io): Command {
  return new Command('cid')
    .description('Compute the CIDs of entries: NDJSON in, one CID a line out, in the same order')
    .addArgument(
      new Argument(
        '[file]',
        'NDJSON of entries, one a line, flat (key, key_type, ispb, …) or as DICT has them; - is standard input',
      ).default('-'),
    )
    .addOption(new Option('--algorithm <name>', 'how the CID is made').choices(CID_ALGORITHMS).default('dict'))
    .option('--strict', 'take only what ingest would take: formats checked, values known')
    .addOption(outputOption())
    .allowExcessArguments(false)
    .addHelpText(
      'after',
      `
Fields of the flat form: key, key_type, ispb, branch, account_number, account_type, owner_tax_id, owner_name,
owner_trade_name, request_id; canonical-json-1.0 also hashes owner_type, account_opened_at, registered_at and
participant_registered_at. A line that is no such entry is named on standard error and gives no CID; the rest
goes on, and the exit status is 1.

Example:
  echo '{"key":"+5511987654321","key_type":"PHONE","ispb":"12345678","branch":"0001","account_number":"0007654321",
  "account_type":"CACC","owner_tax_id":"11122233300","owner_name":"João Silva",
  "request_id":"a946d533-7f22-42a5-9a9b-e87cd55c0f4d"}' | tr -d '\\n' | dict-vsync cid`,
    )
    .action((file: string, options: CidOptions) =>
      withProgress(io, { title: 'cid', unit: 'lines' }, (apart, progress) =>
        withOutput(apart, options.output, (output) => computeCids(apart, file, options, { output, progress })),
      ),
    );
}

/** Where CIDs and progress go. */
interface Told {
  readonly output: Output;
  readonly progress: Progress;
}

async function computeCids(io: Io, file: string, options: CidOptions, { output, progress }: Told): Promise<void> {
  const computing = options.algorithm === 'dict' ? batchComputing(cidBatch()) : singleComputing(options.algorithm);
  const read = options.strict === true ? readStrictly : readAsGiven;
  let lineCount = 0;
  let refused = 0;
  const onRead = (bytes: number, sizeBytes: number | null): void => {
    progress.at({ done: lineCount, total: null, share: sizeBytes === null ? null : bytes / sizeBytes });
  };
  for await (const lines of inputLines(io, file, onRead)) {
    let problems = '';
    for (const line of lines) {
      lineCount++;
      const problem = computing.add(readLine(line, read));
      if (problem === null) continue;
      refused++;
      problems += `line ${line.number}: ${problem}\n`;
    }
    const cids = computing.take();
    if (problems !== '') await writeOut(io.stderr, problems);
    if (cids !== '' && !(await output.write(cids))) return;
  }
  if (refused > 0) throw new CommandFailed(`${refused} of ${lineCount} lines gave no CID`);
}

/** Computes CIDs in the order in which entries come. */
interface Computing {
  /** Answers what is wrong with it; null for nothing. */
  add(read: Read): string | null;
  /** The CIDs since the last call, one a line. */
  take(): string;
}

/** Thousands at once, by the lanes of the kernel. */
function batchComputing(batch: CidBatch): Computing {
  let text = '';
  const compute = (): void => {
    const hex = Buffer.from(batch.compute()).toString('hex');
    for (let at = 0; at < hex.length; at += 2 * CID_BYTES) text += `${hex.slice(at, at + 2 * CID_BYTES)}\n`;
  };
  return {
    add(read) {
      if ('problem' in read) return read.problem;
      if (batch.isFull) compute();
      return problemOf(() => batch.add(read.entry, read.requestId));
    },
    take() {
      if (batch.size > 0) compute();
      const taken = text;
      text = '';
      return taken;
    },
  };
}

function singleComputing(algorithm: CidAlgorithm): Computing {
  let text = '';
  return {
    add(read) {
      if ('problem' in read) return read.problem;
      return problemOf(() => {
        text += `${cidToHex(computeCid(read.entry, read.requestId, algorithm))}\n`;
      });
    },
    take() {
      const taken = text;
      text = '';
      return taken;
    },
  };
}

/** What the entry lacks for its CID to be made. */
function problemOf(compute: () => void): string | null {
  try {
    compute();
    return null;
  } catch (error) {
    if (error instanceof TypeError) return error.message;
    throw error;
  }
}

function readLine(line: InputLine, read: (fields: Readonly<Record<string, unknown>>) => Read): Read {
  if (line.text === null) return { problem: line.problem };
  let value: unknown;
  try {
    value = JSON.parse(line.text);
  } catch {
    // The parser's own message quotes the text, which may be personal.
    return { problem: 'is not JSON' };
  }
  return isFields(value) ? read(value) : { problem: 'is not a JSON object with the fields of an entry' };
}

/** By the rules of `ingest` and `import`. */
function readStrictly(fields: Readonly<Record<string, unknown>>): Read {
  const decoded = decodeEntry(fields);
  if (!decoded.valid) return { problem: decoded.detail };
  const { entry, requestId, registeredAt, participantRegisteredAt } = decoded.state;
  if (requestId === null) return { problem: `${payloadOf(fields)('request_id').label}: is missing` };
  const times = { registeredAt: isoOf(registeredAt), participantRegisteredAt: isoOf(participantRegisteredAt) };
  return { entry: { ...entry, ...times }, requestId };
}

function isoOf(instant: Date | null): string | null {
  return instant === null ? null : instant.toISOString();
}

/** The texts as they are, whatever they are. */
function readAsGiven(fields: Readonly<Record<string, unknown>>): Read {
  const problems: string[] = [];
  const read = readEntry(fields, problems);
  return problems.length > 0 ? { problem: problems.join('; ') } : read;
}

/** The entry's texts as they are. What is missing or no text is added to `problems`, and empty in the answer. */
function readEntry(fields: Readonly<Record<string, unknown>>, problems: string[]): { entry: CidEntry; requestId: string } {
  const payload = payloadOf(fields);
  const optional = (name: FlatName): string | null => {
    const { label, value } = payload(name);
    if (value === undefined || value === null) return null;
    if (typeof value !== 'string') problems.push(`${label}: is a ${typeof value}, and must be a text (in double quotes)`);
    else if (!value.isWellFormed())
      problems.push(`${label}: holds half a character (a lone surrogate), which UTF-8 cannot write`);
    else return value;
    return null;
  };
  const required = (name: FlatName): string => {
    const { label, value } = payload(name);
    if (value === undefined || value === null) problems.push(`${label}: is missing`);
    return optional(name) ?? '';
  };
  return {
    requestId: required('request_id'),
    entry: {
      key: required('key'),
      keyType: required('key_type'),
      account: {
        participant: required('ispb'),
        branch: optional('branch'),
        accountNumber: required('account_number'),
        accountType: required('account_type'),
        openingDate: optional('account_opened_at'),
      },
      owner: {
        type: optional('owner_type'),
        taxIdNumber: required('owner_tax_id'),
        name: required('owner_name'),
        tradeName: optional('owner_trade_name'),
      },
      registeredAt: optional('registered_at'),
      participantRegisteredAt: optional('participant_registered_at'),
    },
  };
}
