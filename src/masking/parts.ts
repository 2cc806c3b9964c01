import { MAX_PARTS_DEPTH, MAX_PARTS_OF_SECRET, MAX_READ_PARTS_CHARS, MIN_MASKED_CHARS } from '../protocol/limits.ts';
import type { MaskChoice } from '../protocol/secret-attributes.ts';
import { ADDRESS_READERS } from './parts/addresses.ts';
import { readDocument, readSettingsFile } from './parts/documents.ts';
import { decodedOnce, ENCODING_READERS } from './parts/encodings.ts';
import type { Decoded, Field, Reader } from './parts/field.ts';
import { looksRandom } from './parts/randomness.ts';
import { SETTING_READERS } from './parts/settings.ts';
import { isAddress, isHarmlessShape, isNoValue } from './parts/shapes.ts';
import { DOCUMENT_WORD_READERS, WORD_READERS } from './parts/words.ts';

/** The reason why a part is hidden. */
export type HiddenAs = 'whole' | 'decoded' | 'named' | 'random' | 'unknown';

/** The parts of a value that are to be hidden, and those that stay visible. */
export interface Parts {
  /** Texts, and the bytes that an encoded value or part stands for where these are no text. */
  hidden: readonly HiddenPart[];
  /** The names of the fields that stay visible, without repetition; `''` for those without a name. */
  visible: readonly string[];
  /** The value has more inside than is taken apart (`MAX_PARTS_OF_SECRET` and its neighbours). */
  isCut: boolean;
}

export interface HiddenPart {
  part: string | Uint8Array;
  as: HiddenAs;
  /** The name of its field, where it has one. */
  name?: string | undefined;
}

/** True when `text` spans lines: no log line can hold it as it is. */
export function hasLineEnd(text: string): boolean {
  return text.includes('\n') || text.includes('\r');
}

/** In a document its format says where the names are. */
const READERS_OF_DOCUMENT: readonly Reader[] = [...ADDRESS_READERS, ...ENCODING_READERS, ...DOCUMENT_WORD_READERS];
const READERS_OF_TEXT: readonly Reader[] = [
  readSettingsFile,
  ...SETTING_READERS,
  ...ADDRESS_READERS,
  ...ENCODING_READERS,
  ...WORD_READERS,
];

const IS_ONE_WORD = /^[A-Za-z0-9_+/-]+$/;
const READERS_OF_WORD: readonly Reader[] = [...ENCODING_READERS, ...DOCUMENT_WORD_READERS];

interface Piece extends Omit<Field, 'as'> {
  as: Field['as'] | 'whole';
  depth: number;
  isDecoded?: boolean;
}

/**
 * Reads a value in each format that it may be of, and what it finds there in the same way. Hidden are the value itself, what it decodes
 * to, what stands under a telling name, what looks random, and fields of which nothing says that they are harmless; never what is too
 * short or too common to be taken out of a log.
 */
