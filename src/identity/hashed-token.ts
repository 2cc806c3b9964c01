import { createHash, randomBytes } from 'node:crypto';

/** What somebody proves to hold: 256 random bits, fit for a URL. */
export function newToken(): string {
  return randomBytes(32).toString('base64url');
}

/** What is kept of a token with that much randomness: enough to find it, useless to whoever reads the database. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
