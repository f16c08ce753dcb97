/** `dict-vsync config`: every option, its value and where it comes from, its default and meaning; secrets are never printed. */

import { Command } from 'commander';
import { envExample, wrap } from '../config/env-example.ts';
import { ConfigRefused, type OptionInForce, optionsInForce } from '../config.ts';
import { CommandFailed, type Io } from './io.ts';

const defaultColumns = 100;

function lines({ option: named, shown, source }: OptionInForce, columns: number): string {
  const { option, env, name } = named;
  const from = source === 'default' ? 'default' : `from ${source}; default ${option.defaultText ?? 'not set'}`;
  const about = [
    option.description,
    `Allowed: ${option.kind.allowed}.`,
    `In a file: ${name}.`,
    ...(option.secret ? [`Secret; or ${env}_FILE=path.`] : []),
  ];
  const indented = wrap(about.join(' '), columns - 4).map((line) => `    ${line}`);
  return [`${env}=${shown ?? ''}  (${from})`, ...indented].join('\n');
}

function asJson(options: readonly OptionInForce[]): string {
  const rows = options.map(({ option: { name, env, option }, shown, source }) => ({
    name,
    env,
    value: shown,
    source,
    default: option.defaultText,
    allowed: option.kind.allowed,
    secret: option.secret,
    description: option.description,
  }));
  return JSON.stringify(rows, null, 2);
}

function inForce(io: Io): readonly OptionInForce[] {
  try {
    return optionsInForce(io);
  } catch (cause) {
    if (cause instanceof ConfigRefused) throw new CommandFailed(cause.message, 1, cause);
    throw cause;
  }
}

/** The command `config`; see the head of this file. */
export function configCommand(io: Io): Command {
  return new Command('config')
    .description('Show every option: its value, where that comes from, its default and what is allowed')
    .option('--json', 'print as JSON')
    .option('--env-example', 'print .env.example instead')
    .allowExcessArguments(false)
    .action((options: { readonly json?: true; readonly envExample?: true }) => {
      if (options.envExample === true && options.json === true) {
        throw new CommandFailed('config: --json and --env-example exclude each other');
      }
      if (options.envExample === true) {
        io.stdout.write(envExample());
        return;
      }
      const found = inForce(io);
      if (options.json === true) {
        io.stdout.write(`${asJson(found)}\n`);
        return;
      }
      const columns = Math.max(60, io.stdout.columns ?? defaultColumns);
      for (const [group, members] of Map.groupBy(found, ({ option }) => option.group)) {
        io.stdout.write(`[${group}]\n${members.map((member) => lines(member, columns)).join('\n')}\n\n`);
      }
    });
}
