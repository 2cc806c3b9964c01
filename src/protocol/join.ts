import { createHmac, createSecretKey, hkdfSync, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto';
import { fromBase64url } from './base64url.ts';
import { InvalidArgument } from './errors.ts';
import { lengthPrefixed } from './length-prefixed.ts';

/**
 * A pilot joins by keys that both ends derive from its join token. The token itself is never sent; a MAC under a key derived from it
 * covers the pilot's fresh public key, and another the server's answer, so that a third party between them can neither join in its
 * place, nor put another key there, nor answer for the server (docs/decisions/0010-a-pilots-session.md).
 */

/** A one-time join token: `ID.SECRET`. The id names it on the wire and in lists, the secret stays where it is. */
export interface JoinToken {
  id: string;
  /** `JOIN_SECRET_BYTES` random bytes. */
  secret: Uint8Array;
}

/** A pilot's request to join. Binary fields are base64url without padding. */
export interface JoinRequest {
  tokenId: string;
  queue: string;
  /** Its machine, for show. */
  node: string;
  /** The Ed25519 key that it will sign with: 32 bytes. */
  publicKey: string;
  /** 32 bytes that it never used before. */
  nonce: string;
}

/** The session that the server opened. */
export interface JoinAnswer {
  pilotId: string;
  queue: string;
  /** When the session ends at the latest, milliseconds since 1970 UTC. */
  expiresAt: number;
  /** The server's clock, the same. */
  serverTime: number;
}

const JOIN_SECRET_BYTES = 32;
const KEY_BYTES = 32;
const ID = /^join-[0-9a-f]{16}$/;

export function newJoinToken(): JoinToken {
  return { id: `join-${randomBytes(8).toString('hex')}`, secret: randomBytes(JOIN_SECRET_BYTES) };
}

/** The token as it is handed over: one line of text. */
export function formatJoinToken({ id, secret }: JoinToken): string {
  return `${id}.${Buffer.from(secret).toString('base64url')}`;
}

/** @throws {InvalidArgument} when it is not one; the text is not quoted */
export function parseJoinToken(text: string): JoinToken {
  const [id = '', encoded = '', ...rest] = text.split('.');
  const secret = fromBase64url(encoded);
  if (!ID.test(id) || secret?.length !== JOIN_SECRET_BYTES || rest.length > 0) {
    throw new InvalidArgument('this is not a join token (join-ID.SECRET)');
  }
  return { id, secret };
}

/** The key that joining with a token is proved with: all that a server keeps of its secret. */
export function joinKeyOf({ id, secret }: JoinToken): Uint8Array {
  return derive(secret, new Uint8Array(), lengthPrefixed('panda-secrets join key 1', id));
}

/** The pilot's proof that it holds the token, over all that it asks for. */
export function requestMac(joinKey: Uint8Array, { tokenId, queue, node, publicKey, nonce }: JoinRequest): string {
  return mac(joinKey, 'panda-secrets join request 1', tokenId, queue, node, publicKey, nonce);
}

/** The server's proof that it knows the token, over its answer to the request with that MAC. */
export function answerMac(joinKey: Uint8Array, request: string, answer: JoinAnswer): string {
  const { pilotId, queue, expiresAt, serverTime } = answer;
  return mac(joinKey, 'panda-secrets join answer 1', request, pilotId, queue, String(expiresAt), String(serverTime));
}

/** The session's own key, which the server's answers to the pilot's calls are proved with (`answer-proof.ts`). */
export function answerKeyOf(joinKey: Uint8Array, request: string, pilotId: string): Uint8Array {
  return derive(joinKey, Buffer.from(request), lengthPrefixed('panda-secrets answer key 1', pilotId));
}

/** Compares two MACs in a time that does not tell where they differ. */
export function isSameMac(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** HMAC-SHA-256, base64url. The first field says what it is for. */
function mac(key: Uint8Array | KeyObject, ...fields: string[]): string {
  return createHmac('sha256', key)
    .update(lengthPrefixed(...fields))
    .digest('base64url');
}

/** HKDF-SHA-256 (RFC 5869). */
function derive(key: Uint8Array, salt: Uint8Array, info: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', createSecretKey(key), salt, info, KEY_BYTES));
}
