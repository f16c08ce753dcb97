/** The text of .env.example: every option, commented out, with its default. A test checks that the file in the tree is this text. */

import { type NamedOption, namedOptions } from './option-table.ts';

const widthMax = 110;

/** Breaks a text into lines of at most that width, between words. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

function example({ env, option }: NamedOption): string {
  const about = wrap(`${option.description} Allowed: ${option.kind.allowed}.`, widthMax).map((line) => `# ${line}`);
  const secret = option.secret ? [`# A secret; ${env}_FILE=path reads it from a file instead.`] : [];
  return [...about, ...secret, `#${env}=${option.defaultText ?? ''}`].join('\n');
}

/** The text, ending in a line feed. */
export function envExample(): string {
  const groups = Map.groupBy(namedOptions, ({ group }) => group);
  const sections = [...groups].map(([group, options]) => [`## ${group}`, ...options.map(example)].join('\n\n'));
  const opening = [
    '# Every option of dict-vsync with its default. Copy to .env and uncomment what you want to change.',
    '# The environment wins over .env, .env over the JSON file named by DICT_VSYNC_CONFIG.',
    '# This file is generated: dict-vsync config --env-example > .env.example',
  ].join('\n');
  return `${[opening, ...sections].join('\n\n')}\n`;
}
