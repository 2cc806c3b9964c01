import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { makeFolder } from '../files/make-folder.ts';
import { roleOfAccount } from '../identity/accounts.ts';
import { type EmbeddedIssuer, openEmbeddedIssuer } from '../identity/embedded-issuer.ts';
import { Misconfigured } from '../protocol/errors.ts';
import { type OpenRootKeys, openRootKeys } from '../sealing/open-root-keys.ts';
import { anyDataKey } from '../store/data-keys.ts';
import { openPostgres } from '../store/postgres.ts';
import { openSqlite } from '../store/sqlite.ts';
import type { Store } from '../store/store.ts';
import type { Settings } from './settings.ts';

/** The database, the keys and the issuer of tokens: the server and the administration commands share them. */
export interface Installation {
  store: Store;
  issuer: EmbeddedIssuer;
  /** The root keys, opened when they are first asked for. @throws {Misconfigured} when they cannot be */
  rootKeys(): Promise<OpenRootKeys>;
  signingKeyFile: string;
  blobFolder: string;
  /** True when this start made it. */
  isNew: boolean;
  /** Closes the database and the root keys. */
  close(): Promise<void>;
}

/** For a database that is not there yet. */
export interface Waiting {
  seconds: number;
  /** Told once, when it waits. */
  tell(what: string): void;
}

/**
 * Opens the installation in the data folder. With `create` what is missing is made: the folder (0700), the database, the root
 * key and the signing key (0600 each).
 *
 * @throws {Misconfigured} when there is none and `create` is false, or it cannot be used
 */
export async function openInstallation(
  settings: Pick<Settings, 'data' | 'database' | 'databaseConnections' | 'rootKeys'>,
  { create, clock, waiting }: { create: boolean; clock: () => number; waiting?: Waiting },
): Promise<Installation> {
  const { data, rootKeys: named = [rootKeysIn(data)] } = settings;
  const keyFile = join(data, 'signing-key.json');
  const isNew = !(await isThere(keyFile));
  if (isNew && !create) {
    throw new Misconfigured(
      `there is no panda-secrets data in ${data}: start the server once ("panda-secrets serve"), or name its folder with --data`,
    );
  }
  if (isNew) await makeDataFolder(data);
  await refuseUnsafeFolder(data);
  const store = await openStore(settings, waiting);
  let rootKeys: Promise<OpenRootKeys> | undefined;
  const open = (options: { create: boolean }) => {
    rootKeys ??= openRootKeys(named, options);
    return rootKeys;
  };
  const close = async () => {
    await store.close();
    await (await rootKeys?.catch(() => undefined))?.close();
  };
  try {
    // Before the signing key, whose presence says that the installation was made: a root key is never made a second time,
    // nor for a database whose data keys another one wrapped.
    if (isNew) await open({ create: !(await anyDataKey(store.db)) });
    const issuer = await openEmbeddedIssuer({
      keyFile,
      clock,
      roleOfAccount: (subject) => roleOfAccount(store, subject),
    });
    return {
      store,
      issuer,
      rootKeys: () => open({ create: false }),
      signingKeyFile: keyFile,
      blobFolder: join(data, 'blobs'),
      isNew,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Where the root keys are unless a setting names them. */
function rootKeysIn(data: string): string {
  return pathToFileURL(join(data, 'root-keys')).href;
}

/** @throws {Misconfigured} when this user may not even look */
async function isThere(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return false;
    throw new Misconfigured(`the data folder ${dirname(file)} cannot be entered (${code}): ${ANOTHER_USERS}`);
  }
}

async function makeDataFolder(path: string): Promise<void> {
  try {
    await makeFolder(path, 0o700);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Misconfigured(`the data folder ${path} cannot be made (${code}); --data names another`);
  }
}

/** Who can write the folder can put another database or key in the place of the server's, or have root write elsewhere by a link. */
async function refuseUnsafeFolder(path: string): Promise<void> {
  const self = process.geteuid?.();
  // No such owners and modes on Windows.
  if (self === undefined) return;
  const { uid, mode } = await stat(path);
  if (uid !== self && uid !== 0) {
    throw new Misconfigured(
      `the data folder ${path} belongs to another user (uid ${uid}): run this as that user, who runs the server ` +
        `("sudo -u '#${uid}' panda-secrets ..."), or name another folder with --data`,
    );
  }
  if ((mode & 0o022) !== 0) {
    const shown = (mode & 0o777).toString(8).padStart(4, '0');
    throw new Misconfigured(
      `others on this machine can write the data folder ${path} (mode ${shown}), and so replace what is in it: run ` +
        `"chmod go-w ${path}", and look whether its files are still this server's`,
    );
  }
}

const ANOTHER_USERS = 'it may be of another user, the one that runs the server';

async function openStore(
  { data, database, databaseConnections: connections }: Pick<Settings, 'data' | 'database' | 'databaseConnections'>,
  { seconds: waitSeconds, tell: onWaiting }: Partial<Waiting> = {},
): Promise<Store> {
  if (database === undefined) return openSqlite(join(data, 'panda.db'));
  try {
    return await openPostgres(database, { connections, waitSeconds, onWaiting });
  } catch (error) {
    if (error instanceof Misconfigured) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new Misconfigured(`the PostgreSQL database cannot be opened (${code ?? 'no reason given'})`);
  }
}
