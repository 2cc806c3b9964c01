import { durationSeconds } from './duration.ts';
import { InvalidArgument } from './errors.ts';
import { EXPIRY_WARNING_SECONDS } from './limits.ts';

/** Lifts an end that was set. */
const NEVER = 'never';
const SECOND = 1000;
/** Later ones have no four digits for their year. */
const LAST_MILLISECOND = Date.parse('9999-12-31T23:59:59Z');
const ALLOWED =
  'expires: must be a date (2027-01-31, whose end it is), a time (2027-01-31T12:00:00Z), both in UTC, or "never"';

/**
 * Reads the end of a secret as a call takes it: a time in UTC, to the second, a date for the end of that day, or `never`.
 *
 * @returns `YYYY-MM-DDTHH:MM:SSZ`; null for `never`
 * @throws {InvalidArgument}
 */
export function parseExpiry(word: string): string | null {
  if (word === NEVER) return null;
  const [, date, time] = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.\d{1,9})?Z)?$/.exec(word) ?? [];
  const text = `${date}T${time === undefined ? '23:59:59' : time.padEnd('00:00:00'.length, ':00')}Z`;
  const read = Date.parse(text);
  // A day that its month does not have is read as one of the next month.
  if (Number.isNaN(read) || isoSecond(read) !== text) throw new InvalidArgument(ALLOWED);
  return text;
}

/**
 * The same as it is typed: also a time from now on, `30d`.
 *
 * @param now milliseconds since 1970
 * @throws {InvalidArgument}
 */
export function typedExpiry(word: string, now: number): string {
  const seconds = durationSeconds(word);
  // Without its unit, a number would be seconds, or a year that was cut off.
  if (seconds === undefined || /\d$/.test(word)) {
    if (word === NEVER || /^\d{4}-/.test(word)) return parseExpiry(word) ?? NEVER;
    throw new InvalidArgument(`${ALLOWED}, or how long from now on (12h, 30d)`);
  }
  const end = now + seconds * SECOND;
  if (end > LAST_MILLISECOND) throw new InvalidArgument(`expires: the year 9999 is the last; "${NEVER}" lifts the end`);
  return isoSecond(end);
}

/** @param expires as {@link parseExpiry} answers it @param now milliseconds since 1970 */
export function isExpired(expires: string | null | undefined, now: number): boolean {
  // One that cannot be read is none that this software wrote: nothing is given on its word.
  return typeof expires === 'string' && !(Date.parse(expires) > now);
}

/** True for an end that is to come soon: within `EXPIRY_WARNING_SECONDS`. */
export function expiresSoon(expires: string | null | undefined, now: number): boolean {
  return (
    typeof expires === 'string' &&
    !isExpired(expires, now) &&
    Date.parse(expires) <= now + EXPIRY_WARNING_SECONDS * SECOND
  );
}

/** As people are shown it: `2027-01-31 12:00 UTC`. */
export function shownExpiry(expires: string): string {
  return `${expires.slice(0, 16).replace('T', ' ')} UTC`;
}

/** `2027-01-31T12:00:00Z` */
export function isoSecond(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}
