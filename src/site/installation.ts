import { join } from 'node:path';
import { type Tell, tellNobody } from '../events/events.ts';
import { findActiveAccount } from '../identity/accounts.ts';
import { readEarlierSigningKeys, removeEarlierSigningKeys } from '../identity/earlier-signing-keys.ts';
import { type EmbeddedIssuer, openEmbeddedIssuer } from '../identity/embedded-issuer.ts';
import { findLauncher } from '../identity/launchers.ts';
import { isLoginThere } from '../identity/logins.ts';
import { openSigningKeys } from '../identity/signing-keys.ts';
import { Misconfigured } from '../protocol/errors.ts';
import type { InstallationKey } from '../sealing/installation-key.ts';
import type { Keyring } from '../sealing/keyring.ts';
import type { AskPassphrase } from '../sealing/root-keys.ts';
import { type BlobPlace, parseBlobPlace } from '../store/blob-place.ts';
import type { BlobStore } from '../store/blob-store.ts';
import { anyDataKey } from '../store/data-keys.ts';
import type { WriteTurn } from '../store/group-commit.ts';
import { anyOwnerOrAccount, findInstallationKey } from '../store/installation-keys.ts';
import { openBlobStore } from '../store/open-blob-store.ts';
import { openPostgres } from '../store/postgres.ts';
import { openReserve, type Reserve } from '../store/reserve.ts';
import { openSqlite } from '../store/sqlite.ts';
import type { OnCommit, Store } from '../store/store.ts';
import { holdFolder, isThere, readyFolder, type Waiting } from './data-folder.ts';
import { makeInstallationKey, openInstallationKey } from './installation-key.ts';
import { installationMark, newMark } from './installation-mark.ts';
import { openServerKeyring } from './keyring.ts';
import { type RootKeyPlaceList, rootKeyPlaces } from './root-key-places.ts';
import type { Settings } from './settings.ts';
import { refuseUnfinished } from './unfinished-restore.ts';

/** The database, the keys and the issuer of tokens: the server and the administration commands share them. */
export interface Installation {
  store: Store;
  issuer: EmbeddedIssuer;
  rootKeys: Keyring;
  /** Where the root keys are. */
  places: RootKeyPlaceList;
  key: InstallationKey;
  /** The data folder. */
  data: string;
  /** True where the database is the SQLite file of the data folder. */
  isSqlite: boolean;
  /** Opens the place of sandboxes, logs and outputs, once; closed with the rest. */
  blobStore(): Promise<BlobStore>;
  /** Room on the disk of the data folder for what must go on when it is full. */
  reserve: Reserve;
  /** True when this start made it. */
  isNew: boolean;
  /** Closes the database, the root keys and the place of files. */
  close(): Promise<void>;
}

/**
 * Opens the installation in the data folder. With `create` what is missing is made: the folder (0700), the database, the root
 * key (0600) and the keys that it wraps. A further server of an installation has the same database and root keys, and a data folder
 * of its own.
 *
 * @throws {Misconfigured} when there is none and `create` is false, or it cannot be used
 */
