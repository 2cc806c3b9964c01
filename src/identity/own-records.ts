/** The installation's key, as far as this room needs it for what it keeps for itself: `sealing/installation-key.ts` says what it owes. */
export interface OwnRecords {
  /** Encrypts a text, bound to its place. */
  seal(place: readonly string[], text: string): Buffer;
  /** @throws {DecryptionFailed} when it was changed, or belongs to another place @throws {UnknownFormat} */
  open(place: readonly string[], box: Uint8Array, what: string): string;
  /** A keyed hash, by which a text is found that somebody could guess. */
  hash(text: string): string;
}
