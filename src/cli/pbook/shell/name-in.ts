import { unprovenClaims } from '../../../client/unproven-claims.ts';

/** The name of a token's user, as they are greeted. */
export function nameIn(token: string): string {
  const { name, preferred_username: nickname, sub } = unprovenClaims(token);
  return String(name ?? nickname ?? sub);
}
