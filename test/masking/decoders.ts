import { gunzipSync } from 'node:zlib';

/**
 * Decoders of what programs print, for a second opinion on the masker: nothing here is shared with it, and each works on a whole text
 * instead of a stream. Texts are bytes, one per character (latin1). A decoder answers the readings that a text may have; pieces that did
 * not stand together are kept apart by NUL.
 */
export type Decoder = (text: string) => string[];

export const DECODERS: Readonly<Record<string, Decoder>> = {
  percent: (text) => {
    const decoded = surrogates(text, '%')
      .replace(/%u([0-9a-f]{4})/gi, (_, digits: string) => utf8(Number.parseInt(digits, 16)))
      .replace(/%([0-9a-f]{2})/gi, (_, digits: string) => byte(digits, 16));
    return [decoded, decoded.replaceAll('+', ' ')];
  },
  backslash: (text) => [escapes(text, byteOrCharacter('byte')), escapes(text, byteOrCharacter('character'))],
  'backslash before any character': (text) => [text.replace(/\\([\s\S])/g, '$1')],
  'backslashes away': (text) => [text.replaceAll('\\', '')],
  'decimal after a backslash': (text) => [
    text.replace(/\\(\d{1,3})|\\([\s\S])/g, (_, digits: string | undefined, sign: string) =>
      digits === undefined ? sign : byte(digits, 10),
    ),
  ],
  'hex after a backslash': (text) => [
    text.replace(/\\([0-9a-f]{2})/gi, (_, digits: string) => byte(digits, 16)),
    text.replace(/\\([0-9a-f]{1,6}) ?|\\([\s\S])/gi, (_, digits: string | undefined, sign: string) =>
      digits === undefined ? sign : utf8(Number.parseInt(digits, 16)),
    ),
  ],
  'quoted-printable': (text) => [
    text.replace(/=\r?\n/g, '').replace(/=([0-9A-F]{2})/gi, (_, digits: string) => byte(digits, 16)),
    text.replace(/=([0-9A-F]{2})/gi, (_, digits: string) => byte(digits, 16)).replaceAll('_', ' '),
  ],
  'cat -v': (text) => [
    text.replace(/M-\^([@-_?])|M-([ -~])|\^([@-_?])/g, (_, control: string, meta: string, low: string) =>
      meta === undefined
        ? String.fromCharCode(((control ?? low).charCodeAt(0) ^ 0x40) | (control === undefined ? 0 : 0x80))
        : String.fromCharCode(meta.charCodeAt(0) | 0x80),
    ),
  ],
  'zsh: \\M-A': (text) => [
    text.replace(/\\M-\\C-(.)|\\M-(.)|\\C-(.)/g, (_, both: string, meta: string, control: string) =>
      String.fromCharCode(
        both !== undefined
          ? (both.charCodeAt(0) & 0x1f) | 0x80
          : meta !== undefined
            ? meta.charCodeAt(0) | 0x80
            : (control as string).charCodeAt(0) & 0x1f,
      ),
    ),
  ],
  entities: (text) => [
    text.replace(/&#x([0-9a-f]{1,6});?|&#(\d{1,7});?|&(\w{2,8});/gi, (all, hex, decimal, name) =>
      hex !== undefined
        ? utf8(Number.parseInt(hex, 16))
        : decimal !== undefined
          ? utf8(Number(decimal))
          : name in ENTITIES
            ? utf8(ENTITIES[name] as number)
            : all,
    ),
  ],
  'doubled quotes': (text) => [
    text.replaceAll("''", "'").replaceAll('""', '"'),
    text.replaceAll("''", "'"),
    text.replaceAll('""', '"'),
  ],
  'quotes of a shell': (text) => [text.split('\n').map(shellWord).join('\n'), shellWord(text)],
  'quotes left and entered again': (text) => [
    text.replaceAll(`'\\''`, "'").replaceAll(`'"'"'`, "'").replaceAll(`"'"`, "'"),
    text.replace(/'?\$'((?:[^'\\]|\\.)*)'/g, (_, within: string) => escapes(within, byteOrCharacter('byte'))),
    text.replace(/['"]/g, ''),
  ],
  'signs of templates': (text) => [
    text.replaceAll('$$', '$').replaceAll('%%', '%'),
    text.replace(/`([\s\S])/g, (_, sign: string) => ({ n: '\n', t: '\t', r: '\r' })[sign] ?? sign),
    text.replaceAll(`'\\!'`, '!').replaceAll(`'\\''`, "'"),
  ],
  "rsyslog's escapes": (text) => [text.replace(/#([0-7]{3})/g, (_, digits: string) => byte(digits, 8))],
  'lines that were broken': (text) => [
    text.replace(/\\\r?\n/g, ''),
    text.replace(/["']\s*[+.]?\s*\n\s*[bru]*["']/g, ''),
    text.replace(/\r?\n[ \t]*/g, ' '),
    text.replace(/\r?\n[ \t]*/g, ''),
  ],
  base64: (text) => base64(text).concat(base64(joined(text))),
  base32: (text) => [BASE32, BASE32_HEX].flatMap((digits) => base32(text, digits).concat(base32(joined(text), digits))),
  hex: (text) => hex(text).concat(hex(joined(text))),
  'lists of numbers': (text) => [
    ...listsOf(text, /\d{1,3}(?:\s*[,\s]\s*\d{1,3}){3,}/g, /\d+/g, 10),
    ...listsOf(
      text,
      /\\?0?x?[0-9a-f]{1,2}(?:[,:\s]\s*(?:0x)?[0-9a-f]{1,2}){3,}/gi,
      /(?<!0)x?([0-9a-f]{1,2})(?!x)/gi,
      16,
    ),
  ],
  dumps: (text) => [
    dump(text, false),
    dump(text, true),
    textColumn(text),
    charColumns(text),
    ...[1, 2, 4, 8].flatMap((size) => [words(text, size, 10), words(text, size, 16), words(text, size, 8)]),
    words(text, 1, 2),
  ],
  'base85 and uuencode': (text) => [...base85(text), uudecoded(text)],
  'colours of a terminal': (text) => [text.replace(COLOUR, '')],
  'UTF-8 read as Latin-1': (text) => {
    const read = Buffer.from(text, 'latin1').toString();
    return /[^\0-\xff]/.test(read) ? [] : [read];
  },
  'cut, turned round, in capitals, compressed': (text) => [
    text.replaceAll("', '", ''),
    [...text].reverse().join(''),
    text.toLowerCase(),
    ...unzipped(text),
  ],
  'UTF-16': (text) => {
    const bytes = Buffer.from(text, 'latin1');
    return [0, 1].flatMap((from) => {
      const even = Buffer.from(bytes.subarray(from, from + ((bytes.length - from) & ~1)));
      const little = even.toString('utf16le');
      return [little, even.swap16().toString('utf16le')].map((read) => Buffer.from(read).toString('latin1'));
    });
  },
  'Latin-1': (text) => (/[\x80-\xff]/.test(text) ? [Buffer.from(text).toString('latin1')] : []),
  composed: (text) => [Buffer.from(Buffer.from(text, 'latin1').toString().normalize('NFC')).toString('latin1')],
};

const COLOUR = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*[A-Za-z]`, 'g');

function byte(digits: string, base: number): string {
  const value = Number.parseInt(digits, base);
  return value > 0xff ? '\0' : String.fromCharCode(value);
}

function utf8(point: number): string {
  return point > 0x10ffff ? '\0' : Buffer.from(String.fromCodePoint(point)).toString('latin1');
}

/** Pairs of surrogates, by the sign before their `u`. */
function surrogates(text: string, sign: '%' | '\\'): string {
  const pair =
    sign === '%'
      ? /%u(d[89ab][0-9a-f]{2})%u(d[c-f][0-9a-f]{2})/gi
      : /\\+u(d[89ab][0-9a-f]{2})\\+u(d[c-f][0-9a-f]{2})/gi;
  return text.replace(pair, (_, high: string, low: string) =>
    utf8(0x10000 + ((Number.parseInt(high, 16) & 0x3ff) << 10) + (Number.parseInt(low, 16) & 0x3ff)),
  );
}

const LETTERS: Record<string, number> = { a: 7, b: 8, e: 27, E: 27, f: 12, n: 10, r: 13, t: 9, v: 11 };

type ByteReading = (value: number) => string;

function byteOrCharacter(as: 'byte' | 'character'): ByteReading {
  return (value) => (as === 'byte' ? String.fromCharCode(value & 0xff) : utf8(value));
}

function escapes(text: string, read: ByteReading): string {
  return surrogates(text, '\\').replace(
    /\\(?:u\{([0-9a-f]{1,6})\}|u([0-9a-f]{4})|U([0-9a-f]{8})|x\{([0-9a-f]{1,6})\}|[xX]([0-9a-f]{1,2})|([0-7]{1,3})|([\s\S]))/gi,
    (_, braced, four, eight, bracedByte, two, octal, sign: string) => {
      const point = braced ?? four ?? eight ?? bracedByte;
      if (point !== undefined) return utf8(Number.parseInt(point, 16));
      if (two !== undefined) return read(Number.parseInt(two, 16));
      if (octal !== undefined) return read(Number.parseInt(octal, 8));
      if (sign === '\n') return '';
      return sign in LETTERS ? String.fromCharCode(LETTERS[sign] as number) : sign;
    },
  );
}

const ENTITIES: Record<string, number> = {
  amp: 38,
  lt: 60,
  gt: 62,
  quot: 34,
  apos: 39,
  nbsp: 160,
  Tab: 9,
  NewLine: 10,
  auml: 228,
  ouml: 246,
  uuml: 252,
  eacute: 233,
  egrave: 232,
};

/** A line as a shell reads it. */
function shellWord(line: string): string {
  return line.replace(
    /\$'((?:[^'\\]|\\[\s\S])*)'|'([^']*)'|"((?:[^"\\]|\\[\s\S])*)"|\\([\s\S])/g,
    (_, ansi, single, double, sign) => {
      if (ansi !== undefined) return escapes(ansi, byteOrCharacter('byte'));
      if (single !== undefined) return single;
      return double === undefined ? sign : double.replace(/\\([\\"$`!])/g, '$1');
    },
  );
}

/** Without the ends of lines, their indentation and other frames. */
function joined(text: string): string {
  return text.replace(/[ \t]*\r?\n[ \t>|]*/g, '');
}

function base64(text: string): string[] {
  const runs = text.match(/[A-Za-z0-9+/_-]{8,}/g) ?? [];
  return [0, 1, 2, 3].map((from) =>
    runs.map((run) => Buffer.from(run.slice(from), 'base64').toString('latin1')).join('\0'),
  );
}

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

const BASE32_HEX = '0123456789abcdefghijklmnopqrstuv';

function base32(text: string, digits: string): string[] {
  const runs = text.toLowerCase().match(/[a-z0-9]{10,}/g) ?? [];
  return [0, 1, 2, 3, 4, 5, 6, 7].map((from) =>
    runs
      .map((run) => {
        const bits = Array.from(run.slice(from), (digit) =>
          Math.max(0, digits.indexOf(digit)).toString(2).padStart(5, '0'),
        ).join('');
        return (bits.match(/[01]{8}/g) ?? []).map((each) => byte(each, 2)).join('');
      })
      .join('\0'),
  );
}

function hex(text: string): string[] {
  const runs = text.match(/[0-9a-f]{8,}/gi) ?? [];
  return [0, 1].map((from) => runs.map((run) => Buffer.from(run.slice(from), 'hex').toString('latin1')).join('\0'));
}

function listsOf(text: string, list: RegExp, item: RegExp, base: number): string[] {
  const found = text.match(list) ?? [];
  return [
    found.map((each) => [...each.matchAll(item)].map((match) => byte(match[1] ?? match[0], base)).join('')).join('\0'),
  ];
}

/** The columns of numbers of xxd, od and hexdump, at a line's beginning or behind other text: bytes, and words of two bytes in either order, in hex or octal. */
function dump(text: string, swapped: boolean): string {
  return text
    .split('\n')
    .map((line) => {
      const [, column = ''] =
        /^(?:.*?[^0-9a-f](?=0{7,8}:?\s))?\s*(?:[0-9a-f]{6,8}:?(?=\s)|[0-9a-f]{4}:(?=\s)|)\s*((?:(?:[0-7]{6}|[0-9a-f]{4}|[0-9a-f]{2}|\*+)\s{1,2})*(?:[0-7]{6}|[0-9a-f]{4}|[0-9a-f]{2})?)/i.exec(
          line,
        ) ?? [];
      return (column.match(/\S+/g) ?? [])
        .map((word) => {
          if (word.includes('*')) return '\0';
          const digits = word.length === 6 ? Number.parseInt(word, 8).toString(16).padStart(4, '0') : word;
          const bytes = Buffer.from(digits, 'hex');
          return (swapped ? bytes.reverse() : bytes).toString('latin1');
        })
        .join('');
    })
    .join('');
}

/** Numbers to a base, each of `size` bytes, the lowest first. */
function words(text: string, size: number, base: 2 | 8 | 10 | 16): string {
  const bits = BigInt(8 * size);
  return text
    .split('\n')
    .map((line) => {
      const bytes: number[] = [];
      for (const word of line.replace(/^[0-9a-f]{6,8}:?(?=\s)/, '').match(/\S+/g) ?? []) {
        if (!DIGITS[base].test(word)) break;
        const prefix = { 2: '0b', 8: '0o', 10: '', 16: '0x' }[base];
        const number = BigInt.asUintN(Number(bits), BigInt(`${prefix}${word}`));
        const known = base === 16 && word.length < 2 * size ? word.length / 2 : size;
        for (let at = 0; at < known; at++) bytes.push(Number((number >> BigInt(8 * at)) & 0xffn));
      }
      return String.fromCharCode(...bytes);
    })
    .join('');
}

const DIGITS = { 2: /^[01]{8}$/, 8: /^[0-7]{3,22}$/, 10: /^\d{1,20}$|^-\d{1,19}$/, 16: /^(?:[0-9a-f]{2}){1,8}$/ };

const BASE85 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~';

/** Python's `b85encode` and Ascii85, of whole words. */
function base85(text: string): string[] {
  return text.split(/\s+/).flatMap((word) =>
    [(sign: string) => BASE85.indexOf(sign), (sign: string) => sign.charCodeAt(0) - 33].map((digitOf) =>
      (word.match(/.{5}/gs) ?? [])
        .map((five) => [...five].reduce((sum, sign) => sum * 85 + digitOf(sign), 0))
        .map((sum) => (sum >= 0 && sum < 2 ** 32 ? [24, 16, 8, 0].map((by) => (sum >>> by) & 0xff) : [0]))
        .map((bytes) => String.fromCharCode(...bytes))
        .join(''),
    ),
  );
}

function uudecoded(text: string): string {
  return text
    .split('\n')
    .map((line) => {
      const bits = [...line.slice(1)].map((sign) => ((sign.charCodeAt(0) - 32) & 63).toString(2).padStart(6, '0'));
      const bytes = bits.join('').match(/[01]{8}/g) ?? [];
      return bytes
        .slice(0, (line.charCodeAt(0) - 32) & 63)
        .map((each) => byte(each, 2))
        .join('');
    })
    .join('');
}

function unzipped(text: string): string[] {
  const at = text.indexOf('\x1f\x8b\x08');
  try {
    return at < 0 ? [] : [gunzipSync(Buffer.from(text.slice(at), 'latin1')).toString('latin1')];
  } catch {
    return [];
  }
}

/** The column of characters at the right of a dump. */
function textColumn(text: string): string {
  return text
    .split('\n')
    .map(
      (line) =>
        /[|>](.{1,16})[|<]?$/.exec(line)?.[1]?.replace(/[|<]$/, '') ?? /\s{2}(\S.{0,15})$/.exec(line)?.[1] ?? '',
    )
    .join('');
}

/** `od -c` and `hexdump -c`: a character, an escape or three octal digits in a column each. */
function charColumns(text: string): string {
  return text
    .split('\n')
    .map((line) => {
      const columns =
        line.replace(/^[0-9a-f]{7,8}/i, '').match(/ {3}.| {2}\\.| [0-7]{3}| {2}sp| {2}nl|[* ]*\*[* ]*/g) ?? [];
      return columns
        .map((column) => {
          if (/\*{2}/.test(column)) return '\0';
          if (/sp|nl/.test(column)) return column.includes('sp') ? ' ' : '\n';
          if (/^ [0-7]{3}$/.test(column)) return byte(column.trim(), 8);
          return column.includes('\\') && column.length === 4 && column[2] === '\\'
            ? escapes(column.slice(2), byteOrCharacter('byte'))
            : column.slice(3);
        })
        .join('');
    })
    .join('');
}
