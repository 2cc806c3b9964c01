import { stripVTControlCharacters } from 'node:util';

/** Tells how many columns of a terminal a text takes. Styles take none. */
export type Measure = (text: string) => number;

/** Breaks a text into lines of at most that width. */
export type Wrap = (text: string, width: number) => string;

/**
 * A measure for these texts. The library for letters of every script takes 20 ms of CPU time to load, most of it for the regular expression of emoji: it is
 * loaded where one of the texts has others than those of ASCII.
 */
export async function measureFor(texts: readonly string[]): Promise<Measure> {
  if (texts.every((text) => PRINTABLE_ASCII.test(withoutStyles(text)))) return (text) => withoutStyles(text).length;
  return (await import('string-width')).default;
}

/** Loads that library too: to be asked for when there is a text that is too wide. */
export async function loadWrap(): Promise<Wrap> {
  const { default: wrapAnsi } = await import('wrap-ansi');
  return (text, width) => wrapAnsi(text, width, { hard: true });
}

const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;

function withoutStyles(text: string): string {
  return PRINTABLE_ASCII.test(text) ? text : stripVTControlCharacters(text);
}
