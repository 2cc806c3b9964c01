import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isCredentialThere } from '../files/credential.ts';
import { type PrivateFile, privateFile } from '../files/private-file.ts';
import { Misconfigured } from '../protocol/errors.ts';
import { canonicalPlace } from '../sealing/open-root-keys.ts';
import type { Settings } from './settings.ts';

const FILE_FORMAT = 1;
/** A key file that the service manager gives the server (packaging/systemd/panda-secrets.service); it goes before the file of the data folder. */
const CREDENTIAL = 'panda-secrets.root-keys';

interface Places {
  format: typeof FILE_FORMAT;
  /** URIs, none of which holds a secret. */
  places: readonly string[];
}

/** Where a server's root keys are: what its settings name, and what `panda-secrets keys add` noted in the data folder. */
export interface RootKeyPlaceList {
  /** At least one, each in the one spelling of its kind. */
  list(): Promise<readonly string[]>;
  /** Notes a place, in its one spelling, unless it is named already. */
  add(uri: string): Promise<void>;
  /** Forgets a place that was noted. @returns false for one that the settings name */
  remove(uri: string): Promise<boolean>;
}

/**
 * The list is not in the database: who can write that could name a key server of their own, and have the token of ours sent there.
 * Every function throws {Misconfigured} for a URI that names no place.
 */
export function rootKeyPlaces({ data, rootKeys }: Pick<Settings, 'data' | 'rootKeys'>): RootKeyPlaceList {
  const file = placesFile(data);
  const given = isCredentialThere(CREDENTIAL) ? [`credential:${CREDENTIAL}`] : [];
  const byDefault = given.length > 0 ? given : [pathToFileURL(join(data, 'root-keys')).href];

  async function list(): Promise<readonly string[]> {
    const noted = (await file.read())?.places;
    const named = [...(rootKeys ?? (noted ? given : byDefault)), ...(noted ?? [])];
    return [...new Set(named.map(canonicalPlace))];
  }

  return {
    list,

    async add(uri) {
      const place = canonicalPlace(uri);
      if ((await list()).includes(place)) return;
      // The place that goes without saying has to be said from now on.
      await file.create({ format: FILE_FORMAT, places: rootKeys ? [] : byDefault });
      await file.change(({ places, ...rest }) => ({ ...rest, places: [...new Set([...places, place])] }));
    },

    async remove(uri) {
      const place = canonicalPlace(uri);
      const isOther = (one: string) => canonicalPlace(one) !== place;
      if (rootKeys && !rootKeys.every(isOther)) return false;
      if (await file.read()) {
        await file.change(({ places, ...rest }) => ({ ...rest, places: places.filter(isOther) }));
      }
      return true;
    },
  };
}

/** Notes places in a data folder that has no such note. */
export async function notePlaces(data: string, places: readonly string[]): Promise<void> {
  await placesFile(data).create({ format: FILE_FORMAT, places });
}

function placesFile(data: string): PrivateFile<Places> {
  const path = join(data, 'root-key-places.json');
  return privateFile({
    path,
    name: 'list of root keys',
    ifExposed: '',
    parse: (json) => {
      const { format, places } = Object(json) as Record<string, unknown>;
      if (format === FILE_FORMAT && Array.isArray(places) && places.every((one) => typeof one === 'string')) {
        return { format, places };
      }
      throw new Misconfigured(`${path} is not a list of root keys, or was damaged; put it back from its safe copy`);
    },
  });
}
