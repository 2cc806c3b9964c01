/**
 * Our extension of PanDA's `acquire_jobs`: a pilot offers public keys that it made for this one request, and the answer
 * carries each job's secrets sealed to one of them (HPKE, RFC 9180) instead of `secrets` in the clear.
 */

/** Key encapsulation: the post-quantum hybrid where both ends have it, X25519 (DHKEM, HKDF-SHA256) otherwise. */
export const KEMS = ['MLKEM768-X25519', 'X25519'] as const;
export type Kem = (typeof KEMS)[number];

/** One offered public key; `public_key` is base64url without padding. */
export interface SealingKey {
  kem: Kem;
  public_key: string;
}

/** The attempt and pilot that a sealed delivery is bound to: it opens for this attempt of this job, for this pilot, and nowhere else. */
export interface DeliveryContext {
  jobId: number;
  /** Attempt number, from 1. */
  attempt: number;
  ownerId: string;
  /** The pilot as the server knows it: its session's id, or the `sub` of its bearer token. */
  pilotId: string;
}
