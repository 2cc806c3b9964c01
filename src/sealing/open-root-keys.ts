import { pathToFileURL } from 'node:url';
import { stampOf } from '../files/file-stamp.ts';
import { Misconfigured } from '../protocol/errors.ts';
import { credentialKeys } from './credential-keys.ts';
import { addRootKey, openKeyFile, retireRootKey } from './key-file.ts';
import { passphraseFiles } from './passphrase-file.ts';
import { pkcs11Keys } from './pkcs11.ts';
import { pathOf } from './root-key-uri.ts';
import type { RootKeyPlaces } from './root-keys.ts';
import { transitKeys } from './transit.ts';

const FILE_FORM = 'file:/PATH/TO/FILE';

const files: RootKeyPlaces = {
  form: FILE_FORM,
  canonical: (uri) => pathToFileURL(pathOf(uri, FILE_FORM)).href,
  open: async (uri, options) => openKeyFile(pathOf(uri, FILE_FORM), options),
  async add(uri) {
    const path = pathOf(uri, FILE_FORM);
    if ((await stampOf(path)) !== '') return addRootKey(path);
    const { active } = await openKeyFile(path, { create: true });
    return active.id;
  },
  retire: (uri, id) => retireRootKey(pathOf(uri, FILE_FORM), id),
  fileOf: (uri) => pathOf(uri, FILE_FORM),
  stamp: async (uri) => stampOf(pathOf(uri, FILE_FORM)),
};

/** A provider is added here and nowhere else. */
const PROVIDERS: Readonly<Record<string, RootKeyPlaces>> = {
  file: files,
  credential: credentialKeys,
  passphrase: passphraseFiles(),
  'transit+https': transitKeys,
  'transit+http': transitKeys,
  pkcs11: pkcs11Keys,
};

/** @throws {Misconfigured} {@link RootKeyPlaces.canonical} */
export function canonicalPlace(uri: string): string {
  return placesOf(uri).canonical(uri);
}

/**
 * The kind of place that a URI names: `file:/etc/panda-secrets/root-keys`.
 *
 * @throws {Misconfigured} when no provider knows its scheme. A URI may hold a PIN: no message repeats one
 */
export function placesOf(uri: string): RootKeyPlaces {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(uri)?.[1]?.toLowerCase() ?? '';
  if (Object.hasOwn(PROVIDERS, scheme)) return PROVIDERS[scheme] as RootKeyPlaces;
  const known = Object.keys(PROVIDERS).map((name) => `${name}:`);
  throw new Misconfigured(
    `root keys are named by a URI, and this release knows those that begin with ${known.join(', ')}, not ` +
      `${scheme ? `"${scheme}:"` : 'one without a scheme'}; the root keys of a file are file:/PATH/TO/FILE`,
  );
}
