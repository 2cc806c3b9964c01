import { addBit, type Bits, createBits, hasBit } from './bits.ts';
import { entityAt, isOfName } from './entities.ts';
import { endOfColour, NAMED } from './escapes.ts';
import { CHARACTER, NOTHING, type Readings } from './readings.ts';
import {
  AMPERSAND,
  BACKSLASH,
  ESCAPE,
  hexDigit,
  isIntroducer,
  KIND,
  LINE_END,
  leadByteOf,
  MAY_SPELL,
  MOST_BACKSLASHES,
  ORDINARY,
  PERCENT,
  PLUS,
  SMALL_U,
  SPACE,
} from './signs.ts';

/**
 * Most escapes are of no secret, and most of these are told by the bytes beside them: an escape in the window of a pattern
 * (`block-filter.ts`) stands between bytes of the pattern, or among its first four.
 */
export interface EscapeSieve {
  /** All neighbours of four bytes in windows, and those that windows begin with. */
  grams: Bits;
  heads: Bits;
  /** By two bytes, and by one: 1 where a pattern begins with them. */
  pairs: Uint8Array;
  firsts: Uint8Array;
  /** By two bytes: 1 where they are neighbours in a window. */
  neighbours: Uint8Array;
  /** A window has a backslash, so one of a run of them may be as it is, and those after it an escape. */
  hasBackslash: boolean;
}

/** @param windows the beginnings of all patterns */
export function createEscapeSieve(windows: readonly Uint8Array[]): EscapeSieve {
  let bytes = 0;
  let hasBackslash = false;
  for (const window of windows) bytes += window.length - 3;
  const grams = createBits(bytes);
  const heads = createBits(windows.length);
  const pairs = new Uint8Array(0x10000);
  const firsts = new Uint8Array(0x100);
  const neighbours = new Uint8Array(0x10000);
  for (const window of windows) {
    hasBackslash ||= window.includes(BACKSLASH);
    let gram = 0;
    for (let at = 0; at < window.length; at++) {
      gram = (gram << 8) | (window[at] as number);
      if (at > 0) neighbours[gram & 0xffff] = 1;
      if (at >= 3) addBit(grams, hashOf(gram));
      if (at === 0) firsts[gram] = 1;
      else if (at === 1) pairs[gram] = 1;
      else if (at === 3) addBit(heads, hashOf(gram));
    }
  }
  return { grams, heads, pairs, firsts, neighbours, hasBackslash };
}

/** Nothing that is read here is longer. */
const MARGIN_BYTES = 24;

/**
 * True when the escape at `at` may be of a pattern, less than a window after its beginning. Of escapes that are seldom, or need a
 * closer look, it says so too.
 */
export function mayBeOfSecret(sieve: EscapeSieve, text: Buffer, at: number): boolean {
  if (at < 3 || at + MARGIN_BYTES > text.length) return true;
  switch (text[at]) {
    case PERCENT:
      return mayPercent(sieve, text, at);
    case BACKSLASH:
      return mayBackslash(sieve, text, at);
    case ESCAPE:
      return mayColour(sieve, text, at);
    default:
      return mayEntity(sieve, text, at);
  }
}

/** Where the next escape may begin after one at `at` before which no pattern has begun that the filter finds. */
export function afterEscape({ hasBackslash }: EscapeSieve, text: Buffer, at: number): number {
  let end = at + 1;
  if (hasBackslash || text[at] !== BACKSLASH) return end;
  while (end < at + MOST_BACKSLASHES && text[end] === BACKSLASH) end++;
  return end === text.length ? at + 1 : end;
}

/** The same of an escape at `at` that was read. */
export function mayBeOfSecretAs(sieve: EscapeSieve, text: Buffer, at: number, spellings: Readings): boolean {
  if (at < 3 || at + MARGIN_BYTES > text.length || spellings.cutShort) return true;
  for (let index = 0; index < spellings.count; index++) {
    const value = spellings.values[index] as number;
    if (value === NOTHING || fits(sieve, text, at, at + (spellings.lengths[index] as number), value)) return true;
  }
  return false;
}

function mayPercent(sieve: EscapeSieve, text: Buffer, at: number): boolean {
  const high = hexDigit(text[at + 1]);
  const low = hexDigit(text[at + 2]);
  if (high < 0 || low < 0) return text[at + 1] === SMALL_U;
  const value = (high << 4) | low;
  if (value >= 0x80) return fits(sieve, text, at, at + 3, value) || fits(sieve, text, at, at + 3, CHARACTER | value);
  return isIntroducer(value) || fits(sieve, text, at, at + 3, value);
}

