import type { Client } from '../../client/client.ts';
import type { Finder } from '../../masking/finder.ts';
import { Misconfigured, Refused, Unavailable, UnknownCall } from '../../protocol/errors.ts';
import { splitWireName, type WireName } from '../../protocol/names.ts';
import type { OwnKeys } from '../../sealed/own-keys.ts';
import { readable, readOwnSecrets } from '../own-secrets.ts';
import { warn } from '../reporting.ts';

/** The values of a user's secrets, which a submission must not hold. */
export interface OwnSecrets {
  names: readonly WireName[];
  finder: Finder;
}

/**
 * Fetches the user's secrets, to look for them in what `prun` sends. Without them, or a server that has them, there is nothing to
 * look for; a server that does not tell them is warned of.
 */
export async function ownSecrets(client: Client, keys: Promise<OwnKeys | undefined>): Promise<OwnSecrets | undefined> {
  try {
    const { values: secrets, problems } = readable(await readOwnSecrets(client, {}, keys));
    for (const problem of problems) warn(`the command and the files were not searched for ${problem}`);
    if (secrets.size === 0) return undefined;
    const { createFinder } = await import('../../masking/finder.ts');
    return { names: [...secrets.keys()], finder: createFinder([...secrets].map(([name, value]) => ({ name, value }))) };
  } catch (error) {
    if (error instanceof UnknownCall) return undefined; // A server that keeps no secrets.
    if (!(error instanceof Refused || error instanceof Unavailable || error instanceof Misconfigured)) throw error;
    warn(`the command and the files were not searched for values of your secrets: ${error.message}`);
    return undefined;
  }
}

/** Of those in `found`, as their user calls them. */
export function shownNames({ names }: OwnSecrets, found: Iterable<WireName>): string {
  const wanted = new Set(found);
  return names
    .filter((name) => wanted.has(name))
    .map((name) => splitWireName(name).name)
    .join(', ');
}
