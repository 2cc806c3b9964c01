import { LINE_END } from './field.ts';
import { looksRandom } from './randomness.ts';

/** Shapes of text that are no secrets by themselves, under a name that tells nothing. `transformation.py` has the same. */

/** Of what a field or a word may be: words, a short number, a date, a version, an address without a password, a path. */
export function isHarmlessShape(text: string): boolean {
  const trimmed = text.trim();
  return (
    trimmed.length <= MOST_CHARS &&
    trimmed.split(LINE_END).every((line) => WORDS.test(line.trim()) || isMeasure(line.trim()))
  );
}

/** A number, a date, a version, an address: no words, and no password but a bad one. */
export function isMeasure(text: string): boolean {
  return text.length <= MOST_CHARS && MEASURES.some((shape) => shape.test(text));
}

/**
 * An address or a path: what is secret of it (a password, a part that looks random) is found inside, and the rest of it is not.
 */
export function isAddress(text: string): boolean {
  const trimmed = text.trim();
  if (trimmed.length > MOST_ADDRESS_CHARS) return false;
  return ADDRESSES.some((shape) => shape.test(trimmed)) || (PATH.test(trimmed) && isPathOfWords(trimmed));
}

/** A name such as `mysqld.sock` makes a short path look random, which is none of its steps. */
function isPathOfWords(path: string): boolean {
  return !looksRandom(path) || path.split('/').every((step) => /^[a-z._-]*\d{0,3}$/.test(step) && !looksRandom(step));
}

/** Words in the place of a secret when there is none, or that name a way to log in. */
export function isNoValue(text: string): boolean {
  return NO_VALUE.test(text.trim());
}

/** Longer text is nothing that has one shape. */
const MOST_CHARS = 512;

const NO_VALUE =
  /^(true|false|yes|no|on|off|null|nil|none|undefined|empty|default|enabled|disabled|required|optional|basic|bearer|digest|negotiate|oauth2?|ldap|kerberos|scram|md5|trust|peer|prompt|ask|stdin|env|file|keyring|rsa|dsa|ecdsa|ed25519|aes|public|private|name|value|id|\*+|x+|\.\.\.|-+|<[^<>]*>|\$\{[^{}]*\}|\$\([^()]*\)|\$\w+|\{\{[^{}]*\}\}|%\(\w+\)s)$/i;

/** Longer ones are not looked at. */
const MOST_ADDRESS_CHARS = 4096;

const ADDRESSES: readonly RegExp[] = [
  /^(?:jdbc:)?[a-z][a-z0-9+.-]*:\/\/[^\s"'<>]*$/i,
  /^[\w.+-]+@(?:[a-z\d-]+\.)+[a-z]{2,24}$/,
  /^(?:tcp:|\/\/)?(?:[a-z\d](?:[a-z\d_-]{0,61}[a-z\d])?\.)+(?:com|org|net|io|edu|gov|dev|app|cloud|internal|local|localdomain|svc|cern|[a-z]{2})(?:[:,]\d{1,5})?(?:\/[\w./-]*)?$/,
  // Names of resources.
  /^(?:arn|urn):[\w:./*@-]+$/i,
  // Actions of a service: `s3:GetObject`.
  /^[a-z][a-z\d-]{1,24}:(?:Assume|Attach|Batch|Copy|Create|Delete|Describe|Detach|Get|Head|Invoke|List|Pass|Publish|Put|Receive|Run|Send|Start|Stop|Tag|Untag|Update)[A-Z][A-Za-z]{0,60}\*?$/,
];

/** Base64 may look the same. */
const PATH = /^(?:~|\.{1,2})?(?:\/[\w.@~-]+){2,}\/?$/;

const WORDS = /^\p{P}?[\p{L}'’]+(?:[ _./,:;+-]{1,2}[\p{L}'’]+)*[.:!?,;]?$/u;

const MEASURES: readonly RegExp[] = [
  /^[^\p{L}\p{N}]*$/u,
  // Numbers with a unit, sizes, durations, percentages.
  /^[+-]?\d{1,15}(?:[.,]\d{1,9})?\s?(?:[a-z]{1,2}|[kmgtp]i?b?|bytes?|sec|min|days?|hours?|%)?$/i,
  // Versions, dates and times.
  /^v?\d+(?:\.\d+){1,3}(?:[-+.]?(?:a|b|rc|alpha|beta|dev|post|final|snapshot|release|lts|ga)[-.]?\d*)?$/i,
  /^\d{4}-\d\d?-\d\d?(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?$/,
  /^\d{1,2}:\d\d(?::\d\d)?$/,
  // Addresses: IPv4 and IPv6 with a port or a mask, host names, mail.
  /^\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5}|\/\d{1,2})?$/,
  /^\[?[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}\]?(?::\d{1,5}|\/\d{1,3})?$/i,
  /^(?:[a-z\d](?:[a-z\d_-]{0,61}[a-z\d])?\.)+[a-z]{2,24}(?::\d{1,5})?(?:\/[\p{L}_./-]*)?$/u,
  /^(?:[a-z][a-z-]*|localhost):\d{1,5}$/,
  /^[\w.+-]+@(?:[a-z\d-]+\.)+[a-z]{2,24}$/i,
  // Regions and zones of clouds.
  /^(?:af|ap|ca|cn|eu|il|me|mx|sa|us|africa|asia|australia|europe|northamerica|southamerica)(?:-[a-z]+){1,3}-?\d{1,2}(?:-?[a-z])?$/,
  // Paths and file names.
  /^(?:~|\.{1,2})?\/[\w./ @+~-]*$/,
  /^[a-z]:\\[\w\\. -]*$/i,
  /^[\w-]+\.(?:pem|key|crt|cer|p12|pfx|jks|json|ya?ml|toml|ini|conf|cfg|env|txt|log|csv|xml|properties|py|js|ts|sh|sql|db|gz|zip|tar|html?|md|root)$/i,
];
