/** The forms in which a CID set file can come out: the proper one, and what participants have met or have to be safe from. */

import type { Random } from './random.ts';

export const FILE_VARIANTS = [
  'proper',
  /** No bytes at all, announced as such. */
  'empty',
  /** The download ends early, without an error; Bytes and Sha256 are of the whole. */
  'truncated',
  /** Generated incomplete: ends within a line, with Bytes and Sha256 that match. */
  'cut',
  /** Half of the CIDs are missing, with Bytes and Sha256 that match. */
  'half',
  /** As many lines, but of somebody else's CIDs. */
  'foreign',
  'duplicate-line',
  /** A line in the middle that is no CID. */
  'malformed-line',
  'upper-case',
  'crlf',
  'no-last-newline',
  'wrong-sha256',
  'wrong-bytes',
  /** AVAILABLE, but the download answers 404. */
  'not-found',
  'unavailable',
  'error',
  /** Stays PROCESSING for ever. */
  'never-ready',
] as const;
export type FileVariant = (typeof FILE_VARIANTS)[number];

const SENTINEL_PARTICIPANT = /^99998([0-9]{3})$/;

/** The form in which all files of a sentinel participant come out, by its number in the list above; null for anybody else. */
export function sentinelVariant(participant: string): FileVariant | null {
  const number = SENTINEL_PARTICIPANT.exec(participant)?.[1];
  return number === undefined ? null : (FILE_VARIANTS[Number(number)] ?? null);
}

/** A file as its lines, so that CIDs share the directory's strings. */
export interface Lines {
  readonly items: readonly string[];
  readonly ending: string;
  /** What follows the last line. */
  readonly lastEnding: string;
}

/** The lines that the announced Bytes and Sha256 are of. */
export function linesOf(cids: readonly string[], variant: FileVariant, random: Random): Lines {
  const proper = { items: cids, ending: '\n', lastEnding: '\n' };
  const last = cids.at(-1) ?? '';
  switch (variant) {
    case 'empty':
      return { ...proper, items: [], lastEnding: '' };
    case 'cut':
      return { ...proper, items: [...cids.slice(0, -1), last.slice(0, 40)], lastEnding: '' };
    case 'half':
      return { ...proper, items: cids.slice(0, Math.ceil(cids.length / 2)) };
    case 'foreign':
      return { ...proper, items: cids.map(() => random.hex(32)) };
    case 'duplicate-line':
      return { ...proper, items: [...cids, ...cids.slice(0, 1)] };
    case 'malformed-line':
      return {
        ...proper,
        items: [...cids.slice(0, cids.length >>> 1), `${last.slice(0, 63)}g`, ...cids.slice((cids.length >>> 1) + 1)],
      };
    case 'upper-case':
      return { ...proper, items: cids.map((cid) => cid.toUpperCase()) };
    case 'crlf':
      return { ...proper, ending: '\r\n', lastEnding: '\r\n' };
    case 'no-last-newline':
      return { ...proper, lastEnding: '' };
    default:
      return proper;
  }
}

/** The lines that really go over the wire. */
export function wireLines(lines: Lines, variant: FileVariant): Lines {
  if (variant !== 'truncated') return lines;
  const half = lines.items.slice(0, Math.ceil(lines.items.length / 2));
  return { ...lines, items: [...half.slice(0, -1), (half.at(-1) ?? '').slice(0, 40)], lastEnding: '' };
}
