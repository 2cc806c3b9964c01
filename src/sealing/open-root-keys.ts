import { fileURLToPath } from 'node:url';
import { Misconfigured } from '../protocol/errors.ts';
import { openKeyFile } from './key-file.ts';
import { type RootKeyProvider, type RootKeys, rootKeysOf } from './root-keys.ts';

/** Opens the root keys that a URI of its scheme names. `create` allows it to make the first one where there is none. */
type OpenProvider = (uri: string, options: { create: boolean }) => Promise<RootKeyProvider>;

/** A provider is added here and nowhere else. */
const PROVIDERS: Readonly<Record<string, OpenProvider>> = {
  file: (uri, options) => openKeyFile(pathOf(uri), options),
};

/** Root keys that somebody closes when they are used no more. */
export interface OpenRootKeys extends RootKeys {
  close(): Promise<void>;
}

/**
 * Opens root keys by their URIs: `file:/etc/panda-secrets/root-keys`. The active key of the first wraps what is new; the others
 * open what they wrapped.
 *
 * @param options `create`: the first may be made when it is missing
 * @throws {Misconfigured} when no provider knows a scheme, or a provider cannot be opened. A URI may hold a PIN: no message
 * repeats one
 */
export async function openRootKeys(uris: readonly string[], { create }: { create: boolean }): Promise<OpenRootKeys> {
  const opened: RootKeyProvider[] = [];
  const close = async () => {
    for (const provider of opened) await provider.close();
  };
  try {
    for (const [index, uri] of uris.entries()) {
      opened.push(await providerOf(uri)(uri, { create: create && index === 0 }));
    }
    const [first] = opened;
    if (!first) throw new Misconfigured('no root keys are named: at least one is needed');
    const keys = opened.flatMap((provider) => provider.keys);
    refuseTwice(keys.map(({ id }) => id));
    return { ...rootKeysOf(keys, first.active.id), close };
  } catch (error) {
    await close();
    throw error;
  }
}

function providerOf(uri: string): OpenProvider {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(uri)?.[1]?.toLowerCase() ?? '';
  if (Object.hasOwn(PROVIDERS, scheme)) return PROVIDERS[scheme] as OpenProvider;
  const known = Object.keys(PROVIDERS).map((name) => `${name}:`);
  throw new Misconfigured(
    `root keys are named by a URI, and this release knows those that begin with ${known.join(', ')}, not ` +
      `${scheme ? `"${scheme}:"` : 'one without a scheme'}; the root keys of a file are file:/PATH/TO/FILE`,
  );
}

/** Two keys of one id: nobody could say which of them wrapped what names it. */
function refuseTwice(ids: readonly string[]): void {
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined) throw new Misconfigured(`the root key "${twice}" is in two of the places that are named`);
}

/** RFC 8089. */
function pathOf(uri: string): string {
  try {
    const url = new URL(uri);
    if (url.search === '' && url.hash === '' && /^file:\//i.test(uri)) return fileURLToPath(url);
  } catch {
    // Another host, or an escape that is none: the same words as below.
  }
  throw new Misconfigured(
    'the root keys of a file are named by its whole path: file:/PATH/TO/FILE, where %3F is "?", %23 is "#" and %25 is "%"',
  );
}
