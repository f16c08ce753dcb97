/**
 * When the worker synchronises: daily at a time of day in a time zone, and verifications in between at an interval too. Only the times; a
 * missed one is made up at once by whoever asks late.
 */

import { Cron } from 'croner';
import { assert } from '../platform/assert.ts';

export interface DailySchedule {
  /** HH:MM */
  readonly dailyAt: string;
  /** Such as America/Sao_Paulo. */
  readonly timeZone: string;
}

export interface Schedule extends DailySchedule {
  readonly everyMs: number;
}

/** The next time a synchronisation is due after one that began at `last`; null: none has begun yet, one is due now. */
export function nextDue(schedule: Schedule, last: Date | null, now: Date): Date {
  if (last === null) return now;
  const interval = new Date(last.getTime() + schedule.everyMs);
  const daily = nextDaily(schedule, last);
  return daily < interval ? daily : interval;
}

/** The first time after that moment at which it is that time of day there. */
export function nextDaily({ dailyAt, timeZone }: DailySchedule, after: Date): Date {
  const [hours, minutes] = dailyAt.split(':').map(Number);
  const next = new Cron(`${minutes} ${hours} * * *`, { timezone: timeZone, paused: true }).nextRun(after);
  assert(next !== null, `it is ${dailyAt} in ${timeZone} again`);
  return next;
}
