import { readFileSync } from 'node:fs';

/**
 * The checked-in vectors of one format, which never change. A second implementation (Python's `cryptography`, from the
 * formats' description) made them, but for deliveries by MLKEM768-X25519, which are recorded ones.
 */
export function readVectors<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), 'utf8'));
}

export function fromHex(hex: string): Buffer {
  return Buffer.from(hex, 'hex');
}

/** `bytes` with one bit of the byte at `index` (counted modulo the length) turned over. */
export function flipped(bytes: Uint8Array, index: number): Buffer {
  const changed = Buffer.from(bytes);
  const at = index % changed.length;
  changed[at] = (changed[at] ?? 0) ^ (1 << (index % 8));
  return changed;
}
