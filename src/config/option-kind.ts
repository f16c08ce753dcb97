/**
 * What an option may look like: each kind reads the text of an option and says what is allowed, in the words that the complaint,
 * `dict-vsync config` and .env.example all use. Which options there are is option-table.ts.
 */

import { KEY_TYPES } from '../dict/key-type.ts';
import { isParticipant, type Participant } from '../dict/participant.ts';

/** Reads a text; throws `NotAllowed` where it is none of what is allowed. */
export interface Kind<Value> {
  /** Completes the sentence "allowed: …". */
  readonly allowed: string;
  read(text: string): Value;
}

/** The text is none of what the kind allows; more is only set where `allowed` alone would not explain it. */
export class NotAllowed extends Error {
  override readonly name = 'NotAllowed';
}

const durationUnitsMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const sizeUnitsBytes: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

function readUnits(text: string, units: Readonly<Record<string, number>>, range: { min: number; max: number }): number {
  const found = /^([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)$/.exec(text);
  const amount = Number(found?.[1] ?? Number.NaN);
  // Zero needs no unit; any other bare number would leave open whether seconds or milliseconds are meant.
  const value = text === '0' ? 0 : amount * (units[found?.[2] ?? ''] ?? Number.NaN);
  if (!(Number.isSafeInteger(value) && value >= range.min && value <= range.max)) throw new NotAllowed();
  return value;
}

function showUnits(value: number, units: Readonly<Record<string, number>>): string {
  const fitting = Object.entries(units).findLast(([, size]) => value >= size && value % size === 0);
  return fitting === undefined ? String(value) : `${value / fitting[1]}${fitting[0]}`;
}

/** Milliseconds as people write them: 5s, 10min, 24h. */
function showDuration(ms: number): string {
  return showUnits(ms, durationUnitsMs);
}

/** Bytes as people write them: 1MiB. */
function showSize(bytes: number): string {
  return showUnits(bytes, sizeUnitsBytes);
}

/** A duration with its unit, kept in milliseconds. */
export function duration(minMs: number, maxMs: number): Kind<number> {
  return {
    allowed: `a duration from ${showDuration(minMs)} to ${showDuration(maxMs)}, with its unit (500ms, 5s, 10min, 24h, 7d)`,
    read: (text) => readUnits(text, durationUnitsMs, { min: minMs, max: maxMs }),
  };
}

/** A size with its unit, kept in bytes. */
export function size(minBytes: number, maxBytes: number): Kind<number> {
  return {
    allowed: `a size from ${showSize(minBytes)} to ${showSize(maxBytes)}, with its unit (B, KiB, MiB, GiB)`,
    read: (text) => readUnits(text, sizeUnitsBytes, { min: minBytes, max: maxBytes }),
  };
}

/** A whole number in decimal notation only. */
export function integer(min: number, max: number): Kind<number> {
  return {
    allowed: `a whole number from ${min} to ${max}`,
    read(text) {
      const value = Number(text);
      if (!/^[0-9]+$/.test(text) || value < min || value > max) throw new NotAllowed();
      return value;
    },
  };
}

/** A number with or without a fraction, in decimal notation only. */
export function decimal(min: number, max: number): Kind<number> {
  return {
    allowed: `a number from ${min} to ${max}`,
    read(text) {
      const value = Number(text);
      if (!/^[0-9]+(\.[0-9]+)?$/.test(text) || value < min || value > max) throw new NotAllowed();
      return value;
    },
  };
}

/** A part of a whole, written as a percentage and kept as a number from 0 to 1. */
export const share: Kind<number> = {
  allowed: 'a percentage from 0% to 100%, such as 1% or 0.5%',
  read(text) {
    const found = /^([0-9]+(?:\.[0-9]+)?)%$/.exec(text);
    const percent = Number(found?.[1] ?? Number.NaN);
    if (!(percent <= 100)) throw new NotAllowed();
    return percent / 100;
  },
};

/** One of these words, kept as its literal type. */
export function oneOf<const Choice extends string>(...choices: readonly Choice[]): Kind<Choice> {
  return {
    allowed: `one of ${choices.join(', ')}`,
    read(text) {
      const found = choices.find((choice) => choice === text);
      if (found === undefined) throw new NotAllowed();
      return found;
    },
  };
}

/** Any text of that form. */
export function text(allowed: string, form: RegExp): Kind<string> {
  return {
    allowed,
    read(given) {
      if (!form.test(given)) throw new NotAllowed();
      return given;
    },
  };
}

/** An address whose scheme is one of those given, without a query or fragment of its own being checked. */
export function address(...schemes: readonly string[]): Kind<string> {
  return {
    allowed: `an address that begins with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`,
    read(given) {
      const scheme = URL.parse(given)?.protocol.slice(0, -1);
      if (scheme === undefined || !schemes.includes(scheme)) throw new NotAllowed();
      return given;
    },
  };
}

function list<Item>(given: string, read: (item: string) => Item): readonly Item[] {
  const items = given.split(',').map((item) => item.trim());
  if (new Set(items).size !== items.length) throw new NotAllowed('an item is there twice');
  return Object.freeze(items.map(read));
}

export const participants: Kind<readonly Participant[]> = {
  allowed: 'ISPBs of eight digits, separated by commas (00038166,60746948)',
  read: (given) =>
    list(given, (item) => {
      if (!isParticipant(item)) throw new NotAllowed(`"${item}" is not an ISPB`);
      return item;
    }),
};

export const hosts: Kind<readonly string[]> = {
  allowed: 'host names, each with a port where it is not the scheme’s own, separated by commas (files.example:16423)',
  read: (given) =>
    list(given, (item) => {
      const url = URL.parse(`http://${item}/`);
      if (url === null || url.pathname !== '/' || url.username !== '' || item.includes('/'))
        throw new NotAllowed(`"${item}" is not a host`);
      return item.toLowerCase();
    }),
};

/** A moment of the day, and as such kept. */
export const timeOfDay = text('a time of day from 00:00 to 23:59', /^([01][0-9]|2[0-3]):[0-5][0-9]$/);

export const timeZone: Kind<string> = {
  allowed: 'a time zone’s name (America/Sao_Paulo, UTC)',
  read(given) {
    try {
      new Intl.DateTimeFormat('en', { timeZone: given });
    } catch {
      throw new NotAllowed();
    }
    return given;
  },
};

/** Waits that a poll goes through, the last one repeating; kept in milliseconds. */
export const waits: Kind<readonly number[]> = {
  allowed: 'up to 20 durations from 1s to 1h, separated by commas (5s,10s,30s)',
  read(given) {
    const items = given.split(',').map((item) => readUnits(item.trim(), durationUnitsMs, { min: 1_000, max: 3_600_000 }));
    if (items.length > 20) throw new NotAllowed();
    return Object.freeze(items);
  },
};

/** One token bucket of DICT. */
export interface TokenBucketLimits {
  readonly capacity: number;
  readonly refillTokens: number;
  readonly refillPeriodSec: number;
}

/** A rate and the bucket's size, as the manual's table writes them: 10/1min of 50. */
export const tokenBucket: Kind<TokenBucketLimits> = {
  allowed: 'TOKENS/PERIOD of CAPACITY, such as 10/1min of 50 or 40/1d of 200',
  read(given) {
    const found = /^([1-9][0-9]{0,6})\/([0-9]+(?:s|min|h|d)) of ([1-9][0-9]{0,6})$/.exec(given);
    const [, refill, period, capacity] = found ?? [];
    if (refill === undefined || period === undefined || capacity === undefined) throw new NotAllowed();
    const periodMs = readUnits(period, durationUnitsMs, { min: 1_000, max: 86_400_000 });
    return Object.freeze({ capacity: Number(capacity), refillTokens: Number(refill), refillPeriodSec: periodMs / 1_000 });
  },
};

/** Key types, or all of them. */
export const keyTypes: Kind<readonly (typeof KEY_TYPES)[number][]> = {
  allowed: `key types out of ${KEY_TYPES.join(', ')}, separated by commas`,
  read: (given) =>
    list(given, (item) => {
      const found = KEY_TYPES.find((keyType) => keyType === item);
      if (found === undefined) throw new NotAllowed(`"${item}" is not a key type`);
      return found;
    }),
};
