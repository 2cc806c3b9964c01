export const LENGTH_BYTES = 4;

/**
 * Fields as one byte string that reads in one way only: each is its length (`LENGTH_BYTES`, big-endian) and then its bytes, text
 * as UTF-8. What is bound to a ciphertext, or covered by a MAC, is always made here, so that `("ab", "c")` and `("a", "bc")`
 * never meet.
 */
export function lengthPrefixed(...fields: readonly (string | Uint8Array)[]): Buffer {
  const parts = fields.map((field) => (typeof field === 'string' ? Buffer.from(field, 'utf8') : field));
  const joined = Buffer.allocUnsafe(parts.reduce((total, part) => total + LENGTH_BYTES + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    offset = joined.writeUInt32BE(part.length, offset);
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}
