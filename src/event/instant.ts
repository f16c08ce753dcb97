/** Points in time as they stand in events and files: RFC 3339 with a zone. Digits beyond the millisecond are cut off. */

const form = /^(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/** What would be right, for a message. */
export const INSTANT_FORM = 'a date and time with zone, such as 2026-03-01T12:00:00.000Z, not before 1900';

function daysIn(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}

/** The instant that a text names, or null where it names none (30 February included). */
export function parseInstant(text: string): Date | null {
  const parts = form.exec(text);
  if (parts === null) return null;
  const [year, month, day] = [Number(parts[1]), Number(parts[2]), Number(parts[3])];
  if (year < 1900 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return null;
  return new Date(text);
}
