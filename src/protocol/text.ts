import { InvalidValue } from './errors.ts';
import { MAX_VALUE_BYTES } from './limits.ts';

const encoder = new TextEncoder();

/**
 * Makes text of somebody else (a name, a reason for a failure) fit to be kept and shown: without line ends and control
 * characters, which a terminal acts on and of which PostgreSQL keeps no NUL; at most `maxChars` long.
 */
export function shownText(text: string, maxChars: number): string {
  return text
    .slice(0, maxChars)
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim()
    .toWellFormed();
}

/** Bytes of UTF-8 that `text` takes, without making them. */
export function utf8Length(text: string): number {
  if (typeof Buffer !== 'undefined') return Buffer.byteLength(text, 'utf8');
  return encoder.encode(text).length;
}

/**
 * Checks the value of a secret: any string of Unicode scalar values, up to `MAX_VALUE_BYTES` of UTF-8. Both the client and
 * the server call it.
 *
 * @throws {InvalidValue} saying what was given, what is allowed and how to convert it; never with the value
 */
export function checkValue(value: unknown): asserts value is string {
  if (typeof value !== 'string') {
    throw new InvalidValue(
      `the value must be a string, not ${nameOfType(value)}; convert it first, for example with json.dumps or base64`,
    );
  }
  if (!value.isWellFormed()) {
    throw new InvalidValue(
      'the value has a lone surrogate, which no UTF-8 text can carry; encode binary data with base64',
    );
  }
  const bytes = utf8Length(value);
  if (bytes > MAX_VALUE_BYTES) {
    throw new InvalidValue(
      `the value has ${bytes} bytes; at most ${MAX_VALUE_BYTES} (1000 kB) are allowed. Keep larger data elsewhere and make its key the secret`,
    );
  }
}

function nameOfType(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** A text as UTF-8, in memory of its own: in `Buffer`'s shared pool a plaintext would stay for the next taker. */
export function ownText(text: string): Buffer {
  const bytes = Buffer.alloc(Buffer.byteLength(text));
  bytes.write(text);
  return bytes;
}
