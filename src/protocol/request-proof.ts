import { hash } from 'node:crypto';

/**
 * A pilot with a session puts this on each request: `Authorization: DPoP PILOT-ID`, and a proof of possession of the session's
 * key in the header `DPoP` (RFC 9449), with two claims more, which cover what the request says.
 */

/** The signature algorithm of proofs, as JOSE names it (RFC 9864). */
export const PROOF_ALGORITHM = 'Ed25519';
/** The `typ` of proofs (RFC 9449, section 4.2). */
export const PROOF_TYPE = 'dpop+jwt';

/** The claims of a proof. */
export interface RequestProof {
  /** Unique for each request: the server takes each once. */
  jti: string;
  /** The method. */
  htm: string;
  /** The address without query and fragment. */
  htu: string;
  /** Seconds since 1970 UTC, by the server's clock as the pilot knows it. */
  iat: number;
  /** {@link digestOf} the pilot's id, which stands for the access token. */
  ath: string;
  /** The query string as it is sent, without `?`; the public RFC leaves it out. */
  query: string;
  /** {@link digestOf} the body's bytes as they are sent, of none when there is no body: it covers the keys that are offered. */
  body_sha256: string;
}

/** SHA-256, base64url without padding. */
export function digestOf(content: Uint8Array | string): string {
  return hash('sha256', content, 'base64url');
}
