import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { recordAct } from '../../audit/audit.ts';
import { Misconfigured, NotFound } from '../../protocol/errors.ts';
import { VERSION } from '../../protocol/version.ts';
import { listUsedBlobs } from '../../store/brought-files.ts';
import type { Installation } from '../installation.ts';
import type { Settings } from '../settings.ts';
import {
  type ArchivedPlace,
  DATABASE,
  END,
  type End,
  jsonFile,
  MANIFEST,
  MARK,
  type Manifest,
  type Packed,
  tarOf,
} from './archive.ts';
import { copyDatabase, type DatabaseCopy } from './database-copy.ts';
import { refuseExisting, type Written, writeWhole } from './output.ts';
import { readRootKeyFiles } from './root-key-files.ts';

export interface BackupRequest {
  /** The file to make, which must not be there; `-` for standard output. */
  to: string;
  /** `age1...`: who may open it. */
  recipients: readonly string[];
  /** Puts the root keys in as well: with them it is all secrets in the clear, to who can open it. */
  withKeys: boolean;
}

/** A backup that was made. */
export interface Backup extends End, Written {
  installation: string;
  database: Manifest['database'];
  /** The places of root keys, when it is with them: those without a file in it stay where they are. */
  places: ArchivedPlace[];
}

/**
 * Makes an encrypted backup while servers work: the database as of one moment, and each file that it names. The database is copied inside the
 * data folder first (mode 0700); nothing but the age file leaves it.
 *
 * @throws {Misconfigured} for a recipient that is none, or root keys that are in no file
 * @throws {AlreadyExists} when the file is there
 */
export async function makeBackup(
  settings: Pick<Settings, 'data' | 'database' | 'rootKeys'>,
  { store, key, blobStore }: Pick<Installation, 'store' | 'key' | 'blobStore'>,
  clock: () => number,
  { to, recipients, withKeys }: BackupRequest,
): Promise<Backup> {
  const { data } = settings;
  const encrypter = await encrypterFor(recipients);
  await refuseExisting(to);
  const keys = withKeys ? await readRootKeyFiles(settings) : [];
  const places = keys.map(({ place, name }) => ({ place, name }));
  const madeAt = new Date(clock());
  const database = settings.database === undefined ? 'sqlite' : 'postgresql';
  const end: End = { files: 0, bytes: 0, databaseSha256: null, missing: 0 };
  const manifest: Manifest = {
    format: 1,
    release: VERSION,
    madeAt: madeAt.toISOString(),
    installation: key.id,
    database,
    withKeys,
    ...(withKeys && { places }),
  };
  const { blobs } = await blobStore();
  const release = await blobs.hold();
  let copy: DatabaseCopy | undefined;
  try {
    await recordAct(store, clock, 'operator', 'backup.make', { recipients: recipients.length, withKeys });
    if (database === 'sqlite') copy = await copyDatabase(data);
    const tar = tarOf(counted(files(), end, manifest), madeAt);
    const encrypted = await encrypter.encrypt(Readable.toWeb(Readable.from(tar)) as ReadableStream<Uint8Array>);
    const written = await writeWhole(to, encrypted);
    return { ...end, ...written, installation: key.id, database, places };
  } finally {
    await copy?.close();
    await release();
  }

  async function* files(): AsyncGenerator<Packed> {
    const mark = await readFile(join(data, MARK));
    yield { name: MARK, size: mark.length, content: [mark] };
    for (const { name, content } of keys) {
      if (name !== null && content) yield { name, size: content.length, content: [content] };
    }
    if (copy) {
      const hash = createHash('sha256');
      yield { name: DATABASE, size: copy.size, content: hashing(copy.content(), hash) };
      end.databaseSha256 = hash.digest('hex');
    }
    const db = copy?.db ?? store.db;
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

function missing(error: unknown): undefined {
  if (!(error instanceof NotFound)) throw error;
}
