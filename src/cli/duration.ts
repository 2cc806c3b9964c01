import { InvalidArgumentError } from 'commander';

const SECONDS: Record<string, number> = { '': 1, s: 1, m: 60, h: 3600, d: 86_400 };

/** A time as it is typed: `90`, `90s`, `30m`, `12h`, `7d`. @returns seconds */
export function parseDuration(text: string): number {
  const [, number = '', unit = ''] = /^(\d{1,9})([smhd]?)$/.exec(text) ?? [];
  const seconds = Number(number) * (SECONDS[unit] ?? 0);
  if (seconds > 0) return seconds;
  throw new InvalidArgumentError('A time is a number and s, m, h or d: 30m, 12h, 7d.');
}
