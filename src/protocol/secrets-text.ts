import type { WireName } from './names.ts';
import type { Plaintext } from './plaintext.ts';

/**
 * Secrets as they travel and as a job finds them: the JSON text of an object wire name -> value. In the order given, but for
 * names that look like whole numbers, which JavaScript puts first.
 */
export function secretsText(secrets: readonly { name: string; value: Plaintext }[]): string {
  // `fromEntries` defines each as a property of the object's own, `__proto__` like any other.
  const values = Object.entries(Object.fromEntries(secrets.map(({ name, value }) => [name, value.reveal()])));
  return `{${values.map(([name, value]) => `${quoted(name)}:${quoted(value)}`).join(',')}}`;
}

/** The characters that JSON escapes in a string of valid Unicode. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON escapes these
const ESCAPED = /["\\\u0000-\u001f]/g;

/**
 * A text of valid Unicode as a JSON string, letter by letter as `JSON.stringify` writes it, which puts a text together in memory that it then
 * frees as it is: there a secret stays until something else is written over it.
 */
export function quoted(text: string): string {
  return `"${text.replace(ESCAPED, (sign) => JSON.stringify(sign).slice(1, -1))}"`;
}

/** The order in which a job finds its secrets. */
export function byName(a: { name: WireName }, b: { name: WireName }): number {
  return a.name < b.name ? -1 : 1;
}
