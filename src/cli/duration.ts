import { InvalidArgumentError } from 'commander';
import { durationSeconds } from '../protocol/duration.ts';

/** A time as it is typed: `90`, `90s`, `30m`, `12h`, `7d`. @returns seconds */
export function parseDuration(text: string): number {
  const seconds = durationSeconds(text);
  if (seconds !== undefined) return seconds;
  throw new InvalidArgumentError('A time is a number and s, m, h or d: 30m, 12h, 7d.');
}
