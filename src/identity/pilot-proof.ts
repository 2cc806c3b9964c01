import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, type JWTHeaderParameters, type JWTPayload } from 'jose';
import { Unauthenticated } from '../protocol/errors.ts';
import { digestOf, PROOF_ALGORITHM, PROOF_TYPE, type RequestProof } from '../protocol/request-proof.ts';

/** A request as this server received it. */
export interface ReceivedRequest {
  method: string;
  /** The path as it came, and the query string without `?`. */
  path: string;
  query: string;
}

/** A public key that proofs are checked with. */
export type ProofKey = KeyObject;

/** @param publicKey an Ed25519 key, base64url. @throws {Unauthenticated} when it is none */
export function importProofKey(publicKey: string): ProofKey {
  try {
    return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: publicKey }, format: 'jwk' });
  } catch {
    throw new Unauthenticated('the public key is not an Ed25519 key');
  }
}

/**
 * The claims of a proof that was made with the session's key for this request (RFC 9449, section 4.3). Of the address the
 * path is compared and not the host: a server behind proxies does not know how it is called, and a session's key is registered
 * with one server alone. The time, the body's digest, and that the proof was not taken before are the caller's to check.
 *
 * @throws {Unauthenticated} saying what is wrong with it
 */
export function checkProof(
  proof: string | undefined,
  { pilotId, publicKey, key }: { pilotId: string; publicKey: string; key: ProofKey },
  { method, path, query }: ReceivedRequest,
): RequestProof {
  if (!proof) throw new Unauthenticated('the request has no proof: the header "DPoP" is missing');
  const { payload, protectedHeader } = verified(proof, key);
  const { jwk } = protectedHeader;
  if (jwk?.kty !== 'OKP' || jwk.crv !== 'Ed25519' || jwk.x !== publicKey) throw wrong("its key is not the session's");
  const claims = parseProof(payload);
  if (claims.ath !== digestOf(pilotId)) throw wrong('it is for another session');
  if (claims.htm !== method) throw wrong('it is for another method');
  if (URL.parse(claims.htu)?.pathname !== path) throw wrong('it is for another call');
  if (claims.query !== query) throw wrong('the query string was changed');
  return claims;
}

/**
 * A compact JWS of the one algorithm, without extensions that a reader must know (RFC 7515, section 5.2). Its signature is checked at once: the library's
 * check wakes another thread and is waited for, which on a loaded machine costs as much again.
 */
function verified(proof: string, key: ProofKey): { payload: JWTPayload; protectedHeader: JWTHeaderParameters } {
  let protectedHeader: JWTHeaderParameters;
  let payload: JWTPayload;
  try {
    protectedHeader = decodeProtectedHeader(proof) as JWTHeaderParameters;
    payload = decodeJwt(proof);
  } catch {
    throw wrong('it is malformed');
  }
  const { alg, typ, crit, b64 } = protectedHeader;
  if (alg !== PROOF_ALGORITHM || typ !== PROOF_TYPE || crit !== undefined || b64 !== undefined)
    throw wrong('it is malformed');
  const end = proof.lastIndexOf('.');
  const signature = Buffer.from(proof.slice(end + 1), 'base64url');
  if (!verify(null, Buffer.from(proof.slice(0, end), 'latin1'), key, signature)) {
    throw wrong("it is not signed by the session's key, or was changed");
  }
  return { payload, protectedHeader };
}

function parseProof(payload: JWTPayload): RequestProof {
  const { jti, htm, htu, iat, ath, query, body_sha256 } = payload as Partial<RequestProof>;
  const texts = [jti, htm, htu, ath, query, body_sha256];
  const isWhole = texts.every((text) => typeof text === 'string') && typeof iat === 'number';
  if (!isWhole || !/^[\w-]{16,64}$/.test(jti ?? '')) throw wrong('a claim is missing or malformed');
  return payload as unknown as RequestProof;
}

function wrong(reason: string): Unauthenticated {
  return new Unauthenticated(`the proof on this request is not good: ${reason}`);
}
