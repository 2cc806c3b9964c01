export const LENGTH_BYTES = 4;

/**
 * Fields as one byte string that reads in one way only: each is its length (`LENGTH_BYTES`, big-endian) and then its bytes, text
 * as UTF-8. What is bound to a ciphertext, or covered by a MAC, is always made here, so that `("ab", "c")` and `("a", "bc")`
 * never meet.
 */
export function lengthPrefixed(...fields: readonly (string | Uint8Array)[]): Buffer {
  let total = 0;
  for (const field of fields) total += LENGTH_BYTES + Buffer.byteLength(field);
  const joined = Buffer.allocUnsafe(total);
  let offset = 0;
  for (const field of fields) {
    const start = offset + LENGTH_BYTES;
    if (typeof field === 'string') offset = start + joined.write(field, start, 'utf8');
    else {
      joined.set(field, start);
      offset = start + field.length;
    }
    joined.writeUInt32BE(offset - start, start - LENGTH_BYTES);
  }
  return joined;
}
