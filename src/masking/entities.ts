/** A character as HTML and XML write it. */
export interface Entity {
  point: number;
  /** In bytes; 0 when the text ends within what may be one. */
  length: number;
}

const LONGEST_NAME = 8;

/** The entity that begins with the `&` at `at`: `&amp;`, `&#38;`, `&#x26;`. */
export function entityAt(text: Buffer, at: number): Entity | undefined {
  let end = at + 1;
  const most = at + 2 + LONGEST_NAME;
  while (end < most && isOfName(text[end])) end++;
  if (end === text.length) return { point: 0, length: 0 };
  if (text[end] !== 0x3b || end === at + 1) return undefined;
  const point = pointOf(Buffer.from(text.buffer, text.byteOffset + at + 1, end - at - 1).toString('latin1'));
  return point === undefined || point > 0x10ffff ? undefined : { point, length: end + 1 - at };
}

export function isOfName(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  const letter = byte | 0x20;
  return (letter >= 0x61 && letter <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || byte === 0x23;
}

function pointOf(name: string): number | undefined {
  const number = /^#(?:x([0-9a-f]+)|([0-9]+))$/i.exec(name);
  if (number) return number[1] === undefined ? Number(number[2]) : Number.parseInt(number[1], 16);
  return NAMED.get(name);
}

/** The names of Latin-1 in its order, from U+00A0 (HTML 4, 24.2.1). */
const LATIN_1 =
  `nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute micro
  para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute
  Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN
  szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute
  ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml`.split(/\s+/);

/** The signs of ASCII that have a name (HTML, 13.5). */
const SIGNS = Object.entries({
  '\t': 'Tab',
  '\n': 'NewLine',
  '!': 'excl',
  '"': 'quot QUOT',
  '#': 'num',
  $: 'dollar',
  '%': 'percnt',
  '&': 'amp AMP',
  "'": 'apos',
  '(': 'lpar',
  ')': 'rpar',
  '*': 'ast midast',
  '+': 'plus',
  ',': 'comma',
  '.': 'period',
  '/': 'sol',
  ':': 'colon',
  ';': 'semi',
  '<': 'lt LT',
  '=': 'equals',
  '>': 'gt GT',
  '?': 'quest',
  '@': 'commat',
  '[': 'lsqb lbrack',
  '\\': 'bsol',
  ']': 'rsqb rbrack',
  '^': 'Hat',
  _: 'lowbar',
  '`': 'grave',
  '{': 'lcub lbrace',
  '|': 'verbar vert',
  '}': 'rcub rbrace',
  '€': 'euro',
}).flatMap(([sign, names]) => names.split(' ').map((name) => [name, sign.codePointAt(0) ?? 0] as const));

const NAMED: ReadonlyMap<string, number> = new Map([
  ...LATIN_1.map((name, index) => [name, 0xa0 + index] as const),
  ...SIGNS,
]);
