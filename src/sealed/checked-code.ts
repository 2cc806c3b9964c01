import { createHash } from 'node:crypto';
import { base32nopad } from '@scure/base';
import { lengthPrefixed } from '../protocol/length-prefixed.ts';

/** 32 bytes as letters and digits that people copy, with a checksum: 56 characters of base32 (RFC 4648), without padding. */
const BYTES = 32;
const CHECKSUM_BYTES = 3;

/** @param label what it is of: a code of one kind is not taken for one of another */
export function toCheckedCode(label: string, bytes: Uint8Array): string {
  return base32nopad.encode(Buffer.concat([bytes, checksum(label, bytes)]));
}

/** Spaces and hyphens are left out, small letters taken. Undefined when a letter is wrong, or it is of another kind. */
export function fromCheckedCode(label: string, code: string): Buffer | undefined {
  const letters = code.replaceAll(/[\s-]/g, '').toUpperCase();
  if (!/^[A-Z2-7]{56}$/.test(letters)) return undefined;
  const all = Buffer.from(base32nopad.decode(letters));
  const bytes = all.subarray(0, BYTES);
  return checksum(label, bytes).equals(all.subarray(BYTES)) ? bytes : undefined;
}

function checksum(label: string, bytes: Uint8Array): Buffer {
  return createHash('sha256').update(lengthPrefixed(label, bytes)).digest().subarray(0, CHECKSUM_BYTES);
}
