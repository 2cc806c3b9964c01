import { readFile, writeFile } from 'node:fs/promises';
import { fromBase64url, toBase64url } from '../protocol/base64url.ts';
import { InvalidArgument } from '../protocol/errors.ts';
import { lock, unlock } from '../sealing/passphrase.ts';
import { object, type Readout, text } from './exact-json.ts';
import { MARKS } from './marks.ts';
import type { KeyFolder } from './own-keys.ts';
import { SITES } from './trusted-sites.ts';
import { importRoot, type Root, userKeysOf } from './user-root.ts';

/** All that a device knows, for another device of the same user. */
const BUNDLE = object({ root: text(43), trusted: SITES, sealed: MARKS });

/** Bytes of a bundle at most: marks of many secrets. */
const MAX_BUNDLE_BYTES = 256 * 1024 * 1024;

/**
 * Writes it under a passphrase, as an age file in its armour.
 *
 * @param workFactor of age's scrypt: 2 to the power of it
 * @throws {InvalidArgument} when it cannot be written, or is there
 */
export async function writeBundle(
  path: string,
  folder: KeyFolder,
  root: Root,
  passphrase: string,
  workFactor?: number,
): Promise<void> {
  const { signer } = await userKeysOf(root);
  const content: Readout<typeof BUNDLE> = {
    root: toBase64url(root.export()),
    trusted: { sites: await folder.sites.known() },
    sealed: { signer: signer.publicKey, marks: await folder.marks(signer.publicKey).list() },
  };
  const locked = await lock(JSON.stringify(content), passphrase, workFactor);
  await writeFile(path, locked, { mode: 0o600, flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    throw new InvalidArgument(`${path} cannot be written (${error.code})`);
  });
}

/**
 * Takes what another device knows.
 *
 * @param passphraseOfKey chosen for the key on this device @throws {InvalidArgument} when the file is no bundle, or the passphrase wrong
 */
export async function readBundle(
  path: string,
  folder: KeyFolder,
  ask: () => Promise<string>,
  passphraseOfKey?: () => Promise<string>,
): Promise<void> {
  const locked = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new InvalidArgument(`${path} cannot be read (${error.code})`);
  });
  if (locked.length > MAX_BUNDLE_BYTES) throw new InvalidArgument(`${path} is too large`);
  const opened = await unlock(locked, await ask());
  const bundle = parse(opened);
  const bytes = bundle && fromBase64url(bundle.root);
  if (!bundle || !bytes) throw new InvalidArgument(`${path} is no file of "pbook keys export"`);
  await folder.key.create(importRoot(bytes), await passphraseOfKey?.());
  await folder.sites.put(bundle.trusted.sites);
  await folder.marks(bundle.sealed.signer).put(bundle.sealed.marks);
}

/** Without the parser's message: it quotes the text. */
function parse(json: string): Readout<typeof BUNDLE> | undefined {
  try {
    return BUNDLE(JSON.parse(json));
  } catch {
    return undefined;
  }
}