function mayBackslash(sieve: EscapeSieve, text: Buffer, at: number): boolean {
  let next = at + 1;
  while (next < at + MOST_BACKSLASHES && text[next] === BACKSLASH) next++;
  const byte = text[next] as number;
  if (AFTER_BACKSLASH[byte] === MANY_READINGS) return true;
  if (sieve.hasBackslash) {
    for (let length = 2; length <= next - at; length *= 2)
      if (fits(sieve, text, at, at + length, BACKSLASH)) return true;
  }
  const named = AFTER_BACKSLASH[byte] as number;
  return fits(sieve, text, at, next + 1, byte) || (named !== 0 && fits(sieve, text, at, next + 1, named));
}

function mayColour(sieve: EscapeSieve, text: Buffer, at: number): boolean {
  let end = at;
  while (text[end] === ESCAPE) {
    const after = endOfColour(text, end);
    if (after <= 0) return after < 0;
    end = after;
  }
  const byte = text[end];
  return byte === undefined || KIND[byte] === MAY_SPELL || fits(sieve, text, at, end + 1, byte);
}

function mayEntity(sieve: EscapeSieve, text: Buffer, at: number): boolean {
  const entity = entityAt(text, at);
  if (entity === undefined) return false;
  const { point, length } = entity;
  return point >= 0x80 || isIntroducer(point) || fits(sieve, text, at, at + length, point);
}

/** True when the text goes on with `value` from `at`, and with what stands at `next` after it, as some pattern does. */
function fits(sieve: EscapeSieve, text: Buffer, at: number, next: number, value: number): boolean {
  const { grams, pairs, firsts, neighbours } = sieve;
  const before = text[at - 1] as number;
  const pair = ((text[at - 2] as number) << 8) | before;
  const isByte = value < CHARACTER;
  const byte = isByte ? value : leadByteOf(value & 0xffffff);
  if (neighbours[(before << 8) | byte] === 0 && firsts[byte] === 0) return false;
  if (hasBit(grams, hashOf(((text[at - 3] as number) << 24) | (pair << 8) | byte))) return true;
  if (!isByte && byte >= 0x80) return firsts[byte] === 1 || pairs[(before << 8) | byte] === 1 || pairs[pair] === 1;
  return (
    (firsts[byte] === 1 && mayGoOn(sieve, text, next, byte, 1)) ||
    (pairs[(before << 8) | byte] === 1 && mayGoOn(sieve, text, next, (before << 8) | byte, 2)) ||
    (pairs[pair] === 1 && mayGoOn(sieve, text, next, (pair << 8) | byte, 3))
  );
}

/** True when a pattern may begin with the `count` bytes of `head` and then what stands at `next`, which may be escapes too. */
function mayGoOn(sieve: EscapeSieve, text: Buffer, next: number, head: number, count: number): boolean {
  const { heads, pairs, neighbours } = sieve;
  let gram = head;
  let place = next;
  for (let known = count; known < 4; known++) {
    const last = (gram & 0xff) << 8;
    let byte = text[place] as number;
    if (KIND[byte] === LINE_END) return true;
    if (byte === PERCENT && hexDigit(text[place + 1]) >= 0 && hexDigit(text[place + 2]) >= 0) {
      if (neighbours[last | PERCENT] === 1) return true;
      byte = (hexDigit(text[place + 1]) << 4) | hexDigit(text[place + 2]);
      if (byte >= 0x80 || isIntroducer(byte)) return true;
      place += 3;
    } else if (byte === BACKSLASH) {
      if (neighbours[last | BACKSLASH] === 1) return true;
      while (text[place] === BACKSLASH) place++;
      byte = text[place++] as number;
      if (AFTER_BACKSLASH[byte] !== 0) return true;
    } else {
      place++;
      const then = text[place] as number;
      if (byte === ESCAPE) return true;
      if (KIND[byte] === MAY_SPELL) {
        if (
          byte === PLUS ? neighbours[last | SPACE] === 1 : byte === AMPERSAND ? isOfName(then) : KIND[then] !== ORDINARY
        )
          return true;
      }
    }
    if (known === 1 && pairs[last | byte] === 0) return false;
    gram = (gram << 8) | byte;
  }
  return hasBit(heads, hashOf(gram));
}

function hashOf(gram: number): number {
  return Math.imul(gram ^ (gram >>> 15), 0x9e3779b1);
}

/** By byte after a backslash: 0 where it stands for itself only, or the other character that it stands for. */
const AFTER_BACKSLASH = new Int32Array(256);
const MANY_READINGS = -1;
for (const [letter, value] of NAMED) AFTER_BACKSLASH[letter] = value;
for (let byte = 0; byte < 256; byte++)
  if (hexDigit(byte) >= 0 || KIND[byte] === LINE_END) AFTER_BACKSLASH[byte] = MANY_READINGS;
for (const sign of 'uUxXMC\\&') AFTER_BACKSLASH[sign.charCodeAt(0)] = MANY_READINGS;
