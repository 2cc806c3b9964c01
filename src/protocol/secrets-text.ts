import type { WireName } from './names.ts';
import type { Plaintext } from './plaintext.ts';

/**
 * Secrets as they travel and as a job finds them: the JSON text of an object wire name -> value. In the order given, but for
 * names that look like whole numbers, which JavaScript puts first. One call of `JSON.stringify` for all of them writes one flat
 * string, for half of what joining the texts of the members takes.
 */
export function secretsText(secrets: readonly { name: string; value: Plaintext }[]): string {
  // `fromEntries` defines each as a property of the object's own, `__proto__` like any other.
  return JSON.stringify(Object.fromEntries(secrets.map(({ name, value }) => [name, value.reveal()])));
}

/** The order in which a job finds its secrets. */
export function byName(a: { name: WireName }, b: { name: WireName }): number {
  return a.name < b.name ? -1 : 1;
}
