import type { Plaintext } from './plaintext.ts';

/**
 * Secrets as they travel and as a job finds them: the JSON text of an object wire name -> value. Written member by member: an
 * object would put names that look like numbers first, and take `__proto__` for something else.
 */
export function secretsText(secrets: readonly { name: string; value: Plaintext }[]): string {
  const members = secrets.map(({ name, value }) => `${JSON.stringify(name)}:${JSON.stringify(value.reveal())}`);
  return `{${members.join(',')}}`;
}
