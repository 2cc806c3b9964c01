/**
 * Hides files from a storage that belongs to somebody else, and finds out what it changed, cut, or put in the place of another.
 * Sizes, times and the number of files stay visible.
 */
export interface BlobCipher {
  /** The name for an address (SHA-256, hex): always the same for one address, and telling nothing of it. */
  nameOf(sha256: string): string;
  /** The address; undefined for a name that was not made here. */
  addressOf(name: string): string | undefined;
  /** Encrypts as it passes, in constant memory. `context` is bound to it. */
  seal(context: string, content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Buffer>;
  /** @throws {DecryptionFailed} at the first part that was changed, moved or cut off: what came before is genuine @throws {UnknownFormat} */
  open(context: string, sealed: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Buffer>;
  /** Bytes of what is sealed, and back. */
  sealedSize(size: number): number;
  plainSize(sealedSize: number): number;
}
