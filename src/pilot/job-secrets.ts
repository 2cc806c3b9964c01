import { mkdir, open, realpath, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { DecryptionFailed } from '../protocol/errors.ts';
import { isFileName, splitWireName, type WireName } from '../protocol/names.ts';
import { Plaintext } from '../protocol/plaintext.ts';
import { removeTree } from './remove-tree.ts';

/** The file in a job's working directory that holds all its secrets: a JSON object wire name -> value. */
export const SECRETS_FILE = 'panda_secrets.json';

export interface JobSecret {
  name: WireName;
  value: Plaintext;
}

/** A job's secrets as they were delivered. */
export interface JobSecrets {
  /** The JSON text, byte for byte as the server made it. */
  json: Uint8Array;
  secrets: readonly JobSecret[];
}

/** What of them is written into files: the JSON text if there is to be one, and file secrets among `secrets`. */
type SecretFiles = Pick<JobSecrets, 'secrets'> & { json: Uint8Array | undefined };

/** @throws {DecryptionFailed} when the opened bytes are not a JSON object of strings */
export function parseDelivery(json: Uint8Array): JobSecrets {
  const entries = jsonEntries(json);
  if (!entries?.every(([, value]) => typeof value === 'string')) {
    throw new DecryptionFailed('what was delivered is not a JSON object of strings');
  }
  return {
    json,
    secrets: entries.map(([name, value]) => ({ name: name as WireName, value: new Plaintext(value as string) })),
  };
}

/** Never with the parser's own message: it quotes the text. */
function jsonEntries(json: Uint8Array): [string, unknown][] | undefined {
  try {
    const parsed: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
    if (parsed === null || typeof parsed !== 'object' || Array.isArray(parsed)) return undefined;
    return Object.entries(parsed);
  } catch {
    return undefined;
  }
}

export interface PlacedSecrets {
  /** File secrets that are in the JSON file alone: their name is no plain file name or is taken, or they are not base64. */
  leftOut: number;
  /** Takes every file away again that was placed. Safe to repeat. */
  remove(): Promise<void>;
}

/**
 * Writes `panda_secrets.json` and the file secrets (mode 0600, never over anything that is there) into a job's working
 * directory; with `keep`, a directory that does not exist yet, they are in there and the working directory has symbolic
 * links to them.
 *
 * @param seenAs where the payload sees `keep`
 * @throws the error of the file system when `keep` is there already or `panda_secrets.json` cannot be written; what was placed
 * is removed then
 */
export async function placeSecrets(
  delivered: SecretFiles,
  directory: string,
  keep?: string,
  seenAs = keep,
): Promise<PlacedSecrets> {
  const placed: string[] = [];
  const realDirectory = await realpath(directory);

  const create = async (path: string, bytes: Uint8Array) => {
    const file = await open(path, 'wx', 0o600);
    try {
      placed.push(path);
      await file.writeFile(bytes);
    } finally {
      await file.close();
    }
  };
  const place = async (name: string, bytes: Uint8Array) => {
    const path = join(realDirectory, name);
    if (keep === undefined || seenAs === undefined) return await create(path, bytes);
    await symlink(join(seenAs, name), path);
    placed.push(path);
    await create(join(keep, name), bytes);
  };

  const remove = async () => {
    if (keep !== undefined) await removeTree(keep);
    // The payload may have put a link to elsewhere in the place of its directory: nothing is removed through it.
    if ((await realpath(directory).catch(() => undefined)) !== realDirectory) return;
    for (const path of placed) await removeTree(path);
  };

  if (keep !== undefined) await mkdir(keep, { mode: 0o700 });
  try {
    if (delivered.json) await place(SECRETS_FILE, delivered.json);
    let leftOut = 0;
    for (const { name: wire, value } of delivered.secrets) {
      const { name, kind } = splitWireName(wire);
      if (kind !== 'file') continue;
      const bytes = fromBase64(value);
      if (!isFileName(name) || !bytes) {
        leftOut += 1;
        continue;
      }
      await place(name, bytes).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST' && error.code !== 'ENAMETOOLONG') throw error;
        leftOut += 1;
      });
    }
    return { leftOut, remove };
  } catch (error) {
    await remove().catch(() => {});
    throw error;
  }
}

/** Line breaks are allowed, as encoders make them; anything else that is not base64 is not. */
function fromBase64(value: Plaintext): Uint8Array | undefined {
  const text = value.reveal().replaceAll(/[\r\n]/g, '');
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined;
}
