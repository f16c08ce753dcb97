/**
 * `dict-vsync cid`: entries in, CIDs out, without any base. Hashes what it is given: formats are for `ingest` to judge. Messages
 * name fields and lines, never values, which may be personal.
 */

import { Argument, Command, Option } from 'commander';
import { CID_ALGORITHMS, type CidAlgorithm, type CidEntry, cidToHex, computeCid } from '../cid/cid.ts';
import { type FlatName, isFields, payloadOf } from '../event/entry-payload.ts';
import { type InputLine, inputLines } from './input-lines.ts';
import { CommandFailed, type Io } from './io.ts';
import { writeOut } from './output-pipe.ts';

type Computed = { readonly cid: string } | { readonly problem: string };

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
    .action((file: string, options: { readonly algorithm: CidAlgorithm }) => computeCids(io, file, options.algorithm));
}

async function computeCids(io: Io, file: string, algorithm: CidAlgorithm): Promise<void> {
  let entries = 0;
  let refused = 0;
  for await (const lines of inputLines(io, file)) {
    let cids = '';
    let problems = '';
    for (const line of lines) {
      const computed = cidOfLine(line, algorithm);
      entries++;
      if ('cid' in computed) {
        cids += `${computed.cid}\n`;
      } else {
        refused++;
        problems += `line ${line.number}: ${computed.problem}\n`;
      }
    }
    if (problems !== '') await writeOut(io.stderr, problems);
    if (cids !== '' && !(await writeOut(io.stdout, cids))) return;
  }
  if (refused > 0) throw new CommandFailed(`${refused} of ${entries} lines gave no CID`);
}

function cidOfLine(line: InputLine, algorithm: CidAlgorithm): Computed {
  if (line.text === null) return { problem: line.problem };
  let value: unknown;
  try {
    value = JSON.parse(line.text);
  } catch {
    // The parser's own message quotes the text, which may be personal.
    return { problem: 'is not JSON' };
  }
  if (!isFields(value)) return { problem: 'is not a JSON object with the fields of an entry' };
  const problems: string[] = [];
  const { entry, requestId } = readEntry(value, problems);
  if (problems.length > 0) return { problem: problems.join('; ') };
  try {
    return { cid: cidToHex(computeCid(entry, requestId, algorithm)) };
  } catch (error) {
    if (error instanceof TypeError) return { problem: error.message };
    throw error;
  }
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
