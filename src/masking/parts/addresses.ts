import { type Field, namedField, type Reader } from './field.ts';
import { looksRandom } from './randomness.ts';

/** Readers of addresses with a password, and of what stands behind `Bearer` and `Basic`. */
export const ADDRESS_READERS: readonly Reader[] = [
  (text) => (text.includes('://') ? [...text.matchAll(ADDRESS)].flatMap(([address]) => fieldsOfAddress(address)) : []),
  (text) => [...text.matchAll(ORACLE_LOGIN)].map(([, password = '']) => namedField('password', password)),
  authorization,
];

/** Of a list of addresses each one: a comma before the next is not of the password. */
const ADDRESS = /[a-z][a-z0-9+.-]{1,30}:\/\/(?:(?![,;|][a-z][a-z0-9+.-]{1,30}:\/\/)[^\s"'<>`\\])+/gi;
/** `scott/tiger@//host`, as Oracle's programs take it. */
const ORACLE_LOGIN = /(?:^|[\s:"'])[\w$#.]+\/([^\s/@"']+)@(?=\/\/|[\w.-]+[:/]|[\w.-]+$)/g;

/** A password may hold what should have been encoded: it goes from the first colon to the last @. */
function fieldsOfAddress(address: string): Field[] {
  const rest = address.slice(address.indexOf('://') + 3);
  const authority = /^[^/?#]*/.exec(rest)?.[0] ?? '';
  const login = authority.includes('@')
    ? authority.slice(0, authority.lastIndexOf('@'))
    : (/^([^:/?#@]*:(?!\d+\/).*)@[^@]*$/.exec(rest)?.[1] ?? '');
  const colon = login.indexOf(':');
  const fields: Field[] = [];
  if (colon >= 0) fields.push(...asWrittenAndDecoded('password', login.slice(colon + 1)));
  if (login !== '') {
    fields.push(...asWrittenAndDecoded('user', colon >= 0 ? login.slice(0, colon) : login));
    const host = /^[^:/?#,]*/.exec(rest.slice(login.length + 1))?.[0] ?? '';
    // Only told as one that stays visible: random steps of a host name are no secrets.
    if (host !== '' && !looksRandom(host)) fields.push(namedField('host', host));
  }
  const path = login === '' ? rest : rest.slice(login.length + 1);
  for (const [, name = '', value = ''] of path.matchAll(/[?&#;]([^=&#;?]{1,80})=([^&#\s]+)/g)) {
    fields.push(...asWrittenAndDecoded(name, value), ...asWrittenAndDecoded(name, value.replace(/;.*$/, '')));
  }
  for (const segment of path
    .replace(/[?#].*$/, '')
    .split('/')
    .slice(1)) {
    for (const text of new Set([segment, ...segment.split(/[:;=,@]/)]))
      if (text !== '') fields.push({ tells: 'nothing', text, as: 'word' });
  }
  return fields;
}

function asWrittenAndDecoded(name: string, text: string): Field[] {
  return [...new Set([text, percentDecoded(text), percentDecoded(text.replaceAll('+', ' '))])]
    .filter((each) => each !== '')
    .map((each) => namedField(name, each));
}

/** A text that is no encoding stays as it is. */
export function percentDecoded(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text.replace(/%(?![0-9a-f]{2})/gi, '%25'));
  } catch {
    return text;
  }
}

/** Behind `Basic` stand `user:password` in base64, which the readers of encodings and settings take further. */
function authorization(text: string): Field[] {
  const fields: Field[] = [];
  for (const [, value = ''] of text.matchAll(
    /\b(?:Bearer|Basic|Token|ApiKey|Api-Key|Splunk|GenieKey|Digest)[ \t]+([\w+/=.~:!$-]{6,})/gi,
  )) {
    const isSure =
      /^(?:(?:proxy-)?authorization\s*:\s*)?\w[\w-]*[ \t]+\S+$/i.test(text.trim()) || !/^[a-z]+[.:,]?$/i.test(value);
    if (isSure) fields.push(namedField('authorization', value));
  }
  // In a header, an option of curl or a field, the scheme may be any word, and the value too.
  for (const [, value = ''] of text.matchAll(
    /\bauthorization["']?\s{0,3}[:=]\s{0,3}["']?[a-z][\w-]{2,30}[ \t]{1,3}([\w+/=.~:!$-]{6,})(?=["'`\r\n]|\s*$)/gi,
  )) {
    fields.push(namedField('authorization', value));
  }
  return fields;
}
