import { InvalidArgument } from './errors.ts';

/** A time as PanDA writes it: UTC, `YYYY-MM-DD HH:MM:SS`. */
export function pandaTime(time: Date | number): string {
  return new Date(time).toISOString().slice(0, 19).replace('T', ' ');
}

/**
 * Reads a time of PanDA's, or a day.
 *
 * @param where the argument, for the message
 * @returns milliseconds since 1970
 * @throws {InvalidArgument}
 */
export function parsePandaTime(text: string, where: string): number {
  const [, date, time] = /^(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2}:\d{2}))?/.exec(text) ?? [];
  const milliseconds = Date.parse(`${date}T${time ?? '00:00:00'}Z`);
  if (Number.isNaN(milliseconds)) throw new InvalidArgument(`'${where}' must be a time in UTC: YYYY-MM-DD HH:MM:SS`);
  return milliseconds;
}
