/**
 * Bytes that may be remembered. A part of `Buffer`'s shared pool (64 kB), or of what came from a socket, would keep the whole of it for as long.
 *
 * @returns the same bytes where they are all of their memory, otherwise a copy
 */
export function ownBytes(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
}
