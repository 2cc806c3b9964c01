import { createHash, randomBytes } from 'node:crypto';

/** A secret that its holder proves to have: 256 random bits, fit for a URL. */
export function newToken(): string {
  return randomBytes(32).toString('base64url');
}

/** The hash that is kept of such a token: it finds the token, and is of no use to somebody who reads the database. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
