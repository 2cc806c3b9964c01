/**
 * The checksum by which PanDA's clients ask whether the server has a sandbox already: the CRC-32 that stands in the last
 * eight bytes of a gzip file (RFC 1952), little-endian, in front of the length. It is of the content before compression.
 * Not proof against intent; it is only compared within one owner's sandboxes, beside the file's size.
 */

const TRAILER_BYTES = 8;

/** Follows a gzip file chunk by chunk. */
export interface SandboxChecksum {
  update(chunk: Uint8Array): void;
  /** The checksum, 0 to 2^32 - 1; undefined while fewer than eight bytes have passed. */
  value(): number | undefined;
}

export function sandboxChecksum(): SandboxChecksum {
  let tail = new Uint8Array(0);
  return {
    update(chunk) {
      if (chunk.length >= TRAILER_BYTES) {
        tail = chunk.slice(-TRAILER_BYTES);
        return;
      }
      const joined = new Uint8Array(tail.length + chunk.length);
      joined.set(tail);
      joined.set(chunk, tail.length);
      tail = joined.slice(-TRAILER_BYTES);
    },
    value() {
      if (tail.length < TRAILER_BYTES) return undefined;
      return new DataView(tail.buffer, tail.byteOffset).getUint32(0, true);
    },
  };
}
