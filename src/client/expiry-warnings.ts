import type { ListedSecret } from '../protocol/calls/creds.ts';
import { expiresSoon, isExpired, shownExpiry } from '../protocol/expiry.ts';

/** A secret, as far as a server tells of its end: one of an earlier release tells nothing. */
type Ending = Partial<Pick<ListedSecret, 'expires' | 'expired'>>;

/** Its end has come, by what the server says or by this clock. */
export function isOver({ expires, expired }: Ending, now: number): boolean {
  return expired === true || isExpired(expires, now);
}

/** A line for each secret that has expired, or expires soon. @param now milliseconds since 1970 */
export function expiryWarnings(secrets: readonly (Ending & { name: string })[], now: number): string[] {
  return secrets.flatMap((secret) => {
    const { name, expires = null } = secret;
    if (isOver(secret, now)) {
      return [`${name} expired${expires === null ? '' : ` at ${shownExpiry(expires)}`}: no job gets it any more`];
    }
    if (!expiresSoon(expires, now)) return [];
    return [`${name} expires ${shownExpiry(expires ?? '')}: jobs that start later do not get it`];
  });
}
