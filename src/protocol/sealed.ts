/**
 * Our extension of PanDA's `acquire_jobs`: a pilot offers public keys that it made for this one request, and the answer
 * carries each job's secrets sealed to one of them (HPKE, RFC 9180) instead of `secrets` in the clear.
 */

/** Key encapsulation: the post-quantum hybrid where both ends have it, X25519 (DHKEM, HKDF-SHA256) otherwise. */
export const KEMS = ['MLKEM768-X25519', 'X25519'] as const;
export type Kem = (typeof KEMS)[number];

/** The formats of sealed deliveries: each with an encapsulation of its own, and all of an answer with one. */
export const DELIVERY_FORMATS = [1, 2] as const;
export type DeliveryFormat = (typeof DELIVERY_FORMATS)[number];

/** One offered public key; `public_key` is base64url without padding. */
export interface SealingKey {
  kem: Kem;
  public_key: string;
  /** The formats that its owner opens; 1 alone where it says nothing, as pilots of earlier releases do. */
  formats?: number[];
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
