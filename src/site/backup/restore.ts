import { createReadStream, createWriteStream } from 'node:fs';
import { lstat, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pathToFileURL } from 'node:url';
import { makeFolder } from '../../files/make-folder.ts';
import { syncFolder } from '../../files/sync-folder.ts';
import { Conflict, Misconfigured } from '../../protocol/errors.ts';
import { isUnderPassphrase } from '../../sealing/root-key-uri.ts';
import { openBlobs } from '../../store/blobs.ts';
import { notePlaces } from '../root-key-places.ts';
import type { Settings } from '../settings.ts';
import { UNFINISHED } from '../unfinished-restore.ts';
import { type Contents, DATABASE, MARK, type Manifest, ROOT_KEYS, readArchive } from './archive.ts';

/**
 * Reads a whole backup and keeps nothing of it.
 *
 * @param file `-` for standard input
 * @throws {Misconfigured} when it does not open, was changed or cut, or is no backup
 */
export async function verifyBackup(file: string, identityFile: string): Promise<Contents> {
  return await readArchive(await opened(file, identityFile), async (_name, content) => {
    for await (const _ of content);
  });
}

/**
 * Puts a backup into an empty data folder, which is made when it is not there. Until everything is there and on the disk, no server starts in
 * it; one that was cut short is begun anew in an empty folder. Root keys that are in it come to the data folder, which notes them unless the
 * settings name places.
 *
 * @throws {Conflict} when the folder is not empty @throws {Misconfigured} as {@link verifyBackup}
 */
export async function restoreBackup(
  { data, rootKeys }: Pick<Settings, 'data' | 'rootKeys'>,
  file: string,
  identityFile: string,
): Promise<Contents> {
  const chunks = await opened(file, identityFile);
  await makeFolder(data, 0o700);
  await refuseOthersFolder(data);
  const there = await readdir(data);
  if (there.length > 0) {
    const unfinished = there.includes(UNFINISHED) ? ': a restore there was not finished, so empty it' : '';
    throw new Conflict(`${data} is not empty${unfinished || ': a backup is restored into an empty folder'}`);
  }
  await writeFile(join(data, UNFINISHED), '', { mode: 0o600, flag: 'wx', flush: true });
  await syncFolder(data);
  const blobs = await openBlobs(join(data, 'blobs'));
  const contents = await readArchive(chunks, async (name, content) => {
    if (name.startsWith('blobs/')) {
      await blobs.put(Readable.from(content), { maxBytes: Number.MAX_SAFE_INTEGER });
      return;
    }
    // One of the few names that an archive may have: nothing of it says where else a file would go.
    if (name !== DATABASE && name !== MARK && !name.startsWith(ROOT_KEYS)) throw new Error(`no place for ${name}`);
    await pipeline(content, createWriteStream(join(data, name), { flags: 'wx', mode: 0o600, flush: true }));
  });
  if (rootKeys === undefined) await noteRootKeys(data, contents.manifest);
  await syncFolder(data);
  await rm(join(data, UNFINISHED));
  await syncFolder(data);
  return contents;
}

/**
 * The data folder notes where the files of root keys are, unless one file is all: then `root-keys` goes without saying. Nothing that an archive says of other places is
 * believed: anybody can make one, and it could name a program to load, or a key server to be sent a token.
 */
async function noteRootKeys(data: string, { places = [] }: Manifest): Promise<void> {
  const names = places.flatMap(({ place, name }) => (name === null || isUnderPassphrase(place) ? [] : name));
  if (names.length === 0 || (places.length === 1 && names[0] === ROOT_KEYS)) return;
  await notePlaces(
    data,
    names.map((name) => pathToFileURL(join(data, name)).href),
  );
}

async function opened(file: string, identityFile: string): Promise<AsyncIterable<Uint8Array>> {
  const { Decrypter } = await import('age-encryption');
  const decrypter = new Decrypter();
  for (const identity of await readIdentities(identityFile)) {
    try {
      decrypter.addIdentity(identity);
    } catch {
      throw new Misconfigured(`${identityFile} has a line that is no identity of age (AGE-SECRET-KEY-...)`);
    }
  }
  const input = file === '-' ? process.stdin : createReadStream(file);
  if (file !== '-') {
    await new Promise((resolve, reject) =>
      input.once('readable', resolve).once('error', reject).once('end', resolve),
    ).catch((error) => {
      throw new Misconfigured(`${file} cannot be read (${error.code})`);
    });
  }
  try {
    const decrypted = await decrypter.decrypt(Readable.toWeb(input) as ReadableStream<Uint8Array>);
    return unchanged(decrypted);
  } catch (error) {
    throw new Misconfigured(`the backup does not open: ${(error as Error).message}`);
  }
}

/** age shows at each part of a file that it was changed, and at its end that it was cut. */
async function* unchanged(decrypted: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* decrypted;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Misconfigured(`the backup does not open: ${code ?? 'it was changed or cut'}`);
  }
}

/** As `age-keygen` writes them: one a line, with comments. */
async function readIdentities(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch((error) => {
    throw new Misconfigured(`the identity file ${file} cannot be read (${error.code})`);
  });
  const lines = text.split('\n').map((line) => line.trim());
  const identities = lines.filter((line) => line !== '' && !line.startsWith('#'));
  if (identities.length === 0)
    throw new Misconfigured(`${file} has no identity of age: "age-keygen -o FILE" makes one`);
  return identities;
}

/** A folder that another user could look into while it is filled. */
async function refuseOthersFolder(data: string): Promise<void> {
  const self = process.geteuid?.();
  if (self === undefined) return;
  const { uid, mode } = await lstat(data);
  if (uid === self && (mode & 0o077) === 0) return;
  const shown = (mode & 0o777).toString(8).padStart(4, '0');
  throw new Misconfigured(
    `${data} must be this user's own and closed to others (it is of uid ${uid}, mode ${shown}): run "chmod 700 ${data}", or name a folder that is not there`,
  );
}
