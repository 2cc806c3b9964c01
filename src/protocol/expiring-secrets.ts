import type { ExpiringSecret } from './calls/pilot.ts';
import { expiresSoon } from './expiry.ts';

/**
 * The secrets of a job that expire soon, as a pilot learns them: their places, from 0, among all names in the order of `sort()`, as
 * `wholeMasks` tells them. The names themselves are sealed.
 */
export function expiringSecrets(
  secrets: readonly { name: string; expires: string | null }[],
  now: number,
): ExpiringSecret[] {
  const sorted = secrets.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return sorted.flatMap(({ expires }, place) =>
    expires !== null && expiresSoon(expires, now) ? [{ place, expires }] : [],
  );
}
