import { MIN_MASKED_CHARS } from '../protocol/limits.ts';

/**
 * Whether a log masker can hide any of this value as it is printed. `false` for what is too short or too common to be
 * taken out of a log without making it unreadable: fewer than `MIN_MASKED_CHARS` characters on every line, `true`, `{`,
 * a ruler of dashes. `set_secret` warns of such a value.
 */
export function isMaskable(value: string): boolean {
  return maskableParts(value).some((part) => !hasLineEnd(part));
}

/**
 * The strings by which a value may be recognised in a log, without repetition: the value, the value without outer white
 * space, its lines, and the strings inside a value that is a JSON document, each of them taken apart in the same way. The
 * keys of a JSON object are names, not secrets, and are left out; so is everything that {@link isMaskable} speaks of.
 */
export function maskableParts(value: string): string[] {
  const parts = new Set<string>();
  const seen = new Set<string>();
  const waiting = [value];
  for (let text = waiting.pop(); text !== undefined; text = waiting.pop()) {
    if (seen.has(text)) continue;
    seen.add(text);
    if (isTelling(text)) parts.add(text);
    for (const within of [text.trim(), ...linesOf(text), ...stringsInJson(text)]) waiting.push(within);
  }
  return [...parts];
}

/** Whether `text` spans lines: no log line can hold it as it is. */
function hasLineEnd(text: string): boolean {
  return text.includes('\n') || text.includes('\r');
}

/** Without indentation, which a log may hold by chance, unless too little is left of the line. */
function linesOf(text: string): string[] {
  if (!hasLineEnd(text)) return [];
  return text.split(/[\r\n]+/).map((line) => (isTelling(line.trim()) ? line.trim() : line));
}

/** What is left of JSON without its strings and numbers. */
const JSON_STRUCTURE = /[\s{}[\]",:]+|true|false|null/g;
/** A ruler, a row of stars or dots. */
const REPEATED_SIGN = /^([^\p{L}\p{N}])\1*$/u;

function isTelling(text: string): boolean {
  if (text.length < MIN_MASKED_CHARS) return false;
  if (text.length < 2 * MIN_MASKED_CHARS && [...text].length < MIN_MASKED_CHARS) return false;
  return text.replace(JSON_STRUCTURE, '') !== '' && !REPEATED_SIGN.test(text);
}

/** Every string that is a value in the document, at any depth; none when `text` is not a JSON document. */
function stringsInJson(text: string): string[] {
  if (!/^\s*[{["]/.test(text)) return [];
  const strings: string[] = [];
  // Not recursive: a value may be nested deeper than the stack.
  const waiting = [parsed(text)];
  while (waiting.length > 0) {
    const node = waiting.pop();
    if (typeof node === 'string') strings.push(node);
    else if (node !== null && typeof node === 'object') for (const child of Object.values(node)) waiting.push(child);
  }
  return strings;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
