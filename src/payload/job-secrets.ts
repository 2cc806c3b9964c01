import { DecryptionFailed } from '../protocol/errors.ts';
import { isFileName, splitWireName, type WireName } from '../protocol/names.ts';
import { Plaintext } from '../protocol/plaintext.ts';
import type { MaskChoice } from '../protocol/secret-attributes.ts';
import { byName, secretsText } from '../protocol/secrets-text.ts';
import { maskChoices } from '../protocol/whole-masks.ts';

export interface JobSecret {
  name: WireName;
  value: Plaintext;
  /** The part of it that the log hides; `parts` when left out. */
  mask?: MaskChoice;
}

/** A job's secrets as they were delivered. */
export interface JobSecrets {
  /** The JSON text, in ASCII alone: it reads the same in every locale. */
  json: Uint8Array;
  secrets: readonly JobSecret[];
}

/** A file that a job is to find in its working directory. */
export interface SecretFile {
  name: string;
  bytes: Uint8Array;
}

/** Names and values as they were delivered, in the order of the text: a name that came twice is there twice. */
export type DeliveredPairs = readonly (readonly [name: string, value: string])[];

/**
 * @param maskedWhole as the job has it (`maskChoices`)
 * @throws {DecryptionFailed} when the opened bytes are not a JSON object of strings
 */
export function parseDelivery(
  bytes: Uint8Array,
  maskedWhole?: readonly number[],
): JobSecrets & { pairs: DeliveredPairs } {
  const delivered = parseJson(bytes);
  if (!delivered) throw new DecryptionFailed('the secrets that were delivered are not a JSON object of strings');
  const values = new Map(delivered.pairs);
  const choices = maskChoices([...values.keys()], maskedWhole);
  return {
    json: Buffer.from(inAscii(delivered.text), 'latin1'),
    secrets: Array.from(values, ([name, value]) => ({
      name: name as WireName,
      value: new Plaintext(value),
      mask: choices.get(name) ?? 'parts',
    })),
    pairs: delivered.pairs,
  };
}

/** Of secrets that were sealed by their owner, as `parseDelivery`: nothing of a server's says what is hidden of them. */
export function jobSecretsOf(opened: readonly { name: WireName; value: Plaintext }[]): JobSecrets {
  const secrets = opened.toSorted(byName);
  return {
    json: Buffer.from(inAscii(secretsText(secrets)), 'latin1'),
    secrets: secrets.map(({ name, value }) => ({ name, value, mask: 'parts' })),
  };
}

/** A string of JSON (RFC 8259, section 7). */
const JSON_STRING = /"(?:[^"\\]|\\.)*"/g;
/** The rest of an object of strings, each of them a quotation mark. */
const OBJECT_OF_STRINGS = /^\s*\{\s*(?:"\s*:\s*"\s*(?:,\s*"\s*:\s*"\s*)*)?\}\s*$/;

/** Never with the parser's own message: it quotes the text. */
function parseJson(bytes: Uint8Array): { text: string; pairs: [string, string][] } | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    // The parser says that it is JSON, and keeps one of two fields of a name.
    JSON.parse(text);
    if (!OBJECT_OF_STRINGS.test(text.replace(JSON_STRING, '"'))) return undefined;
    const strings = Array.from(text.matchAll(JSON_STRING), ([string]): string => JSON.parse(string));
    const pairs = Array.from({ length: strings.length / 2 }, (_, place): [string, string] => [
      strings[2 * place] ?? '',
      strings[2 * place + 1] ?? '',
    ]);
    return { text, pairs };
  } catch {
    return undefined;
  }
}

/** In JSON, other characters can only stand in strings, where each UTF-16 unit may be an escape (RFC 8259, section 7). */
function inAscii(json: string): string {
  return json.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The file secrets as files, and the names of those that cannot be: no plain file name, one of the pilot's, or not base64. */
export function filesOf(secrets: readonly JobSecret[]): { files: SecretFile[]; impossible: string[] } {
  const files: SecretFile[] = [];
  const impossible: string[] = [];
  for (const { name: wire, value } of secrets) {
    const { name, kind } = splitWireName(wire);
    if (kind !== 'file') continue;
    const bytes = fromBase64(value);
    if (bytes && isFileName(name)) files.push({ name, bytes });
    else impossible.push(name);
  }
  return { files, impossible };
}

/** Line breaks are allowed, as encoders make them; anything else that is not base64 is not. */
function fromBase64(value: Plaintext): Uint8Array | undefined {
  const text = value.reveal().replaceAll(/[\r\n]/g, '');
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined;
}
