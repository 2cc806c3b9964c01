import crypto from 'node:crypto';
import type { Kem } from '../../src/protocol/sealed.ts';

/** The reason for skipping a test of the post-quantum hybrid; false where this Node has it. */
export const noHybrid: string | false = 'encapsulate' in crypto ? false : 'this Node has no ML-KEM (it came with 24.7)';

/** The same of a test that is made for each kem. */
export function noKem(kem: Kem): string | false {
  return kem === 'X25519' ? false : noHybrid;
}
