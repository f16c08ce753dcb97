/** What one check of `doctor` comes to, and the time limit that every check has. */

import { setTimeout as wait } from 'node:timers/promises';

/** `skip`: there is nothing to check, or it could not be because of something that failed before. */
export type Level = 'ok' | 'warn' | 'fail' | 'skip';

export interface Finding {
  readonly check: string;
  readonly level: Level;
  /** What was seen, never a secret. */
  readonly seen: string;
  /** What to do; null where nothing is to be done. */
  readonly advice: string | null;
}

/** As it has to be. */
export function ok(check: string, seen: string): Finding {
  return { check, level: 'ok', seen, advice: null };
}

/** Not examined, and why. */
export function skip(check: string, seen: string): Finding {
  return { check, level: 'skip', seen, advice: null };
}

/** It works, and somebody should look. */
export function warn(check: string, seen: string, advice: string): Finding {
  return { check, level: 'warn', seen, advice };
}

/** It does not work. */
export function fail(check: string, seen: string, advice: string): Finding {
  return { check, level: 'fail', seen, advice };
}

/** What a check found, and what the checks after it need of it; null where they have to do without. */
export interface Checked<Result> {
  readonly findings: readonly Finding[];
  readonly result: Result | null;
}

export interface CheckDeps {
  /** Of the whole command. */
  readonly signal: AbortSignal;
}

/**
 * Runs a check within its time. One that does not end, or throws what it has no words for, has failed: a doctor who falls silent is
 * of no use. What it may still be doing is told to stop by its signal.
 */
export async function checked<Result>(
  deps: CheckDeps,
  about: { readonly check: string; readonly limitMs: number; readonly lateAdvice: string },
  work: (signal: AbortSignal) => Promise<Checked<Result>>,
): Promise<Checked<Result>> {
  const { check, limitMs, lateAdvice } = about;
  const ending = new AbortController();
  const signal = AbortSignal.any([deps.signal, ending.signal]);
  const late = wait(limitMs, null, { signal }).catch(() => null);
  try {
    const done = await Promise.race([work(signal), late]);
    deps.signal.throwIfAborted();
    return done ?? { findings: [fail(check, `no end within ${limitMs / 1_000} s`, lateAdvice)], result: null };
  } catch (cause) {
    deps.signal.throwIfAborted();
    const seen = cause instanceof Error ? cause.message : String(cause);
    return { findings: [fail(check, seen, lateAdvice)], result: null };
  } finally {
    ending.abort();
  }
}

/** Findings of a check that leaves the ones after it nothing to go on with. */
export function alone(...findings: readonly Finding[]): Checked<never> {
  return { findings, result: null };
}
