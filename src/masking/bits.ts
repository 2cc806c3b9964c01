/** A set of hashes that may hold a few more than were added: two bits of one word for each (Bloom, CACM 13/7, 1970). */
export interface Bits {
  words: Int32Array;
  /** Takes a hash of 32 bits to the number of its word, and of each of its bits to a number of which the low five bits count. */
  shift: number;
}

const BITS_PER_ENTRY = 32;
const BITS_PER_WORD_LOG = 5;
/** Two bits are numbered by the ten bits of a hash that do not number its word. */
const MOST_LOG = 32 - 2 * BITS_PER_WORD_LOG + BITS_PER_WORD_LOG;

export function createBits(entries: number): Bits {
  const scale = Math.min(MOST_LOG, Math.max(20, Math.ceil(Math.log2(entries * BITS_PER_ENTRY + 1))));
  const wordsLog = scale - BITS_PER_WORD_LOG;
  return { words: new Int32Array(2 ** wordsLog), shift: 32 - wordsLog };
}

export function addBit({ words, shift }: Bits, hash: number): void {
  words[hash >>> shift] = (words[hash >>> shift] as number) | maskOf(hash, shift);
}

export function hasBit({ words, shift }: Bits, hash: number): boolean {
  const mask = maskOf(hash, shift);
  return ((words[hash >>> shift] as number) & mask) === mask;
}

function maskOf(hash: number, shift: number): number {
  return (1 << (hash >>> (shift - 5))) | (1 << (hash >>> (shift - 10)));
}
