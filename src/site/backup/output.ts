import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, link, open, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder } from '../../files/sync-folder.ts';
import { AlreadyExists, Misconfigured } from '../../protocol/errors.ts';

/** Bytes that were written, and their SHA-256, hex. */
export interface Written {
  size: number;
  sha256: string;
}

/** @throws {AlreadyExists} for a file that is there; `-` is standard output */
export async function refuseExisting(to: string): Promise<void> {
  if (to !== '-' && (await stat(to).catch(() => undefined))) {
    throw new AlreadyExists(`${to} is there already: name another file`);
  }
}

/**
 * Writes a file, which comes to its name when it is whole and on the disk, or to standard output (`-`).
 *
 * @throws {AlreadyExists} when something else made the file meanwhile
 * @throws {Misconfigured} when it cannot be written, or who reads standard output ends before it has all
 */
export async function writeWhole(to: string, content: AsyncIterable<Uint8Array>): Promise<Written> {
  const hash = createHash('sha256');
  let size = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of content) {
      hash.update(chunk);
      size += chunk.length;
      yield chunk;
    }
  }
  await (to === '-' ? writeOut(counted()) : writeFile(to, counted()));
  return { size, sha256: hash.digest('hex') };
}

async function writeOut(content: AsyncIterable<Uint8Array>): Promise<void> {
  const { stdout } = process;
  // Who listens says what has become of the result: a part of a backup is none, and ends no command well.
  const listens = () => {};
  stdout.on('error', listens);
  for await (const chunk of content) {
    await new Promise<void>((resolve, reject) => {
      stdout.write(chunk, (error) => (error ? reject(notTaken(error)) : resolve()));
    });
  }
  stdout.off('error', listens);
}

function notTaken(error: NodeJS.ErrnoException): Misconfigured {
  const why =
    error.code === 'EPIPE' ? 'what reads standard output ended' : `standard output has an error, ${error.code}`;
  return new Misconfigured(`the backup is not whole: ${why} before it had all of it`);
}

async function writeFile(to: string, content: AsyncIterable<Uint8Array>): Promise<void> {
  const partial = `${to}.partial-${randomUUID()}`;
  const file: FileHandle = await open(partial, 'wx', 0o600).catch((error) => {
    throw new Misconfigured(`${to} cannot be made (${error.code}): check its folder`);
  });
  try {
    for await (const chunk of content) await file.writeFile(chunk);
    await file.sync();
    // A link, unlike a rename, never replaces another one's file.
    await link(partial, to).catch((error) => {
      if (error.code === 'EEXIST') throw new AlreadyExists(`${to} was made by something else meanwhile`);
      throw error;
    });
  } finally {
    await file.close();
    await rm(partial, { force: true });
  }
  await syncFolder(dirname(to));
}
