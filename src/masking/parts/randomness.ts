/**
 * Tells a token, a key or a generated password from words, names and identifiers, without a dictionary: by the pairs of letters that
 * it is made of. `transformation.py` has the same rule for the jobs of PanDA's own pilots; a test holds the two together.
 */

/** Shorter text is never taken for random: too many words and short identifiers look like it. */
const MIN_RANDOM_CHARS = 8;
/** A beginning tells as much as the whole. */
const SAMPLE_CHARS = 256;
/** Digits alone are a number: shorter ones are counts, times and ids. */
const MIN_RANDOM_DIGITS = 16;

/**
 * True when `text` looks as if it was made by chance. Of several words one is enough, but a key may be written in groups of one
 * length. Signs that repeat do not count. The thresholds were chosen on the values in `test/vectors/masking/parts/` and on the words of source code and documents.
 */
export function looksRandom(text: string): boolean {
  if (text.length < MIN_RANDOM_CHARS) return false;
  const trimmed = text.trim();
  const groups = /\s/.test(trimmed) ? trimmed.split(/\s+/) : [trimmed];
  if (groups.length > 1 && new Set(groups.map((group) => group.length)).size > 2) return groups.some(looksRandom);
  const packed = groups.join('').replace(/([^\p{L}\p{N}])\1+/gu, '$1');
  if (packed.length < MIN_RANDOM_CHARS) return false;
  const sample = packed.slice(0, SAMPLE_CHARS);
  if (HEX.test(sample)) return true;
  if (IDENTIFIER.test(sample)) return false;
  if (!/[A-Za-z]/.test(sample)) return /^\d+$/.test(sample) && packed.length >= MIN_RANDOM_DIGITS;
  return mixesLettersAndDigits(sample) || surpriseOf(sample) >= thresholdOf(sample);
}

/** Digits and letters up to f: as long as a digest or a key, or a UUID. */
const HEX = /^(0x)?(?=[a-f]*\d)(?=\d*[a-f])([0-9a-f]{16,}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i;

/** Three words or more in one, each with a capital, with a short number behind one: `PowhegPythia8EvtGen`. */
const IDENTIFIER = /^[A-Za-z][a-z]{2,}\d{0,2}(?:[A-Z][a-z]{2,}\d{0,2}){2,}$/;

/** True when letters and digits take turns in one of its words: in `hunter2hunter2`, and not in `python3` or `x86`. */
function mixesLettersAndDigits(text: string): boolean {
  let length = 0;
  let turns = 0;
  let before = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    const kind = isDigit(code) ? 1 : letterOf(code) >= 0 ? 2 : 0;
    length = kind === 0 ? 0 : length + 1;
    if (kind === 0) turns = 0;
    else if (kind !== before) turns += 1;
    if (length >= MIN_RANDOM_CHARS && turns > 3) return true;
    before = kind;
  }
  return false;
}

/**
 * Words have 3.4 bits for a character on average, random letters 6.4: the longer a text, the nearer it comes to these. Letters alone
 * have to be less likely: `download` and `shutdown` are words.
 */
function thresholdOf(text: string): number {
  return /\d|[a-z][A-Z]/.test(text) || /[!#$%^&*+?~]/.test(text) ? 4.1 + 8 / text.length : 4.3 + 10.4 / text.length;
}

/** The improbability of the characters after each other, in bits for each. */
function surpriseOf(text: string): number {
  let bits = 0;
  let before = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    bits += bitsOf(code, before);
    before = code;
  }
  return bits / text.length;
}

function bitsOf(code: number, before: number): number {
  const letter = letterOf(code);
  const letterBefore = letterOf(before);
  if (letter >= 0) {
    if (letterBefore < 0) return isDigit(before) ? 5 : 4;
    const startsWord = before >= 97 && code < 97;
    return startsWord ? 5 : LETTER_PAIRS.charCodeAt(letterBefore * 26 + letter) - 48;
  }
  if (isDigit(code)) return letterBefore >= 0 ? 4.5 : 3.3;
  const joins = (letterBefore >= 0 || isDigit(before)) && '-_./:@=,'.includes(String.fromCharCode(code));
  return joins ? 2.5 : 6;
}

/** From 0 for a and A; -1 for what is no letter of the 26. */
function letterOf(code: number): number {
  const lower = code | 32;
  return code < 128 && lower >= 97 && lower <= 122 ? lower - 97 : -1;
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

/**
 * By two letters: the bits of the second one when the first is known, up to 9, from English, French and German word lists
 * (Debian's wamerican, wfrench, wngerman) and the identifiers of Python's standard library. A row is a first letter.
 */
const LETTER_PAIRS =
  '94459657397353958333467878359828683783883993564989783969499249459939947459997947861868289577489448487979' +
  '57546667598452869234677685389933683993983993544999784899195549947549934549997937992889398565399454596968' +
  '56453559998452467534969996299939994999992999992989993798289739748548954459796937762779397377479955589948' +
  '24882889398747339957499979475336384967855898336789876655765759744255834436687839993694399499349355499979' +
  '99999999999999999999099999366527683966553795445789784849387539766755883259797938792885299688489444597966' +
  '55554558498443759334979798399919992999993996897999992796289529868538955869998948483785398789539973578658' +
  '3545376749744444943569689747992998298689489984395975';
