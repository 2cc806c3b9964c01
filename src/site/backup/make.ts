import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, link, mkdir, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { recordAct } from '../../audit/audit.ts';
import { syncFolder } from '../../files/sync-folder.ts';
import { AlreadyExists, Misconfigured, NotFound } from '../../protocol/errors.ts';
import { VERSION } from '../../protocol/version.ts';
import { openBlobs } from '../../store/blobs.ts';
import { listUsedBlobs } from '../../store/brought-files.ts';
import { copySqlite, openCopy } from '../../store/sqlite-copy.ts';
import type { Database } from '../../store/store.ts';
import type { Installation } from '../installation.ts';
import { rootKeyPlaces } from '../root-key-places.ts';
import type { Settings } from '../settings.ts';
import {
  DATABASE,
  END,
  type End,
  jsonFile,
  MANIFEST,
  MARK,
  type Manifest,
  type Packed,
  ROOT_KEYS,
  tarOf,
} from './archive.ts';

export interface BackupRequest {
  /** The file to make, which must not be there; `-` for standard output. */
  to: string;
  /** `age1...`: who may open it. */
  recipients: readonly string[];
  /** Puts the root keys in as well: with them it is all secrets in the clear, to who can open it. */
  withKeys: boolean;
}

/** A backup that was made. */
export interface Backup extends End {
  installation: string;
  /** Bytes of the file, and its SHA-256, hex. */
  size: number;
  sha256: string;
  database: Manifest['database'];
}

/** A copy that a process which was killed left behind is removed by the next one. */
const ABANDONED_MILLISECONDS = 24 * 3600_000;
const COPY = /^backup-[0-9a-f-]{36}$/;

/**
 * Makes an encrypted backup while servers work: the database as of one moment, and each file that it names. The database is copied inside the
 * data folder first (mode 0700); nothing but the age file leaves it.
 *
 * @throws {Misconfigured} for a recipient that is none, or root keys that are in no file
 * @throws {AlreadyExists} when the file is there
 */
export async function makeBackup(
  settings: Pick<Settings, 'data' | 'database' | 'rootKeys'>,
  { store, key, blobFolder }: Pick<Installation, 'store' | 'key' | 'blobFolder'>,
  clock: () => number,
  { to, recipients, withKeys }: BackupRequest,
): Promise<Backup> {
  const { data } = settings;
  const encrypter = await encrypterFor(recipients);
  const keys = withKeys ? await readRootKeys(settings) : [];
  const madeAt = new Date(clock());
  const database = settings.database === undefined ? 'sqlite' : 'postgresql';
  const output = await openOutput(to);
  const blobs = await openBlobs(blobFolder);
  await removeAbandoned(data, clock());
  const copyFolder = join(data, `backup-${randomUUID()}`);
  const release = await blobs.hold();
  try {
    await mkdir(copyFolder, { mode: 0o700 });
    await recordAct(store, clock, 'operator', 'backup.make', { recipients: recipients.length, withKeys });
    const copy = join(copyFolder, DATABASE);
    if (database === 'sqlite') await copySqlite(join(data, 'panda.db'), copy);
    const named = database === 'sqlite' ? openCopy(copy) : { db: store.db, close: async () => {} };
    const end: End = { files: 0, bytes: 0, databaseSha256: null, missing: 0 };
    const manifest: Manifest = {
      format: 1,
      release: VERSION,
      madeAt: madeAt.toISOString(),
      installation: key.id,
      database,
      withKeys,
    };
    try {
      const tar = tarOf(counted(files(named.db), end, manifest), madeAt);
      const encrypted = await encrypter.encrypt(Readable.toWeb(Readable.from(tar)) as ReadableStream<Uint8Array>);
      const written = await output.write(encrypted);
      return { ...end, ...written, installation: key.id, database };
    } finally {
      await named.close();
    }

    async function* files(db: Database): AsyncGenerator<Packed> {
      const mark = await readFile(join(data, MARK));
      yield { name: MARK, size: mark.length, content: [mark] };
      for (const [place, bytes] of keys.entries()) {
        yield { name: place === 0 ? ROOT_KEYS : `${ROOT_KEYS}.${place + 1}`, size: bytes.length, content: [bytes] };
      }
      if (database === 'sqlite') {
        const hash = createHash('sha256');
        const { size } = await stat(copy);
        yield { name: DATABASE, size, content: hashing(createReadStream(copy), hash) };
        end.databaseSha256 = hash.digest('hex');
      }
      for (let after = ''; ; ) {
        const some = await listUsedBlobs(db, after, BLOBS_AT_ONCE);
        for (const sha256 of some) {
          const blob = await blobs.get(sha256).catch(missing);
          if (blob) yield { name: `blobs/${sha256.slice(0, 2)}/${sha256}`, size: blob.size, content: blob.stream };
          else end.missing += 1;
        }
        after = some.at(-1) ?? after;
        if (some.length < BLOBS_AT_ONCE) return;
      }
    }
  } catch (error) {
    await output.abandon();
    throw error;
  } finally {
    await rm(copyFolder, { recursive: true, force: true });
    await release();
  }
}

