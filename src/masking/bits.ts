/** A set of hashes that may hold a few more than were added: one bit for each range of hashes. */
export interface Bits {
  bytes: Uint8Array;
  /** Takes a hash of 32 bits to the number of its byte. */
  shift: number;
}

const BITS_PER_ENTRY = 32;

export function createBits(entries: number): Bits {
  const scale = Math.min(27, Math.max(16, Math.ceil(Math.log2(entries * BITS_PER_ENTRY + 1))));
  return { bytes: new Uint8Array(2 ** (scale - 3)), shift: 32 - (scale - 3) };
}

export function addBit({ bytes, shift }: Bits, hash: number): void {
  bytes[hash >>> shift] = (bytes[hash >>> shift] as number) | (1 << ((hash >>> 4) & 7));
}

export function hasBit({ bytes, shift }: Bits, hash: number): boolean {
  return (((bytes[hash >>> shift] as number) >>> ((hash >>> 4) & 7)) & 1) !== 0;
}
