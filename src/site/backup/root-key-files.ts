import { readFile } from 'node:fs/promises';
import { Misconfigured } from '../../protocol/errors.ts';
import { placesOf } from '../../sealing/open-root-keys.ts';
import { rootKeyPlaces } from '../root-key-places.ts';
import type { Settings } from '../settings.ts';
import { type ArchivedPlace, MAX_ROOT_KEY_FILES, ROOT_KEYS } from './archive.ts';

/** A place of root keys, and its file as it goes into a backup. */
export interface PlaceFile extends ArchivedPlace {
  content?: Buffer;
}

/**
 * The places of root keys that this machine has, those that `panda-secrets keys add` noted too, each with its file where it is in one.
 *
 * @throws {Misconfigured} when none of them is in a file, or there are too many
 */
export async function readRootKeyFiles(settings: Pick<Settings, 'data' | 'rootKeys'>): Promise<PlaceFile[]> {
  const found: PlaceFile[] = [];
  let files = 0;
  for (const place of await rootKeyPlaces(settings).list()) {
    const path = placesOf(place).fileOf(place);
    if (path === undefined) {
      found.push({ place, name: null });
      continue;
    }
    files += 1;
    const name = files === 1 ? ROOT_KEYS : `${ROOT_KEYS}.${files}`;
    const content = await readFile(path).catch((error) => {
      throw new Misconfigured(`the root keys ${path} cannot be read (${error.code})`);
    });
    found.push({ place, name, content });
  }
  if (files > MAX_ROOT_KEY_FILES)
    throw new Misconfigured(`a backup holds ${MAX_ROOT_KEY_FILES} files of root keys at most`);
  if (files > 0) return found;
  throw new Misconfigured(
    `root keys of "${found.map(({ place }) => place.slice(0, place.indexOf(':') + 1)).join(', ')}" are in no file that a backup could hold: ` +
      'make it without --with-keys, and keep them as their own documents say',
  );
}
