import { createHash } from 'node:crypto';
import { Header } from 'tar';
import { Misconfigured } from '../../protocol/errors.ts';

// The archive of a backup: a tar (ustar) of plain files, `backup.json` first and `end.json` last, inside of an age file.

/** Its names. Everything else in an archive is refused: a name is also where a file is put at a restore. */
const NAMES =
  /^(?:backup\.json|end\.json|installation\.json|panda\.db|root-keys(?:\.(?:[2-9]|[1-9]\d))?|blobs\/([0-9a-f]{2})\/\1[0-9a-f]{62})$/;

export const MANIFEST = 'backup.json';
export const END = 'end.json';
export const DATABASE = 'panda.db';
export const MARK = 'installation.json';
/** The first file of root keys; the others have a number behind it. */
export const ROOT_KEYS = 'root-keys';
export const MAX_ROOT_KEY_FILES = 99;

/** The first file. */
export interface Manifest {
  format: 1;
  /** The release that made it, and when, ISO 8601. */
  release: string;
  madeAt: string;
  /** The installation, as `installation.json` names it. */
  installation: string;
  /** Where its database is: in the archive, or to be dumped by PostgreSQL's own means. */
  database: 'sqlite' | 'postgresql';
  /** True when the root keys are in it, as far as they are in files. */
  withKeys: boolean;
  /** With the keys: the places that the machine had. Backups of before have none. */
  places?: ArchivedPlace[];
}

/** A place of root keys, by its URI, and the file of the archive that is a copy of it; null where it is in no file. */
export interface ArchivedPlace {
  place: string;
  name: string | null;
}

/** The last file: an archive without it is not whole. */
export interface End {
  files: number;
  bytes: number;
  /** Of the database, hex. */
  databaseSha256: string | null;
  /** Files that rows of the database name and that were not there. */
  missing: number;
}

