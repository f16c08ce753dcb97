/** When synchronisations are due. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nextDue, type Schedule } from './schedule.ts';

const schedule: Schedule = { dailyAt: '03:00', timeZone: 'America/Sao_Paulo', everyMs: 3_600_000 };

describe('the schedule of synchronisations', () => {
  const cases: readonly (readonly [name: string, last: string, due: string])[] = [
    ['an hour after the last one', '2026-03-01T12:10:00Z', '2026-03-01T13:10:00.000Z'],
    ['at 03:00 of São Paulo, when that comes before the hour is over', '2026-03-01T05:40:00Z', '2026-03-01T06:00:00.000Z'],
    ['an hour after the daily one', '2026-03-01T06:00:00Z', '2026-03-01T07:00:00.000Z'],
  ];
  for (const [name, last, due] of cases) {
    it(`is due ${name}`, () => assert.equal(nextDue(schedule, new Date(last), new Date(last)).toISOString(), due));
  }

  it('is due at once where none has begun yet', () => {
    const now = new Date('2026-03-01T12:00:00Z');
    assert.equal(nextDue(schedule, null, now), now);
  });

  it('keeps to the time of day of its zone, also where clocks change', () => {
    const berlin = { dailyAt: '03:30', timeZone: 'Europe/Berlin', everyMs: 36 * 3_600_000 };
    assert.equal(nextDue(berlin, new Date('2026-03-28T12:00:00Z'), new Date()).toISOString(), '2026-03-29T01:30:00.000Z');
    assert.equal(nextDue(berlin, new Date('2026-03-27T12:00:00Z'), new Date()).toISOString(), '2026-03-28T02:30:00.000Z');
  });
});
