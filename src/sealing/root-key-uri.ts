import { fileURLToPath } from 'node:url';
import { Misconfigured } from '../protocol/errors.ts';

/** Options that would put a secret into a setting, which others read. */
const SECRETS = ['pin-value', 'pin', 'token', 'passphrase', 'password'];

/**
 * The parts of a URI of root keys: what stands before the question mark without its scheme, and the options behind it, `NAME=VALUE` with
 * `&` between, percent-encoded.
 *
 * @param form of such a URI, for messages
 * @throws {Misconfigured} naming an option that is not among `known`; a value is never repeated
 */
export function uriParts<Name extends string>(
  uri: string,
  form: string,
  known: readonly Name[],
): { rest: string; options: Partial<Record<Name, string>> } {
  const [before = '', after = ''] = split(uri.slice(uri.indexOf(':') + 1), '?');
  const options: Partial<Record<Name, string>> = {};
  for (const part of after === '' ? [] : after.split('&')) {
    const [name = '', value = ''] = split(part, '=');
    if (SECRETS.includes(name)) {
      throw new Misconfigured(
        `root keys: "${name}" does not belong into a setting; name the file that has it: ${form}`,
      );
    }
    if (!known.includes(name as Name) || name in options) {
      throw new Misconfigured(`root keys: the option "${name}" is unknown, or twice there; the form is ${form}`);
    }
    options[name as Name] = decoded(value, form);
  }
  return { rest: before, options };
}

/** True for a place whose file opens with a passphrase alone. */
export function isUnderPassphrase(uri: string): boolean {
  return /^passphrase:/i.test(uri);
}

/** RFC 8089. @throws {Misconfigured} when it is not a whole path of this machine */
export function pathOf(uri: string, form: string): string {
  try {
    const url = new URL(uri);
    if (url.search === '' && url.hash === '' && /^file:\//i.test(uri)) return fileURLToPath(url);
  } catch {
    // Another host, or an escape that is none: the same words as below.
  }
  throw new Misconfigured(
    `the root keys of a file are named by its whole path: ${form}, where %3F is "?", %23 is "#" and %25 is "%"`,
  );
}

/** The options of a URI, in this order; those without a value are left out. */
export function spelledOptions(options: Readonly<Record<string, string | undefined>>): string {
  const parts = Object.entries(options).flatMap(([name, value]) =>
    // Slashes are no delimiters here, and paths are read by people.
    value === undefined ? [] : `${name}=${encodeURIComponent(value).replaceAll('%2F', '/')}`,
  );
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}

export function decoded(text: string, form: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Misconfigured(`root keys: an escape (%..) in the URI is none; the form is ${form}`);
  }
}

function split(text: string, at: string): [string, string?] {
  const place = text.indexOf(at);
  return place < 0 ? [text] : [text.slice(0, place), text.slice(place + 1)];
}
