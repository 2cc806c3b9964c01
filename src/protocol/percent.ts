/**
 * Text as Python's `urllib.parse.quote` writes it and `unquote` reads it: PanDA's clients send a job's command that way.
 */

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * Percent-encodes everything but letters, digits, `_`, `.`, `-`, `~` and `/`.
 *
 * @throws {URIError} when `text` has a lone surrogate
 */
export function quote(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%2F', '/');
}

/** Undoes {@link quote}. A `%` that starts no escape stays; bytes that are no UTF-8 become U+FFFD. */
export function unquote(text: string): string {
  return text.replace(/(?:%[0-9A-Fa-f]{2})+/g, (escapes) => {
    const bytes = Uint8Array.from(escapes.slice(1).split('%'), (digits) => Number.parseInt(digits, 16));
    return decoder.decode(bytes);
  });
}
