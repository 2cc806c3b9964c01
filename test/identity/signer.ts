import { createLocalJWKSet, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import type { TrustedIssuer } from '../../src/identity/tokens.ts';

/** The time of every test that does not set its own: milliseconds. */
export const NOW = Date.parse('2026-03-01T12:00:00Z');
export const SECONDS = NOW / 1000;

/** An issuer that signs whatever a test wants it to. */
export async function createSigner({ issuer = 'https://issuer.example', alg = 'RS256', kid = 'one' } = {}) {
  const { publicKey, privateKey } = await generateKeyPair(alg);
  const jwk: JWK = { ...(await exportJWK(publicKey)), kid, alg };
  return {
    jwk,
    publicKey,
    privateKey,
    trusted: {
      issuer,
      id: issuer,
      audience: ['panda'],
      keys: createLocalJWKSet({ keys: [jwk] }),
    } satisfies TrustedIssuer,
    /** A good token, but for what `claims` and `header` change; a claim that is undefined is left out. */
    sign: (claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}) =>
      new SignJWT({ iss: issuer, aud: 'panda', sub: 'alice', exp: SECONDS + 600, ...claims })
        .setProtectedHeader({ alg, kid, ...header })
        .sign(privateKey),
  };
}

/** Part of a token: a JSON object in base64url. */
export const part = (content: unknown) => Buffer.from(JSON.stringify(content)).toString('base64url');
