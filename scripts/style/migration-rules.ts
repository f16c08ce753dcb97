/** Style rules about migrations: numbered without gaps, explained, and without a clock of their own. */

import type { Fault } from './source-file.ts';

const form = /^([0-9]{6})_[a-z0-9_]+\.sql$/;

/** Names of all migrations together: `000001_nouns.sql`, counting up by one. */
export function migrationNameFaults(names: readonly string[]): Fault[] {
  return [...names].sort().flatMap((name, index) => {
    const number = form.exec(name)?.[1];
    const expected = String(index + 1).padStart(6, '0');
    if (number === expected) return [];
    return [{ file: `migrations/${name}`, line: 1, rule: 'migration-name', message: `expected ${expected}_nouns.sql` }];
  });
}

const unwanted: readonly [RegExp, string][] = [
  [/\bDEFAULT\s+(now\(\)|CURRENT_TIMESTAMP|clock_timestamp\(\))/i, 'times are written by the program, without database defaults'],
  [/\bCREATE\s+(OR\s+REPLACE\s+)?(CONSTRAINT\s+)?TRIGGER\b/i, 'no triggers'],
  [/\btimestamp\b(?!\s*with\s+time\s+zone)(?!tz)/i, 'timestamps are timestamptz'],
];

/** One migration's text. */
export function migrationFaults(path: string, text: string): Fault[] {
  const faults = text
    .split('\n')
    .flatMap((line, index) =>
      unwanted.flatMap(([pattern, message]) =>
        pattern.test(line.replace(/--.*/, '')) ? [{ file: path, line: index + 1, rule: 'migration', message }] : [],
      ),
    );
  if (!text.startsWith('--'))
    faults.unshift({ file: path, line: 1, rule: 'migration', message: 'opens without a comment on why it exists' });
  return faults;
}
