import {
  MAX_MASKED_FORMS_BYTES,
  MAX_RARE_FORM_BYTES,
  MAX_RARE_FORMS_BYTES,
  MIN_MASKED_CHARS,
} from '../protocol/limits.ts';
import { splitWireName, type WireName } from '../protocol/names.ts';
import type { Plaintext } from '../protocol/plaintext.ts';
import type { MaskChoice } from '../protocol/secret-attributes.ts';
import { utf8Length } from '../protocol/text.ts';
import {
  asItIs,
  base32Encoded,
  base64Encoded,
  base64Twice,
  dumped,
  encodedJson,
  type Form,
  hexEncoded,
  inUtf16,
  listed,
  type Part,
  type Pattern,
  rewritten,
  rewrittenInLines,
} from './forms.ts';
import { hasLineEnd, takeApart as partsOf } from './parts.ts';
import { LINE_FEED, RETURN } from './signs.ts';

/** One secret as it is delivered; a file's value is the base64 of its bytes. */
export interface NamedSecret {
  name: WireName;
  value: Plaintext;
  /** `parts` when left out. */
  mask?: MaskChoice | undefined;
}

/** The texts to look for in a log. */
export interface PatternSet {
  patterns: readonly Pattern[];
  /** Those of them that are texts, each once. */
  texts: ReadonlySet<Pattern>;
  /** Further texts, which are looked for in the bytes that dumps show, and nowhere else. */
  inDumps: readonly Pattern[];
  /** Those of the texts that a program prints over several lines. */
  overLines: readonly Pattern[];
  /** Secrets whose value a log may show as it is, because masking it would make the log unreadable. */
  unmaskable: WireName[];
  /** Secrets that are too large for every encoding, and every text inside, to be looked for: masked as they are. */
  partlyMasked: WireName[];
}

/** A value and its lines, or the texts in it, come to twice its size. More is texts inside texts, as often as its owner likes. */
const ASSURED_SHARE = 2;

/** Beside {@link rewritten}. The last are given up first when the secrets are too large for all of them. */
const ENCODINGS: Form[] = [base64Encoded, hexEncoded];
/** Forms that take many times the size of a part and are rare: of parts of at most `MAX_RARE_FORM_BYTES`. */
const RARE_ENCODINGS: Form[] = [inUtf16, listed, encodedJson, base64Twice, base32Encoded];

/**
 * The patterns of all `secrets`. Values as they are always count; texts deep inside them and encodings are added, the likeliest
 * first, while all patterns together stay within `maxBytes`.
 */
export function collectPatterns(secrets: Iterable<NamedSecret>, maxBytes = MAX_MASKED_FORMS_BYTES): PatternSet {
  const all = Array.from(secrets, takeApart);
  const texts = new Set<Pattern>();
  const encoded: Pattern[] = [];
  const inDumps: Pattern[] = [];
  const partlyMasked = new Set<WireName>(all.filter(({ isCut }) => isCut).map(({ name }) => name));
  let bytes = 0;

  /** Adds all of them or, when they are too much, none. */
  function addTexts(found: readonly Pattern[], limit: number): boolean {
    const added: Pattern[] = [];
    for (const text of found) {
      const before = texts.size;
      texts.add(text);
      if (texts.size > before) added.push(text);
    }
    const fits = takeRoom(added, limit);
    if (!fits) for (const text of added) texts.delete(text);
    return fits;
  }

  /** The same of those that no other part has. */
  function addTo(list: Pattern[], found: readonly Pattern[], limit: number): boolean {
    const fits = takeRoom(found, limit);
    if (fits) for (const each of found) list.push(each);
    return fits;
  }

  function takeRoom(found: readonly Pattern[], limit: number): boolean {
    let more = 0;
    for (const { length } of found) more += length;
    const fits = bytes + more <= limit;
    if (fits) bytes += more;
    return fits;
  }

  for (const { name, parts, size } of all) {
    const assured = bytes + ASSURED_SHARE * size;
    for (const part of parts) if (!addTexts(asItIs(part), Math.max(assured, maxBytes))) partlyMasked.add(name);
  }
  const namesOf = ownersOf(all);
  const addAll = (encode: Form, add: typeof addTexts) => {
    for (const [part, names] of namesOf) {
      const fits = bytes + part.length <= maxBytes && add(encode(part), maxBytes);
      if (!fits) for (const name of names) partlyMasked.add(name);
    }
  };
  addAll(rewritten, addTexts);
  for (const encode of ENCODINGS) addAll(encode, (found, limit) => addTo(encoded, found, limit));
  addAll(dumped, (found, limit) => addTo(inDumps, found, limit));
  const most = Math.min(maxBytes, bytes + MAX_RARE_FORMS_BYTES);
  const small = [...namesOf.keys()].filter(({ length }) => length <= MAX_RARE_FORM_BYTES);
  small.every((part) => RARE_ENCODINGS.every((encode) => addTo(encoded, encode(part), most)));
  const inLines = [...namesOf.keys()].filter(spansLines);
  const overLines = [...inLines.flatMap(asItIs), ...inLines.flatMap(rewrittenInLines)];
  return {
    patterns: [...texts, ...encoded],
    texts,
    inDumps,
    overLines: overLines.filter((text) => hasLineEnd(text) && texts.has(text)),
    unmaskable: all.filter(({ maskable }) => !maskable).map(({ name }) => name),
    partlyMasked: [...partlyMasked],
  };
}

function spansLines(part: Part): boolean {
  return typeof part === 'string' ? hasLineEnd(part) : part.includes(LINE_FEED) || part.includes(RETURN);
}

/** By part, each once: the secrets that have it. */
function ownersOf(all: readonly TakenApart[]): Map<Part, WireName[]> {
  const owners = new Map<Part, WireName[]>();
  for (const { name, parts } of all) {
    for (const part of parts) {
      const names = owners.get(part);
      if (names === undefined) owners.set(part, [name]);
      else names.push(name);
    }
  }
  return owners;
}

interface TakenApart {
  name: WireName;
  /** Of the value, in bytes. */
  size: number;
  parts: Part[];
  maskable: boolean;
  /** More is inside than is taken apart. */
  isCut: boolean;
}

/** A file is looked for as it was sent, and by its text or, when it is none, its bytes. */
function takeApart({ name, value, mask }: NamedSecret): TakenApart {
  const sent = value.reveal().toWellFormed();
  const size = utf8Length(sent);
  const isFile = splitWireName(name).kind === 'file';
  const asSent = partsOf(sent, isFile ? 'whole' : mask);
  const parts: Part[] = asSent.hidden.map(({ part }) => part);
  if (!isFile) return { name, size, parts, maskable: canBeHidden(parts), isCut: asSent.isCut };
  const content = Buffer.from(sent, 'base64');
  const text = asText(content);
  if (text !== undefined) {
    const inside = partsOf(text, mask);
    const found = inside.hidden.map(({ part }) => part);
    return { name, size, parts: [...parts, ...found], maskable: canBeHidden(found), isCut: inside.isCut };
  }
  if (content.length >= MIN_MASKED_CHARS) parts.push(content);
  return { name, size, parts, maskable: canBeHidden(parts), isCut: false };
}

/** A text of several lines is hidden line by line where all of it is printed, by those lines that are not too short. */
function canBeHidden(parts: readonly Part[]): boolean {
  return parts.some(
    (part) =>
      typeof part === 'string' &&
      (!hasLineEnd(part) || part.split(/[\r\n]/).some((line) => line.trim().length >= MIN_MASKED_CHARS)),
  );
}

function asText(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
