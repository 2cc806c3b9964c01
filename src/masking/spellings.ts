import { isEscapedBlockEnd } from './block-lines.ts';
import { readBackslashes, readColour, readEntity, readHex, readPercent, readQuotes, readUnicode } from './escapes.ts';
import { addReading, createReadings, NOTHING, type Readings } from './readings.ts';
import { AMPERSAND, APOSTROPHE, BACKSLASH, ESCAPE, LINE_FEED, PERCENT, PLUS, QUOTE, RETURN, SPACE } from './signs.ts';

/** The readings of what stands at one place, also of a text that was encoded several times. */
export interface Spellings extends Readings {
  /** For what was encoded twice. */
  peeled: Peeled | undefined;
}

/** Characters of a text, decoded once. */
interface Peeled {
  bytes: Buffer;
  /** By character, and after the last: where it begins in the text. */
  places: Int32Array;
  /** The readings of one of them in the text, and of the first in `bytes`. */
  once: Readings;
  again: Spellings;
}

/** Longer than any escape that is read through another. */
const PEELED_CHARS = 12;
const MOST_PEELS = 3;

export function createSpellings(): Spellings {
  return { ...createReadings(), peeled: undefined };
}

/**
 * Collects in `out` the readings of what stands at `at`.
 *
 * @param ended no more text will come
 */
export function readSpellings(text: Buffer, at: number, ended: boolean, out: Spellings): void {
  out.count = 0;
  out.cutShort = false;
  read(text, at, ended, out, 0);
  for (let index = out.count - 1; index >= 0; index--) {
    const value = out.values[index];
    // In a block of base64 or hex a line end is of no secret, also where it is escaped.
    if ((value === LINE_FEED || value === RETURN) && isEscapedBlockEnd(text, out.before, at))
      addReading(out, NOTHING, out.lengths[index] as number);
  }
}

/** @param peels the number of encodings round `text` that were decoded */
function read(text: Buffer, at: number, ended: boolean, out: Spellings, peels: number): void {
  if (readOnce(text, at, ended, out) && peels < MOST_PEELS) readPeeled(text, at, ended, out, peels);
}

function readOnce(text: Buffer, at: number, ended: boolean, out: Spellings): boolean {
  switch (text[at]) {
    case BACKSLASH:
      return readBackslashes(text, at, ended, out);
    case PERCENT:
      return readPercent(text, at, ended, out);
    case AMPERSAND:
      return readEntity(text, at, ended, out);
    case PLUS:
      addReading(out, SPACE, 1);
      return false;
    case APOSTROPHE:
    case QUOTE:
      readQuotes(text, at, ended, out);
      return false;
    case ESCAPE:
      readColour(text, at, ended, out);
      return false;
    default:
      return false;
  }
}

/**
 * An escape whose first sign is escaped itself: a text that was encoded twice. The next characters are decoded once, as that sign
 * was, and read again.
 */
function readPeeled(text: Buffer, at: number, ended: boolean, out: Spellings, peels: number): void {
  out.peeled ??= {
    bytes: Buffer.alloc(PEELED_CHARS),
    places: new Int32Array(PEELED_CHARS + 1),
    once: createReadings(),
    again: createSpellings(),
  };
  const { bytes: peeled, places: ends, once, again: inner } = out.peeled;
  ends[0] = at;
  let count = 0;
  let next = at;
  let cut = false;
  while (count < PEELED_CHARS && next < text.length) {
    const length = peelOne(text, next, ended, once);
    if (once.cutShort) {
      // A text that ends there may be an escape of the one that is decoded here.
      cut = true;
      break;
    }
    peeled[count++] = length === 0 ? (text[next] as number) : (once.values[0] as number);
    next += length === 0 ? 1 : length;
    ends[count] = next;
  }
  inner.count = 0;
  inner.cutShort = false;
  read(peeled.subarray(0, count), 0, !cut && (ended || next < text.length), inner, peels + 1);
  out.cutShort ||= inner.cutShort && !ended;
  for (let index = 0; index < inner.count; index++) {
    const length = ends[inner.lengths[index] as number] as number;
    if (inner.values[index] !== NOTHING) addReading(out, inner.values[index] as number, length - at);
  }
}

/** The length of an escape of ASCII at `at`, whose value is then the first; or 0. */
function peelOne(text: Buffer, at: number, ended: boolean, once: Readings): number {
  once.count = 0;
  once.cutShort = false;
  const byte = text[at];
  if (byte === PERCENT) readPercent(text, at, ended, once);
  else if (byte === AMPERSAND) readEntity(text, at, ended, once);
  else if (byte === BACKSLASH) {
    const kind = text[at + 1];
    if (kind === 0x75) readUnicode(text, at, 1, ended, once);
    else if (kind === 0x78) readHex(text, at, 1, ended, once);
    else if (kind === BACKSLASH || kind === QUOTE) addReading(once, kind, 2);
  }
  const value = once.values[0] as number;
  return once.count > 0 && value >= 0 && value < 0x80 ? (once.lengths[0] as number) : 0;
}
