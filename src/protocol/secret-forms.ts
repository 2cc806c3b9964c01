import { InvalidArgument } from './errors.ts';
import { MAX_VARIABLE_BYTES } from './limits.ts';
import { isEnvironmentName, isFileName, type SecretKind } from './names.ts';
import { utf8Length } from './text.ts';

/**
 * The ways in which a job finds its secrets: `json`, all of them in `panda_secrets.json`; `env`, strings as environment
 * variables; `files`, file secrets as files of their name.
 */
export const SECRET_FORMS = ['json', 'env', 'files'] as const;
export type SecretForm = (typeof SECRET_FORMS)[number];

/**
 * Reads the ways that a task asks for, in their own order and without repetition.
 *
 * @param where the argument, for the message
 * @throws {InvalidArgument} when there is none, or an unknown one
 */
export function parseSecretForms(words: readonly string[], where: string): SecretForm[] {
  const unknown = words.find((word) => !(SECRET_FORMS as readonly string[]).includes(word));
  if (unknown !== undefined || words.length === 0) {
    const given = unknown === undefined ? 'none' : `"${unknown.slice(0, 32)}"`;
    throw new InvalidArgument(`${where}: must be one or more of ${SECRET_FORMS.join(', ')}, not ${given}`);
  }
  return SECRET_FORMS.filter((form) => words.includes(form));
}

/**
 * The ways in which a secret can reach a job: every one is in the JSON file; a string is a variable, and a file a file, where the
 * name can be that of one. A value with a NUL is no variable either.
 *
 * @param secret `size`: bytes of the value as sent, where they are known
 */
export function formsOf(secret: { name: string; kind: SecretKind; size?: number }): SecretForm[] {
  const { name, kind, size = 0 } = secret;
  if (kind === 'file') return isFileName(name) ? ['json', 'files'] : ['json'];
  // With the "=" between, and a NUL behind.
  const isVariable = isEnvironmentName(name) && utf8Length(name) + size + 2 <= MAX_VARIABLE_BYTES;
  return isVariable ? ['json', 'env'] : ['json'];
}