export async function openInstallation(
  settings: Pick<Settings, 'data' | 'database' | 'databaseConnections' | 'rootKeys' | 'blobs'>,
  {
    create,
    clock,
    waiting,
    alone,
    tell = tellNobody,
    ask,
    turn,
  }: {
    create: boolean;
    clock: () => number;
    waiting?: Waiting;
    /** For a server: it alone has the folder of an SQLite database, and waits so long for the one before it. */
    alone?: Waiting | undefined;
    tell?: Tell | undefined;
    /** For root keys under a passphrase that somebody types. */
    ask?: AskPassphrase | undefined;
    /** Where several processes of one server write the SQLite database. */
    turn?: WriteTurn | undefined;
  },
): Promise<Installation> {
  const { data } = settings;
  const places = rootKeyPlaces(settings);
  const mark = installationMark(data);
  const earlierKeys = join(data, 'signing-key.json');
  const wasMarked = await isThere(join(data, 'installation.json'));
  const isNew = !wasMarked && !(await isThere(earlierKeys));
  if (isNew && !create) {
    throw new Misconfigured(
      `there is no panda-secrets data in ${data}: start the server once ("panda-secrets serve"), or name its folder with --data`,
    );
  }
  await refuseUnfinished(data);
  await readyFolder(data);
  const marked = await mark.read();
  const reserve = openReserve(join(data, 'reserve'), {
    onChange: (isGivenUp) => tell({ event: isGivenUp ? 'disk.full' : 'disk.room' }),
  });
  const release = alone && settings.database === undefined ? await holdFolder(data, alone) : () => {};
  const store = await openStore(settings, { reserve, tell, waiting, turn }).catch((error) => {
    release();
    throw error;
  });
  let rootKeys: Keyring | undefined;
  let blobStore: Promise<BlobStore> | undefined;
  const close = async () => {
    await blobStore?.then(
      (opened) => opened.close(),
      () => {},
    );
    await store.close();
    await rootKeys?.close();
    release();
  };
  try {
    const found = await findInstallationKey(store.db);
    await refuseOtherDatabase(store, { found, marked, isNew });
    // Never for a database that has a key, or data keys: another root key wrapped them.
    const mayCreate = isNew && !found && !(await anyDataKey(store.db));
    const keyring = await openServerKeyring(store, { list: places.list, create: mayCreate, ask, clock, tell });
    rootKeys = keyring;
    const signingKeys = marked ? undefined : await readEarlierSigningKeys(earlierKeys);
    const key = found
      ? await openInstallationKey(store, rootKeys, found)
      : await makeInstallationKey(store, rootKeys, { signingKeys, clock });
    await keyring.follow(key);
    const opened = await openSigningKeys({ store, records: key, clock });
    if (!marked) await mark.create(newMark(key.id));
    if (signingKeys) await removeEarlierSigningKeys(earlierKeys);
    const issuer = await openEmbeddedIssuer({
      signingKeys: opened,
      clock,
      findAccount: (subject) => findActiveAccount(store, subject),
      findLauncher: (id) => findLauncher(store, id),
      isLoginThere: (login) => isLoginThere(store, login),
    });
    return {
      store,
      issuer,
      rootKeys,
      places,
      key,
      data,
      isSqlite: settings.database === undefined,
      blobStore() {
        blobStore ??= openBlobStore(blobPlace(settings), {
          installation: key,
          reserve,
          // Beside SQLite's database, whose disk this process waits for as well.
          isLocal: settings.database === undefined && settings.blobs === undefined,
          onDamage: (sha256) => tell({ event: 'file.damaged', sha256 }),
        });
        return blobStore;
      },
      reserve,
      isNew,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Where an installation's files are, by its settings. */
function blobPlace({ data, blobs }: Pick<Settings, 'data' | 'blobs'>): BlobPlace {
  return blobs === undefined ? { folder: join(data, 'blobs') } : parseBlobPlace(blobs);
}

/**
 * A database is given tags once. Otherwise somebody who writes it could take its key away, change its rows, and have them tagged
 * at the next start.
 */
async function refuseOtherDatabase(
  store: Store,
  { found, marked, isNew }: { found: { id: string } | undefined; marked: { id: string } | undefined; isNew: boolean },
): Promise<void> {
  if (marked && found?.id === marked.id) return;
  if (marked) {
    throw new Misconfigured(
      `this data folder belongs to the installation ${marked.id}, and the database ${found ? 'to another one' : 'has lost its key'}: ` +
        'it is another database, one that somebody changed, or a copy from before an update. Name the right one, or restore the ' +
        'database and the data folder of one time together',
    );
  }
  if (!found && isNew && (await anyOwnerOrAccount(store.db))) {
    throw new Misconfigured(
      'the database is in use and has no installation key: start a server of this release once with the data folder that the ' +
        'database was used with, and this one afterwards',
    );
  }
}

async function openStore(
  { data, database, databaseConnections: connections }: Pick<Settings, 'data' | 'database' | 'databaseConnections'>,
  {
    reserve,
    tell,
    waiting,
    turn,
  }: { reserve: Reserve; tell: Tell; waiting: Waiting | undefined; turn: WriteTurn | undefined },
): Promise<Store> {
  const onCommit: OnCommit = (writes, seconds) => tell({ event: 'store.committed', writes, seconds });
  if (database === undefined) return openSqlite(join(data, 'panda.db'), reserve, { onCommit, turn });
  try {
    return await openPostgres(database, {
      connections,
      waitSeconds: waiting?.seconds,
      onWaiting: waiting?.tell,
      onCommit,
    });
  } catch (error) {
    if (error instanceof Misconfigured) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new Misconfigured(`the PostgreSQL database cannot be opened (${code ?? 'no reason given'})`);
  }
}
