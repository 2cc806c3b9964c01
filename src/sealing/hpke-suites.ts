import { CipherSuite, KEM_DHKEM_X25519_HKDF_SHA256, KEM_MLKEM768_X25519, type KeyPair } from 'hpke';
import type { Kem } from '../protocol/sealed.ts';
import { aes256Gcm, hkdfSha256 } from './hpke-primitives.ts';
import { senderKem } from './hybrid-kem.ts';

export type { CipherSuite, KeyPair };

/** HPKE (RFC 9180; the hybrid KEM as in draft-ietf-hpke-pq) with HKDF-SHA256 and AES-256-GCM, by the KEM's name on the wire. */
export function hpkeSuite(kem: Kem): CipherSuite {
  return new CipherSuite(KEM_FACTORIES[kem], hkdfSha256, aes256Gcm) as CipherSuite;
}

/** The same for who seals: its public keys are encapsulated to, and good for nothing else. Made once. */
export function senderSuite(kem: Kem): CipherSuite {
  const made =
    senderSuites.get(kem) ??
    (new CipherSuite(kem === 'X25519' ? KEM_FACTORIES[kem] : senderKem, hkdfSha256, aes256Gcm) as CipherSuite);
  senderSuites.set(kem, made);
  return made;
}

const senderSuites = new Map<Kem, CipherSuite>();

const KEM_FACTORIES = {
  'MLKEM768-X25519': KEM_MLKEM768_X25519,
  X25519: KEM_DHKEM_X25519_HKDF_SHA256,
} satisfies Record<Kem, unknown>;
