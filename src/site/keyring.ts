import type { InstallationKey } from '../sealing/installation-key.ts';
import { type Keyring, type KeyringOptions, openKeyring } from '../sealing/keyring.ts';
import { findInstallationKey } from '../store/installation-keys.ts';
import type { Store } from '../store/store.ts';
import { isKeyOf } from './installation-key.ts';

/** The keyring of a server: the active root key is the one that wraps the key of the installation. */
interface ServerKeyring extends Keyring {
  /** From now on each refresh also finds out which key is the active one. */
  follow(key: InstallationKey): Promise<void>;
}

/** @throws as {@link openKeyring} */
export async function openServerKeyring(store: Store, options: KeyringOptions): Promise<ServerKeyring> {
  const keyring = await openKeyring(options);
  let own: InstallationKey | undefined;

  async function findActive(key: InstallationKey): Promise<void> {
    const found = await findInstallationKey(store.db);
    if (found && (await isKeyOf(key, keyring, found))) keyring.use(found.root_key_id);
  }

  const { refresh } = keyring;
  return Object.assign(keyring, {
    async refresh() {
      await refresh();
      if (own) await findActive(own);
    },
    async follow(key: InstallationKey) {
      await findActive(key);
      own = key;
    },
  });
}
