import { isUtf8 } from 'node:buffer';
import { percentDecoded } from './addresses.ts';
import type { Decoded, Field, Reader } from './field.ts';

/** Readers of text that is another text encoded. Bytes that are no text come from `decodedBytes`. */
export const ENCODING_READERS: readonly Reader[] = [
  (_text, from) => sameAs(from.decoded.text, from),
  (text, from) =>
    text.includes('%') && IN_PERCENT.test(text)
      ? [text, text.replaceAll('+', ' ')].flatMap((each) => sameAs(percentDecoded(each), from, text))
      : [],
  (text, from) =>
    /^[^[{\r\n][^\r\n]*$/.test(text) && /\\[nrt"'\\/u0x]/.test(text) ? sameAs(unescaped(text), from, text) : [],
  (text, from) => sameAs(/^(["'`])([\s\S]+)\1$/.exec(text.trim())?.[2], from, text),
];

/** Found out when it is asked for. */
export function decodedOnce(text: string): Decoded {
  let bytes: Uint8Array | undefined | null = null;
  let inside: string | undefined | null = null;
  return {
    get bytes() {
      if (bytes === null) bytes = decodedBytes(text);
      return bytes;
    },
    get text() {
      if (inside === null) inside = textOf(this.bytes);
      return inside;
    },
  };
}

const BASE64 = /^(?:[A-Za-z0-9+/]{2,}|[A-Za-z0-9_-]{2,})={0,2}$/;
/** White space would have been encoded. */
const IN_PERCENT = /^[^\s%]*%[0-9a-f]{2}\S*$/i;
const HEX = /^(?:0x)?[0-9a-f]{2}(?:[: -]?[0-9a-f]{2}){5,}$/i;
/** Shorter words are base64 and hex by chance. */
const MIN_ENCODED_CHARS = 8;

/** The bytes of text that is base64, base64url or hex as a whole, also in lines. */
export function decodedBytes(text: string): Uint8Array | undefined {
  const packed = text.replace(/\s+/g, '');
  if (packed.length < MIN_ENCODED_CHARS) return undefined;
  if (HEX.test(packed)) return Buffer.from(packed.replace(/^0x|[:-]/gi, ''), 'hex');
  if (!BASE64.test(packed)) return undefined;
  const digits = packed.replace(/=+$/, '').replaceAll('-', '+').replaceAll('_', '/');
  if (digits.length % 4 === 1) return undefined;
  const bytes = Buffer.from(digits, 'base64');
  return bytes.toString('base64').replace(/=+$/, '') === digits ? bytes : undefined;
}

/** Bytes as text, if they are text that a program would print. */
export function textOf(bytes: Uint8Array | undefined): string | undefined {
  if (bytes === undefined || bytes.length === 0) return undefined;
  // PowerShell's texts in base64 are UTF-16.
  const isUtf16 = bytes.length % 2 === 0 && bytes.every((byte, at) => at % 2 === 0 || byte === 0);
  if (!isUtf16 && !isUtf8(bytes)) return undefined;
  const text = Buffer.from(bytes).toString(isUtf16 ? 'utf16le' : 'utf8');
  return /(?![\t\n\r])[\p{Cc}\p{Cn}]/u.test(text) ? undefined : text;
}

const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f', '0': '\0' };

/** As JSON, C and `echo -e` read it. */
function unescaped(text: string): string {
  return text.replace(/\\(?:u([0-9a-f]{4})|x([0-9a-f]{2})|(.))/gi, (_all, unit?: string, byte?: string, sign = '') =>
    unit || byte ? String.fromCharCode(Number.parseInt(unit ?? byte ?? '', 16)) : (ESCAPES[sign] ?? sign),
  );
}

function sameAs(text: string | undefined, { name, tells }: Pick<Field, 'name' | 'tells'>, before?: string): Field[] {
  return text === undefined || text === before || text === '' ? [] : [{ name, tells, text, as: 'same' }];
}
