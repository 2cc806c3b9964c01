import { join } from 'node:path';
import { withLockFile } from '../client/login/lock-file.ts';
import { splitWireName, type WireName } from '../protocol/names.ts';
import { type GrantedTasks, grantedTasks } from './granted-tasks.ts';
import { everSealed, type Marks, marksOf } from './marks.ts';
import { type TrustedSites, trustedSites } from './trusted-sites.ts';
import { type UserKeyFile, userKeyFile } from './user-key-file.ts';
import { type UserKeys, userKeysOf } from './user-root.ts';

/** A user's keys on this device, with what it knows: what was sealed, and which sites are trusted. */
export interface OwnKeys {
  keys: UserKeys;
  marks: Marks;
  sites: TrustedSites;
  tasks: GrantedTasks;
  /**
   * Runs `work` while no other command of this device seals: of two values that are set under one name at once, the server keeps the one
   * with the later version.
   */
  exclusively<T>(work: () => Promise<T>): Promise<T>;
}

/** Where they are kept: a folder beside the user's login, which no sandbox takes along. */
export interface KeyFolder {
  path: string;
  key: UserKeyFile;
  sites: TrustedSites;
  tasks: GrantedTasks;
  /** @param signer the public key that the marks are for */
  marks(signer: string): Marks;
  /** Also when the key is gone. */
  wasEverSealed(name: WireName): Promise<boolean>;
  /** All such names, as their user calls them. */
  everSealed(): Promise<Set<string>>;
  /** True on a device that sealed something or trusts a site, also when the key is gone. */
  isInUse(): Promise<boolean>;
}

/** @param configFolder of the user's login, which is for one server */
export function keyFolder(configFolder: string): KeyFolder {
  const path = join(configFolder, 'sealed');
  const sealedNames = () => everSealed(join(path, 'marks'));
  const sites = trustedSites(join(path, 'sites'));
  return {
    path,
    key: userKeyFile(join(path, 'key')),
    sites,
    tasks: grantedTasks(join(path, 'tasks')),
    marks: (signer) => marksOf(join(path, 'marks'), signer),
    wasEverSealed: async (name) => (await sealedNames()).has(splitWireName(name).name),
    everSealed: sealedNames,
    isInUse: async () => (await sealedNames()).size > 0 || (await sites.known()).length > 0,
  };
}

/** @param ask, unlocked as `UserKeyFile.read` @returns undefined without a key */
export async function openOwnKeys(
  folder: KeyFolder,
  ask: () => Promise<string>,
  unlocked?: Map<string, string>,
): Promise<OwnKeys | undefined> {
  const root = await folder.key.read(ask, unlocked);
  if (!root) return undefined;
  const keys = await userKeysOf(root);
  return {
    keys,
    marks: folder.marks(keys.signer.publicKey),
    sites: folder.sites,
    tasks: folder.tasks,
    exclusively: (work) => withLockFile(join(folder.path, 'sealing.lock'), work),
  };
}
