import { keepSigningKeys, newSigningKeys, openSigningKeys, type SigningKeys } from '../../src/identity/signing-keys.ts';
import type { Store } from '../../src/store/store.ts';
import { TEST_KEY } from '../stores.ts';

/** The signing keys of a database, made when it has none. */
export async function signingKeysOn(store: Store, clock: () => number): Promise<SigningKeys> {
  const first = await newSigningKeys();
  await store.write((tx) => keepSigningKeys(tx, TEST_KEY, first));
  return openSigningKeys({ store, records: TEST_KEY, clock });
}
