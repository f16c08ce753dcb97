/**
 * When the worker synchronises: daily at a time of day in a time zone, and in between at an interval. Only the times; a missed
 * one is made up at once by whoever asks late.
 */

import { Cron } from 'croner';

export interface Schedule {
  /** HH:MM */
  readonly dailyAt: string;
  /** Such as America/Sao_Paulo. */
  readonly timeZone: string;
  readonly everyMs: number;
}

/** The next time a synchronisation is due after one that began at `last`; null: none has begun yet, one is due now. */
export function nextDue(schedule: Schedule, last: Date | null, now: Date): Date {
  if (last === null) return now;
  const interval = new Date(last.getTime() + schedule.everyMs);
  const [hours, minutes] = schedule.dailyAt.split(':').map(Number);
  const daily = new Cron(`${minutes} ${hours} * * *`, { timezone: schedule.timeZone, paused: true }).nextRun(last);
  return daily !== null && daily < interval ? daily : interval;
}
