import type { Client } from '../client/client.ts';
import { splitWireName, type WireName } from '../protocol/names.ts';
import { SEALED_REFUSALS } from '../protocol/sealed-refusal.ts';
import { isSealedValue } from '../protocol/sealed-value.ts';
import type { OwnKeys } from '../sealed/own-keys.ts';
import type { OwnSecret } from '../sealed/own-secrets.ts';
import { existingKeyFolder, ownKeys } from './own-keys.ts';

/**
 * The user's secrets, sealed ones opened.
 *
 * @param remark is told what the server says of damaged ones
 * @param keys what they are opened with; the user's on this device when left out
 */
export async function readOwnSecrets(
  client: Client,
  { names, remark }: { names?: readonly WireName[]; remark?: (text: string) => void } = {},
  keys: Promise<OwnKeys | undefined> = ownKeys(),
): Promise<OwnSecret[]> {
  const [values, own] = await Promise.all([client.getSecrets(names, remark), keys]);
  const isPlain = [...values.values()].every((value) => !isSealedValue(value.reveal()));
  const everSealed = await (await existingKeyFolder())?.everSealed();
  if (!own && isPlain && !everSealed?.size) return [...values].map(([name, value]) => ({ name, value }));
  const { openOwnSecrets } = await import('../sealed/own-secrets.ts');
  return await openOwnSecrets(values, own, everSealed);
}

/** Why the value of a secret is not shown. */
export function problemOf({ problem }: OwnSecret): string | undefined {
  if (problem === undefined) return undefined;
  if (problem === 'no-key') return 'sealed, and this device has no key: "pbook keys import" brings it';
  return `not what you sealed: ${SEALED_REFUSALS[problem]} (${problem})`;
}

/** The values that are there, and what to say of those that are not. */
export function readable(secrets: readonly OwnSecret[]): {
  values: Map<WireName, NonNullable<OwnSecret['value']>>;
  problems: string[];
} {
  const values = new Map(secrets.flatMap(({ name, value }) => (value ? [[name, value]] : [])));
  const problems = secrets.flatMap((secret) => {
    const problem = problemOf(secret);
    return problem === undefined ? [] : [`${splitWireName(secret.name).name}: ${problem}`];
  });
  return { values, problems };
}
