/** The bytes of a stream that are read and not yet shown: appended at the end, dropped at the front. */
export interface HeldTail {
  readonly length: number;
  /** All held bytes. They are never overwritten, also when they are dropped: parts of them may be given away. */
  bytes(): Uint8Array;
  /** Copies `more` behind what is held and returns all. */
  append(more: Uint8Array): Uint8Array;
  drop(count: number): void;
}

const LEAST_BUFFER_BYTES = 4096;

/** Each byte is copied a bounded number of times on average, however small the pieces that come and go. */
export function createTail(): HeldTail {
  let buffer: Uint8Array = new Uint8Array(0);
  let start = 0;
  let end = 0;

  const bytes = (): Uint8Array => buffer.subarray(start, end);
  return {
    get length() {
      return end - start;
    },
    bytes,
    append(more) {
      const held = end - start;
      if (end + more.length > buffer.length) {
        // Room for as much again as there is, so that the next move is as many bytes away.
        const larger = Buffer.allocUnsafeSlow(Math.max(LEAST_BUFFER_BYTES, 2 * (held + more.length)));
        larger.set(bytes());
        buffer = larger;
        start = 0;
        end = held;
      }
      buffer.set(more, end);
      end += more.length;
      return bytes();
    },
    drop(count) {
      start += count;
    },
  };
}