const BLOBS_AT_ONCE = 1000;

async function encrypterFor(recipients: readonly string[]) {
  const { Encrypter } = await import('age-encryption');
  const encrypter = new Encrypter();
  if (recipients.length === 0) throw new Misconfigured('a backup needs a --recipient, age1...: who may open it');
  for (const recipient of recipients) {
    try {
      encrypter.addRecipient(recipient);
    } catch {
      const isKey = /^AGE-SECRET-KEY-/i.test(recipient);
      throw new Misconfigured(
        isKey
          ? 'the recipient is a secret key: name its public one, age1... ("age-keygen -y" prints it), and make a new pair, as this one was shown'
          : `"${recipient.slice(0, 20)}..." is no recipient of age: age1..., as "age-keygen" prints it`,
      );
    }
  }
  return encrypter;
}

/** @throws {Misconfigured} for keys that are in no file */
async function readRootKeys(settings: Pick<Settings, 'data' | 'rootKeys'>): Promise<Buffer[]> {
  const paths = (await rootKeyPlaces(settings).list()).map(pathOf);
  return Promise.all(paths.map((path) => readFile(path)));
}

function pathOf(uri: string): string {
  if (/^file:\//i.test(uri)) return fileURLToPath(uri);
  throw new Misconfigured(
    `root keys of "${/^[a-z0-9+.-]*/i.exec(uri)?.[0]}:" are in no file that a backup could hold: make it without --with-keys, and keep them as their ` +
      'own documents say',
  );
}

/** The archive's own files round the others, which are counted as they pass. */
async function* counted(files: AsyncIterable<Packed>, end: End, manifest: Manifest): AsyncGenerator<Packed> {
  yield jsonFile(MANIFEST, manifest);
  for await (const file of files) {
    end.files += 1;
    end.bytes += file.size;
    yield file;
  }
  yield jsonFile(END, end);
}

async function* hashing(
  content: AsyncIterable<Buffer>,
  hash: { update(chunk: Uint8Array): unknown },
): AsyncGenerator<Buffer> {
  for await (const chunk of content) {
    hash.update(chunk);
    yield chunk;
  }
}

interface Output {
  write(content: AsyncIterable<Uint8Array>): Promise<{ size: number; sha256: string }>;
  abandon(): Promise<void>;
}

/** A file comes to its name when it is whole and on the disk. */
async function openOutput(to: string): Promise<Output> {
  const hash = createHash('sha256');
  let size = 0;
  const count = (chunk: Uint8Array) => {
    hash.update(chunk);
    size += chunk.length;
  };
  if (to === '-') {
    return {
      async write(content) {
        for await (const chunk of content) {
          count(chunk);
          if (!process.stdout.write(chunk)) await new Promise((resolve) => process.stdout.once('drain', resolve));
        }
        return { size, sha256: hash.digest('hex') };
      },
      abandon: async () => {},
    };
  }
  if (await stat(to).catch(() => undefined)) throw new AlreadyExists(`${to} is there already: name another file`);
  const partial = `${to}.partial-${randomUUID()}`;
  const file: FileHandle = await open(partial, 'wx', 0o600).catch((error) => {
    throw new Misconfigured(`${to} cannot be made (${error.code}): check its folder`);
  });
  return {
    async write(content) {
      for await (const chunk of content) {
        count(chunk);
        await file.writeFile(chunk);
      }
      await file.sync();
      await file.close();
      // A link, unlike a rename, never replaces another one's file.
      await link(partial, to).catch((error) => {
        if (error.code === 'EEXIST') throw new AlreadyExists(`${to} was made by something else meanwhile`);
        throw error;
      });
      await rm(partial);
      await syncFolder(dirname(to));
      return { size, sha256: hash.digest('hex') };
    },
    async abandon() {
      await file.close().catch(() => {});
      await rm(partial, { force: true });
    },
  };
}

async function removeAbandoned(data: string, now: number): Promise<void> {
  for (const name of await readdir(data)) {
    if (!COPY.test(name)) continue;
    const found = await stat(join(data, name)).catch(() => undefined);
    if (found && found.mtimeMs < now - ABANDONED_MILLISECONDS)
      await rm(join(data, name), { recursive: true, force: true });
  }
}

function missing(error: unknown): undefined {
  if (!(error instanceof NotFound)) throw error;
}
