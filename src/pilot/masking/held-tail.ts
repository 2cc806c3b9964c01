/** The bytes of a stream that are read and not yet shown: appended at the end, dropped at the front. */
export interface HeldTail {
  readonly length: number;
  /** All held bytes; valid until the next call of `append` or `drop`. */
  bytes(): Uint8Array;
  /** Copies `more` behind what is held and returns all, as {@link HeldTail.bytes}. */
  append(more: Uint8Array): Uint8Array;
  drop(count: number): void;
}

/** Each byte is copied a bounded number of times on average, however small the pieces that come and go. */
export function createTail(): HeldTail {
  let buffer = new Uint8Array(256);
  let start = 0;
  let end = 0;

  /** Moves what is held to the front, of a larger buffer when it would fill more than half of this one. */
  function makeRoom(count: number): void {
    const wanted = 2 * (end - start + count);
    const target = wanted > buffer.length ? new Uint8Array(wanted) : buffer;
    target.set(buffer.subarray(start, end));
    buffer = target;
    end -= start;
    start = 0;
  }

  const bytes = (): Uint8Array => buffer.subarray(start, end);
  return {
    get length() {
      return end - start;
    },
    bytes,
    append(more) {
      if (end + more.length > buffer.length) makeRoom(more.length);
      buffer.set(more, end);
      end += more.length;
      return bytes();
    },
    drop(count) {
      start += count;
      if (start === end) start = end = 0;
    },
  };
}
