import { type Field, LINE_END, type Reader, type ReadFrom } from './field.ts';
import { looksRandom } from './randomness.ts';
import { settingOfLine } from './settings.ts';
import { isAddress, isHarmlessShape } from './shapes.ts';

/** Readers of what any text has: lines, the bodies of PEM files, words, and words between the signs in a word. */
export const WORD_READERS: readonly Reader[] = [lines, pemBody, words, listItems];
/** Of a document only its words: the fields have the rest. */
export const DOCUMENT_WORD_READERS: readonly Reader[] = [words];

const PEM_MARK = /-----(BEGIN|END) ([A-Z0-9 ]+)(?=-----)/g;

/** Each block goes to the next end of its name. Found in one pass: a value may be nothing but beginnings. */
function pemBlocks(text: string): PemBlock[] {
  if (!text.includes('-----BEGIN ')) return [];
  const marks = [...text.matchAll(PEM_MARK)];
  const ends = new Map<string, RegExpExecArray>();
  const endOf = new Map<RegExpExecArray, RegExpExecArray>();
  for (const mark of marks.toReversed()) {
    const [, kind, name = ''] = mark;
    const end = ends.get(name);
    if (kind === 'END') ends.set(name, mark);
    else if (end) endOf.set(mark, end);
  }
  const blocks: PemBlock[] = [];
  let from = 0;
  for (const mark of marks) {
    const end = endOf.get(mark);
    if (!end || mark.index < from) continue;
    blocks.push({ name: mark[2] ?? '', start: mark.index + mark[0].length + 5, end: end.index });
    from = end.index + end[0].length;
  }
  return blocks;
}

interface PemBlock {
  name: string;
  /** Of its body, in the text. */
  start: number;
  end: number;
}

/**
 * Lines of what stands under a telling name are hidden with it, and those of a list of values as fields are. Other lines are only when
 * they look random.
 */
function lines(text: string, { name, tells, isSecret }: ReadFrom): Field[] {
  if (!/[\r\n]/.test(text)) return [];
  const rows = text
    .split(LINE_END)
    .map((row) => row.trim())
    .filter((row) => row !== '');
  const isList = isSecret && tells === 'nothing' && isListOfValues(rows);
  return rows.map((row) => ({ name, tells, text: row, as: isList && !isHarmless(row) ? 'field' : 'word' }));
}

/** One value a line: neither settings nor text with blanks. */
function isListOfValues(rows: readonly string[]): boolean {
  return rows.every((row) => !/\s/.test(row) && settingOfLine(row).length === 0);
}

function isHarmless(row: string): boolean {
  return isAddress(row) || isHarmlessShape(row);
}

/** Each line of a body, and all of them together, which a program may print without their ends. */
function pemBody(text: string): Field[] {
  return pemBlocks(text).flatMap(({ name, start, end }) => {
    const rows = text
      .slice(start, end)
      .split(LINE_END)
      .map((row) => row.trim())
      .filter((row) => row !== '' && !/[:\\]/.test(row));
    const all: Field = { name, tells: 'secret', text: rows.join(''), as: 'digits' };
    // Its frame goes with a private key, and stays where any program may print it: round a certificate.
    const frame = name.endsWith('KEY') ? [`-----BEGIN ${name}-----`, `-----END ${name}-----`] : [];
    return [all, ...[...frame, ...rows].map((row): Field => ({ name, tells: 'secret', text: row, as: 'word' }))];
  });
}

const BETWEEN_WORDS = /[\s"'`,;()<>{}[\]|]+/;
/** Of those that names, addresses and tokens are joined with; `-` and `_` are parts of tokens. */
const WITHIN_WORDS = /[:/?&=@#.,%$!*\\]+/;

function words(text: string): Field[] {
  const found = new Set<string>();
  for (const word of withoutPemDigits(text).split(BETWEEN_WORDS)) {
    const bare = word.replace(/(?<![.:])[.:]+$/, '');
    if (bare.includes('://') || bare.includes('\\n')) continue;
    found.add(bare);
    // The text behind a sign may be a token, and all of it may be base64.
    for (const piece of bare.split(WITHIN_WORDS)) found.add(piece);
    for (const piece of bare.split(/[:=,@]/)) found.add(piece);
  }
  found.delete(text);
  return [...found]
    .filter((word) => !/^\d+$/.test(word) && looksRandom(word))
    .map((word) => ({ tells: 'nothing', text: word, as: 'word' }));
}

/** In digits of base64 a slash ends no word. */
function withoutPemDigits(text: string): string {
  let rest = '';
  let from = 0;
  for (const { start, end } of pemBlocks(text)) {
    rest += text.slice(from, start) + text.slice(start, end).replace(PEM_DIGITS, '');
    from = end;
  }
  return rest + text.slice(from);
}

const PEM_DIGITS = /^[ \t]*[A-Za-z0-9+/]{16,}={0,2}[ \t]*$/gm;

/** Of a list under a telling name each item is hidden. */
function listItems(text: string, { name, tells }: Pick<Field, 'name' | 'tells'>): Field[] {
  const separator = [',', ';', '|'].find((sign) => text.includes(sign));
  if (tells !== 'secret' || separator === undefined || text.includes('=') || /[\r\n]/.test(text)) return [];
  const items = text.split(separator).map((item) => item.trim());
  if (items.some((item) => item.length < 6 || /\s/.test(item))) return [];
  return items.map((item) => ({ name, tells, text: item, as: 'field' }));
}
