import { DecryptionFailed } from '../protocol/errors.ts';
import { isFileName, splitWireName, type WireName } from '../protocol/names.ts';
import { Plaintext } from '../protocol/plaintext.ts';
import type { MaskChoice } from '../protocol/secret-attributes.ts';
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

/**
 * @param maskedWhole as the job has it (`maskChoices`)
 * @throws {DecryptionFailed} when the opened bytes are not a JSON object of strings
 */
export function parseDelivery(bytes: Uint8Array, maskedWhole?: readonly number[]): JobSecrets {
  const delivered = parseJson(bytes);
  if (!delivered?.entries.every(([, value]) => typeof value === 'string')) {
    throw new DecryptionFailed('the secrets that were delivered are not a JSON object of strings');
  }
  const choices = maskChoices(
    delivered.entries.map(([name]) => name),
    maskedWhole,
  );
  return {
    json: Buffer.from(inAscii(delivered.text), 'latin1'),
    secrets: delivered.entries.map(([name, value]) => ({
      name: name as WireName,
      value: new Plaintext(value as string),
      mask: choices.get(name) ?? 'parts',
    })),
  };
}

/** Never with the parser's own message: it quotes the text. */
function parseJson(bytes: Uint8Array): { text: string; entries: [string, unknown][] } | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    const parsed: unknown = JSON.parse(text);
    if (parsed === null || typeof parsed !== 'object' || Array.isArray(parsed)) return undefined;
    return { text, entries: Object.entries(parsed) };
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
