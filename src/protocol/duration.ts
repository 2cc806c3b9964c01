const SECONDS: Record<string, number> = { '': 1, s: 1, m: 60, h: 3600, d: 86_400 };

/** A time as it is typed: `90`, `90s`, `30m`, `12h`, `7d`. @returns seconds, at least 1; undefined for any other text */
export function durationSeconds(text: string): number | undefined {
  const [, number = '', unit = ''] = /^(\d{1,9})([smhd]?)$/.exec(text) ?? [];
  const seconds = Number(number) * (SECONDS[unit] ?? 0);
  return seconds > 0 ? seconds : undefined;
}