export function takeApart(value: string, choice: MaskChoice = 'parts'): Parts {
  const hidden = new Map<string, HiddenPart>();
  const bytes = new Map<string, HiddenPart>();
  const visible = new Set<string>();
  /** By text: whether it was read as one that is secret. */
  const seen = new Map<string, boolean>();
  const waiting: Piece[] = [{ text: value, tells: 'nothing', as: 'whole', depth: 0 }];
  let chars = 0;
  let isCut = false;
  for (const piece of waiting) {
    const { text, name, depth } = piece;
    const as = reasonToHide(piece);
    const decoded = decodedOnce(text);
    if (as !== undefined) {
      for (const each of [text, text.trim()])
        if (isTelling(each) && !hidden.has(each)) hidden.set(each, { part: each, as, name });
      const { bytes: key } = decoded;
      if (choice === 'parts' && piece.as !== 'word' && key && key.length >= MIN_MASKED_BYTES && looksRandom(text)) {
        if (decoded.text === undefined) bytes.set(Buffer.from(key).toString('latin1'), { part: key, as, name });
      }
    } else if (piece.as === 'field') {
      visible.add(name === undefined || looksRandom(name) ? '' : name);
    }
    if (choice === 'whole') continue;
    const isSecret = as === 'whole' || piece.isDecoded === true || piece.tells === 'secret';
    const known = seen.get(text);
    if (known === true || known === isSecret) continue;
    seen.set(text, isSecret);
    chars += text.length;
    if (depth >= MAX_PARTS_DEPTH || chars > MAX_READ_PARTS_CHARS) {
      isCut = true;
      continue;
    }
    for (const field of read(piece, isSecret, decoded)) {
      if (field.text.length < MIN_MASKED_CHARS && field.as !== 'field') continue;
      if (waiting.length < MAX_PARTS_OF_SECRET) waiting.push(asPiece(field, as, piece));
      else isCut = true;
    }
  }
  for (const { name } of hidden.values()) visible.delete(name ?? '');
  return { hidden: [...hidden.values(), ...bytes.values()], visible: [...visible], isCut };
}

/** Fewer bytes that are no text would be found in a log by chance. */
const MIN_MASKED_BYTES = 12;

/** A decoded text is hidden for the reason of its encoded one, unless that was hidden for its looks. */
function asPiece(field: Field, parent: HiddenAs | undefined, { as, depth }: Piece): Piece {
  const next = depth + 1;
  if (field.as !== 'same') return { ...field, depth: next };
  const isSame = parent === 'whole' || parent === 'decoded' || parent === 'named';
  return {
    ...field,
    as: isSame ? 'same' : as === 'text' || as === 'word' ? 'text' : 'field',
    depth: next,
    isDecoded: true,
  };
}

function read({ text, name, tells, as }: Piece, isSecret: boolean, decoded: Decoded): Field[] {
  const from = { name, tells, isSecret, decoded };
  // The text round a word was read already.
  if (as === 'word' || as === 'digits') return ENCODING_READERS.flatMap((reader) => reader(text, from));
  // No format has names and values of these signs alone: most tokens are read in a fraction of the time.
  if (IS_ONE_WORD.test(text)) return READERS_OF_WORD.flatMap((reader) => reader(text, from));
  const fields = readDocument(text, from);
  const readers = fields.length > 0 ? READERS_OF_DOCUMENT : READERS_OF_TEXT;
  return [...fields, ...readers.flatMap((reader) => reader(text, from))];
}

function reasonToHide({ text, as, tells }: Piece): HiddenAs | undefined {
  if (as === 'whole') return 'whole';
  if (as === 'same') return 'decoded';
  if (!isTelling(text.trim())) return undefined;
  if (isAddress(text)) return undefined;
  if (tells === 'secret' && !isNoValue(text)) return 'named';
  if (!(as === 'word' && /\s/.test(text.trim())) && looksRandom(text) && !(tells === 'harmless' && /^\d+$/.test(text)))
    return 'random';
  return as === 'field' && tells === 'nothing' && !isHarmlessShape(text) && !isNoValue(text) ? 'unknown' : undefined;
}

/** The rest of JSON without its strings and numbers. */
const JSON_STRUCTURE = /[\s{}[\]",:]+|true|false|null/g;
/** The rest, which is in none of it. */
const NOT_OF_JSON_STRUCTURE = /[^\s{}[\]",:aeflnrstu]/;
/** A ruler, a row of stars or dots. */
const REPEATED_SIGN = /^([^\p{L}\p{N}])\1*$/u;

function isTelling(text: string): boolean {
  if (text.length < MIN_MASKED_CHARS) return false;
  if (text.length < 2 * MIN_MASKED_CHARS && [...text].length < MIN_MASKED_CHARS) return false;
  if (!NOT_OF_JSON_STRUCTURE.test(text) && text.replace(JSON_STRUCTURE, '') === '') return false;
  return !REPEATED_SIGN.test(text);
}
