import { MIN_MASKED_CHARS } from '../protocol/limits.ts';
import type { Automaton } from './automaton.ts';
import type { Pattern } from './forms.ts';
import type { PatternSet } from './patterns.ts';
import { LINE_FEED, NOWHERE, RETURN, SPACE, TAB } from './signs.ts';

/**
 * Patterns that go over lines. A program prints such a value over as many lines, with anything before each of them: nothing, the sign of
 * a quotation, the time of a log. A line of it that is no secret by itself is hidden only there.
 */
export interface LinedValues {
  values: readonly LinedValue[];
  /** By first line, which is looked for with the patterns: the places in `values`. */
  firsts: ReadonlyMap<Pattern, readonly number[]>;
  /** First lines that are no patterns. */
  seen: ReadonlySet<Pattern>;
}

interface LinedValue {
  pattern: Pattern;
  /** Without the blanks at their ends, from the first that is not too short on. */
  lines: readonly Buffer[];
}

/** More are of no person's secrets. */
const MOST_LINED_VALUES = 2000;
const MOST_LINES = 20_000;

export function linedValuesOf({ texts, overLines }: Pick<PatternSet, 'texts' | 'overLines'>): LinedValues {
  const values: LinedValue[] = [];
  const firsts = new Map<Pattern, number[]>();
  let count = 0;
  for (const pattern of new Set(overLines)) {
    if (NO_TEXT.test(pattern)) continue;
    const lines = pattern.split(LINE_END).map((line) => line.trim());
    const from = lines.findIndex(({ length }) => length >= MIN_MASKED_CHARS);
    const to = lines.findLastIndex((line) => line !== '');
    const first = lines[from] as Pattern | undefined;
    if (first === undefined || to <= from) continue;
    const own = lines.slice(from, to + 1);
    // Nothing would be added where each line is a secret by itself.
    if (own.every((line) => line.length < MIN_MASKED_CHARS || texts.has(line as Pattern))) continue;
    count += own.length;
    if (values.length === MOST_LINED_VALUES || count > MOST_LINES) break;
    firsts.set(first, [...(firsts.get(first) ?? []), values.length]);
    values.push({ pattern, lines: own.map((line) => Buffer.from(line, 'latin1')) });
  }
  return { values, firsts, seen: new Set([...firsts.keys()].filter((first) => !texts.has(first))) };
}

const LINE_END = /\r\n|\r|\n/;
/** Bytes of a key. */
const NO_TEXT = /[^\t-\r -\xff]/;

/** Finds values over lines, each of which must end as the value's does. */
export interface LineSearch {
  /** Takes what the automaton found: tells of patterns, and keeps the first lines of values. */
  found(start: number, end: number, state: number): void;
  /** Follows the values that began, through a text that has been searched. */
  read(text: Buffer, ended: boolean): void;
  /** From here on nothing may be shown yet, or `NOWHERE`. */
  open(): number;
  /** The text is read again from here on. */
  needed(): number;
  shift(by: number): void;
  reset(): void;
}

/** A value of which some lines were found. */
interface Begun {
  value: LinedValue;
  /** The line that comes next; 0 while the end of the text line that holds the first is not known. */
  next: number;
  /** In the text: what is to be read next. */
  at: number;
  /** The lines found, in the text. */
  runs: { start: number; end: number }[];
}

/** The text that a log puts before a line is no longer. */
const MOST_PREFIX_BYTES = 256;
const MOST_BEGUN = 64;

/** @param tell of each line of a value that was found whole, and of each pattern */
export function createLineSearch(
  automaton: Automaton,
  { values, firsts, seen }: LinedValues,
  tell: (start: number, end: number, state: number) => void,
): LineSearch {
  const { longestEnding, fallbackOf, patternOf } = automaton;
  let begun: Begun[] = [];

  function begin(first: Pattern, end: number): void {
    for (const index of firsts.get(first) ?? []) {
      if (begun.length === MOST_BEGUN) return;
      const value = values[index] as LinedValue;
      begun.push({ value, next: 0, at: end, runs: [{ start: end - first.length, end }] });
    }
  }

  /** @returns true when more text may make it whole */
  function follow(text: Buffer, each: Begun, ended: boolean): boolean {
    if (each.next === 0) {
      const end = endOfBlanks(text, each.at);
      if (end === text.length) return !ended;
      if (text[end] !== LINE_FEED) return false;
      each.at = end + 1;
      each.next = 1;
    }
    for (;;) {
      const line = each.value.lines[each.next] as Buffer;
      const isLast = each.next === each.value.lines.length - 1;
      const lineFeed = text.indexOf(LINE_FEED, each.at);
      const to = lineFeed < 0 ? text.length : lineFeed;
      const start = isLast ? text.subarray(each.at, to).indexOf(line) + each.at : endOfText(text, to) - line.length;
      const isThere =
        start >= each.at &&
        start - each.at <= MOST_PREFIX_BYTES &&
        text.subarray(start, start + line.length).equals(line);
      if (isLast && isThere) {
        each.runs.push({ start, end: start + line.length });
        return report(each);
      }
      if (lineFeed < 0) return !ended && to - each.at <= MOST_PREFIX_BYTES + line.length;
      if (isLast || !isThere) return false;
      if (line.length > 0) each.runs.push({ start, end: start + line.length });
      each.at = lineFeed + 1;
      each.next += 1;
    }
  }

  function report({ value, runs }: Begun): false {
    let state = 0;
    for (let at = 0; at < value.pattern.length; at++) state = automaton.childOf(state, value.pattern.charCodeAt(at));
    for (const { start, end } of runs) if (end > 0) tell(start, end, state);
    return false;
  }

  return {
    found(start, end, state) {
      // With an escape in it, or in a dump, a first line begins nothing.
      if (end - start !== longestEnding[state]) {
        const pattern = patternOf(state);
        if (pattern === undefined || !seen.has(pattern)) tell(start, end, state);
        return;
      }
      let isTold = false;
      for (let each = state; each > 0; each = fallbackOf(each)) {
        const pattern = patternOf(each);
        if (pattern === undefined) continue;
        if (firsts.has(pattern)) begin(pattern, end);
        if (!isTold && !seen.has(pattern)) {
          tell(end - pattern.length, end, each);
          isTold = true;
        }
      }
    },
    read(text, ended) {
      if (begun.length > 0) begun = begun.filter((each) => follow(text, each, ended));
    },
    open: () => begun.reduce((least, { runs }) => Math.min(least, runs[0]?.start ?? least), NOWHERE),
    needed: () => begun.reduce((least, { at }) => Math.min(least, at), NOWHERE),
    shift(by) {
      for (const each of begun) {
        each.at -= by;
        each.runs = each.runs.map(({ start, end }) => ({ start: start - by, end: end - by }));
      }
    },
    reset() {
      begun = [];
    },
  };
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB || byte === RETURN;
}

function endOfBlanks(text: Buffer, from: number): number {
  let at = from;
  while (at < text.length && isBlank(text[at])) at++;
  return at;
}

/** Where the blanks begin that a line ends with. */
function endOfText(text: Buffer, to: number): number {
  let at = to;
  while (at > 0 && isBlank(text[at - 1])) at--;
  return at;
}
