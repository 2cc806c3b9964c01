/** A secret prints as this wherever it is not meant to be read. */
const SHOWN = '[secret]';

/**
 * The value of a secret in memory. It prints as `[secret]` in a log, an error, `JSON.stringify`, a template string and
 * the inspector; the one way to the value is {@link Plaintext.reveal}, so that a search for `.reveal(` finds every place
 * that handles one.
 */
export class Plaintext {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself: a string of Unicode scalar values, at most `MAX_VALUE_BYTES` of UTF-8. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return SHOWN;
  }

  toJSON(): string {
    return SHOWN;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return SHOWN;
  }
}
