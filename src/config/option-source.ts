/**
 * Where the texts of options come from: the environment, the file .env, and a JSON file named by DICT_VSYNC_CONFIG, the former
 * before the latter. Names that nobody knows are complaints here: a misspelt option that silently does nothing is worse than a stop.
 */

import { readFileSync } from 'node:fs';
import * as path from 'node:path';
import { parseEnv } from 'node:util';
import type { NamedOption } from './option-table.ts';
import { namedOptions } from './option-table.ts';
import { suggestion } from './suggestion.ts';

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}

/** A text and where it stood, such as `environment`, `.env` or `settings.json`. */
export interface Given {
  readonly text: string;
  readonly source: string;
}

export interface Sources {
  /** The text given for an option, or null where none is. */
  find(option: NamedOption): Given | null;
  readonly complaints: readonly string[];
}

const prefix = 'DICT_VSYNC_';
const configFileEnv = 'DICT_VSYNC_CONFIG';
const fileSuffix = '_FILE';
const fileBytesMax = 1024 * 1024;

type Texts = ReadonlyMap<string, Given>;

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

function readText(file: string): string {
  const content = readFileSync(file);
  if (content.length > fileBytesMax) throw new RangeError(`${content.length} bytes, more than ${fileBytesMax}`);
  return content.toString('utf8');
}

function secretEnvNames(): readonly string[] {
  return namedOptions.filter(({ option }) => option.secret).map(({ env }) => `${env}${fileSuffix}`);
}

/** Variables under their option's name; an empty one counts as not set, as compose files write it. */
function fromVariables(
  variables: Readonly<Record<string, string | undefined>>,
  source: string,
  cwd: string,
  complaints: string[],
): Texts {
  const known = [...namedOptions.map(({ env }) => env), ...secretEnvNames(), configFileEnv];
  for (const name of Object.keys(variables)) {
    if (!name.startsWith(prefix) || known.includes(name)) continue;
    complaints.push(unknownName(name, known, source));
  }
  const texts = new Map<string, Given>();
  for (const { name, env, option } of namedOptions) {
    const plain = variables[env];
    const file = option.secret ? variables[`${env}${fileSuffix}`] : undefined;
    if (plain !== undefined && plain !== '' && file !== undefined && file !== '') {
      complaints.push(`${env} and ${env}${fileSuffix} are both set (${source}): give one of them`);
    } else if (plain !== undefined && plain !== '') {
      texts.set(name, { text: plain, source });
    } else if (file !== undefined && file !== '') {
      try {
        texts.set(name, { text: readText(path.resolve(cwd, file)).replace(/\r?\n$/, ''), source: `${source}, file ${file}` });
      } catch (cause) {
        complaints.push(`${env}${fileSuffix}: the file ${file} cannot be read (${reason(cause)})`);
      }
    }
  }
  return texts;
}

function unknownName(name: string, known: readonly string[], source: string): string {
  const meant = suggestion(name, known);
  return `${name} (${source}) is not an option${meant === null ? '; "dict-vsync config" lists them' : `; did you mean ${meant}?`}`;
}

function dotEnv(cwd: string, complaints: string[]): Readonly<Record<string, string | undefined>> {
  try {
    return parseEnv(readText(path.join(cwd, '.env')));
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')) {
      complaints.push(`.env cannot be read (${reason(cause)})`);
    }
    return {};
  }
}

function isGroup(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The options of a JSON file: `{ "group": { "name": value } }`, a value being a text, a number, true, false or a list of texts. */
function fromFile(file: string, cwd: string, complaints: string[]): Texts {
  const texts = new Map<string, Given>();
  let content: unknown;
  try {
    content = JSON.parse(readText(path.resolve(cwd, file)));
  } catch (cause) {
    complaints.push(`${configFileEnv}: the file ${file} cannot be read as JSON (${reason(cause)})`);
    return texts;
  }
  if (!isGroup(content)) {
    complaints.push(`${file}: must be an object of groups, such as {"verification": {"dailyAt": "03:00"}}`);
    return texts;
  }
  const known = namedOptions.map(({ name }) => name);
  for (const [group, options] of Object.entries(content)) {
    if (!isGroup(options)) {
      complaints.push(`${group} (${file}) must be an object of options, such as {"verification": {"dailyAt": "03:00"}}`);
      continue;
    }
    for (const [bare, value] of Object.entries(options)) {
      const name = `${group}.${bare}`;
      const given = textOf(value);
      if (!known.includes(name)) complaints.push(unknownName(name, known, file));
      else if (given === null) complaints.push(`${name} (${file}) must be a text, a number, true, false or a list of texts`);
      else texts.set(name, { text: given, source: file });
    }
  }
  return texts;
}

function textOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value.join(',');
  return null;
}

/** Reads all sources. What is wrong with them is in `complaints`; nothing is thrown. */
export function readSources({ env, cwd }: Surroundings): Sources {
  const complaints: string[] = [];
  const dot = dotEnv(cwd, complaints);
  const layers = [fromVariables(env, 'environment', cwd, complaints), fromVariables(dot, '.env', cwd, complaints)];
  const file = env[configFileEnv] || dot[configFileEnv];
  if (file !== undefined && file !== '') layers.push(fromFile(file, cwd, complaints));
  return {
    find: ({ name }) => layers.find((layer) => layer.has(name))?.get(name) ?? null,
    complaints,
  };
}