/** A file as it goes into an archive. */
export interface Packed {
  name: string;
  size: number;
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

const BLOCK_BYTES = 512;
const MODE = 0o600;

/** The bytes of a tar of these files. @throws {Error} when one has another size than it said: it was changed meanwhile */
export async function* tarOf(files: AsyncIterable<Packed>, madeAt: Date): AsyncGenerator<Uint8Array> {
  for await (const { name, size, content } of files) {
    if (!NAMES.test(name)) throw new Error(`no name of a backup: ${name}`);
    const header = new Header({ path: name, mode: MODE, size, mtime: madeAt, type: 'File', uid: 0, gid: 0 });
    header.encode();
    yield header.block as Buffer;
    let sent = 0;
    for await (const chunk of content) {
      sent += chunk.length;
      yield chunk;
    }
    if (sent !== size) throw new Error(`${name} was changed while it was read`);
    if (size % BLOCK_BYTES > 0) yield Buffer.alloc(BLOCK_BYTES - (size % BLOCK_BYTES));
  }
  yield Buffer.alloc(2 * BLOCK_BYTES);
}

/** A file of a small JSON value. */
export function jsonFile(name: string, value: unknown): Packed {
  const bytes = Buffer.from(`${JSON.stringify(value, null, 2)}\n`);
  return { name, size: bytes.length, content: [bytes] };
}

/** The names and sizes of a whole archive, with its own two files. */
export interface Contents {
  manifest: Manifest;
  end: End;
  blobs: number;
}

/** Most bytes of one of the archive's own files. */
const MAX_JSON_BYTES = 64 * 1024;

/**
 * Reads an archive to its end, and gives each file but its own two to `take`, one after another: a name that a backup does not have, one
 * that comes twice, a link or a folder is refused before anything of it is taken.
 *
 * @throws {Misconfigured} when it is no archive of this software's, was cut, or the database in it is not the one that was copied
 */
export async function readArchive(
  chunks: AsyncIterable<Uint8Array>,
  take: (name: string, content: AsyncIterable<Buffer>, manifest: Manifest) => Promise<void>,
): Promise<Contents> {
  try {
    return await readFiles(bytesOf(chunks), take);
  } catch (error) {
    throw asMisconfigured(error);
  }
}

async function readFiles(bytes: Bytes, take: Parameters<typeof readArchive>[1]): Promise<Contents> {
  const seen = new Set<string>();
  const read = { files: 0, bytes: 0, blobs: 0, databaseSha256: null as string | null };
  let manifest: Manifest | undefined;
  let end: End | undefined;
  for (;;) {
    const block = await bytes.exactly(BLOCK_BYTES);
    if (block.every((byte) => byte === 0)) break;
    const header = new Header(block);
    const { path: name = '', type, size = 0 } = header;
    if (!header.cksumValid) throw notOurs('it is damaged');
    if (type !== 'File' || !NAMES.test(name) || end) {
      throw notOurs(`it has an entry ${JSON.stringify(name.slice(0, 100))} (${type}), which no backup has`);
    }
    if (seen.has(name)) throw notOurs(`it has ${name} twice`);
    if (seen.size === 0 && name !== MANIFEST) throw notOurs(`${MANIFEST} is not its first file`);
    seen.add(name);
    if (name === MANIFEST || name === END) {
      if (size > MAX_JSON_BYTES) throw notOurs(`${name} is too large`);
      const json: unknown = JSON.parse((await bytes.exactly(size)).toString('utf8'));
      if (name === END) end = json as End;
      else manifest = checkedManifest(json);
    } else {
      const hash = createHash('sha256');
      const content = bytes.next(size, hash);
      await take(name, content, manifest as Manifest);
      for await (const _ of content);
      const digest = hash.digest('hex');
      read.files += 1;
      read.bytes += size;
      if (name === DATABASE) read.databaseSha256 = digest;
      if (name.startsWith('blobs/')) {
        read.blobs += 1;
        if (!name.endsWith(digest)) throw notOurs(`the file ${name} is not the one of that name`);
      }
    }
    await bytes.exactly((BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES);
  }
  // To the last byte: age tells only there that nothing was cut.
  await bytes.rest();
  if (!manifest || !end) throw notOurs('its last file is missing: it was cut');
  const { blobs, ...sums } = read;
  if (Object.entries(sums).some(([name, value]) => end?.[name as keyof typeof sums] !== value)) {
    throw notOurs('its files are not those that were copied');
  }
  return { manifest, end, blobs };
}

/** The bytes of a stream, by numbers. */
interface Bytes {
  exactly(count: number): Promise<Buffer>;
  /** The next ones, as they come, and into a hash. */
  next(count: number, hash: { update(chunk: Uint8Array): unknown }): AsyncGenerator<Buffer>;
  rest(): Promise<void>;
}

function bytesOf(chunks: AsyncIterable<Uint8Array>): Bytes {
  const source = chunks[Symbol.asyncIterator]();
  let left: Uint8Array = Buffer.alloc(0);

  async function some(most: number): Promise<Buffer> {
    while (left.length === 0) {
      const { value, done } = await source.next();
      if (done) throw notOurs('it ends before its end: it was cut');
      left = value;
    }
    const taken = left.subarray(0, most);
    left = left.subarray(taken.length);
    return Buffer.from(taken.buffer, taken.byteOffset, taken.length);
  }

  return {
    async exactly(count) {
      const parts: Buffer[] = [];
      for (let missing = count; missing > 0; ) {
        const part = await some(missing);
        parts.push(part);
        missing -= part.length;
      }
      return Buffer.concat(parts);
    },
    async *next(count, hash) {
      for (let missing = count; missing > 0; ) {
        const part = await some(missing);
        missing -= part.length;
        hash.update(part);
        yield part;
      }
    },
    async rest() {
      left = Buffer.alloc(0);
      while (!(await source.next()).done);
    },
  };
}

function checkedManifest(json: unknown): Manifest {
  const { format, installation, database, withKeys, places = [] } = Object(json) as Partial<Manifest>;
  if (format !== 1) throw notOurs(`its format is ${String(format).slice(0, 20)}, and this release reads 1`);
  const isWhole = typeof installation === 'string' && typeof withKeys === 'boolean' && Array.isArray(places);
  if (!isWhole || !places.every(isPlace) || (database !== 'sqlite' && database !== 'postgresql'))
    throw notOurs(`${MANIFEST} is damaged`);
  return json as Manifest;
}

function isPlace(value: unknown): value is ArchivedPlace {
  const { place, name } = Object(value) as Record<string, unknown>;
  return (
    typeof place === 'string' &&
    (name === null || (typeof name === 'string' && NAMES.test(name) && name.startsWith(ROOT_KEYS)))
  );
}

function notOurs(why: string): Misconfigured {
  return new Misconfigured(`this is not a whole backup of panda-secrets: ${why}`);
}

function asMisconfigured(error: unknown): unknown {
  return error instanceof SyntaxError ? notOurs('it is damaged') : error;
}
