import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { DamagedFile, DecryptionFailed, InvalidArgument, NotFound, UnknownFormat } from '../protocol/errors.ts';
import { isFullDisk } from '../protocol/full-disk.ts';
import { NO_RESERVE, type Reserve } from './reserve.ts';

export interface Blob {
  /** SHA-256 of the content, lower-case hex: its address. */
  sha256: string;
  /** Bytes. */
  size: number;
}

/** A file that arrives is written to all the time: a connection that is silent for long is closed. */
const ABANDONED_MILLISECONDS = 3600_000;

/** The mark of somebody who reads all blobs, renewed while it lives. */
const HELD = 'held-';

/** Sandboxes, logs and outputs: files that are found by their content and kept once. */
export interface Blobs {
  /**
   * Keeps what `content` brings; durable when it answers. `inspect` sees every chunk as it passes.
   *
   * @throws {InvalidArgument} when it has more than `maxBytes`; nothing is kept then
   * @throws {NoSpace} while the disk is full, also when another write finds it so on the way
   */
  put(content: Readable, options: { maxBytes: number; inspect?: (chunk: Buffer) => void }): Promise<Blob>;
  /**
   * Opens a blob. The stream fails before its last bytes when they are not the ones that were kept: who reads it never takes a
   * changed one for whole.
   *
   * @throws {NotFound} @throws {DamagedFile} from the stream
   */
  get(sha256: string): Promise<{ size: number; stream: Readable }>;
  /** Every blob that is kept, in no order. */
  list(): AsyncIterable<Blob & { keptAt: number }>;
  /**
   * Deletes a blob that nobody kept, or kept again, since `before` (milliseconds since 1970 UTC): so that one whose row is about
   * to be written stays. A reader that has opened it reads it to its end.
   *
   * @returns true when it is gone
   */
  delete(sha256: string, before: number): Promise<boolean>;
  /** From now on no server deletes a blob, until the returned function is called or the process has ended. */
  hold(): Promise<() => Promise<void>>;
  /** Removes what servers that were killed left half. */
  removeAbandoned(): Promise<void>;
}

/** The mark of {@link Blobs.hold}: how long it counts after it was last renewed. */
export const HELD_MILLISECONDS = 600_000;

/** Told of a blob that is not what was kept. */
export type OnDamage = (sha256: string) => void;

/** An address of a blob. */
export const ADDRESS = /^[0-9a-f]{64}$/;

/** Blobs in a folder (0700), each at the first two digits of its address / its address. */
export async function openBlobs(
  folder: string,
  reserve: Reserve = NO_RESERVE,
  onDamage: OnDamage = () => {},
): Promise<Blobs> {
  const incoming = join(folder, 'incoming');
  await mkdir(incoming, { recursive: true, mode: 0o700 });
  const pathOf = (sha256: string) => join(folder, sha256.slice(0, 2), sha256);

  return {
    async put(content, { maxBytes, inspect }) {
      reserve.refuseGrowth();
      const temporary = join(incoming, randomUUID());
      const read = { hash: createHash('sha256'), size: 0 };
      const file = createWriteStream(temporary, { mode: 0o600, flush: true });
      try {
        await pipeline(
          content,
          async function* (chunks: AsyncIterable<Buffer>) {
            for await (const chunk of measured(chunks, { maxBytes, inspect }, read)) {
              // The room that was just given up is for other writes.
              reserve.refuseGrowth();
              yield chunk;
            }
          },
          file,
        );
        const sha256 = read.hash.digest('hex');
        const path = pathOf(sha256);
        await mkdir(join(folder, sha256.slice(0, 2)), { recursive: true, mode: 0o700 });
        await rename(temporary, path);
        await syncFolder(join(folder, sha256.slice(0, 2)));
        return { sha256, size: read.size };
      } catch (error) {
        if (isFullDisk(error)) reserve.giveUp();
        // One that is still being opened would come after its removal.
        if (!file.closed) await new Promise((resolve) => file.once('close', resolve));
        await rm(temporary, { force: true });
        throw error;
      }
    },

    async get(sha256) {
      if (!ADDRESS.test(sha256)) throw new NotFound('no such file');
      const path = pathOf(sha256);
      const found = await stat(path).catch(() => undefined);
      if (!found) throw new NotFound('the file is no longer kept on this server');
      return { size: found.size, stream: checkedStream(sha256, createReadStream(path), { onDamage }) };
    },

    async *list() {
      for (const group of await readdir(folder)) {
        if (!/^[0-9a-f]{2}$/.test(group)) continue;
        for (const sha256 of await readdir(join(folder, group))) {
          const found = await stat(pathOf(sha256)).catch(() => undefined);
          if (found) yield { sha256, size: found.size, keptAt: found.mtimeMs };
        }
      }
    },

    async delete(sha256, before) {
      if (!ADDRESS.test(sha256)) return true;
      const path = pathOf(sha256);
      const found = await stat(path).catch(() => undefined);
      if (!found || found.mtimeMs >= before) return !found;
      if (await isHeld()) return false;
      // Out of the way first: between the look and the removal it may have been kept again.
      const removed = join(incoming, randomUUID());
      await rename(path, removed);
      const isOld = (await stat(removed)).mtimeMs < before;
      if (isOld) await rm(removed, { force: true });
      else await rename(removed, path);
      return isOld;
    },

    async hold() {
      const mark = join(incoming, `${HELD}${randomUUID()}`);
      const renew = () => writeFile(mark, '', { mode: 0o600 });
      await renew();
      const timer = setInterval(() => renew().catch(() => {}), HELD_MILLISECONDS / 10).unref();
      return async () => {
        clearInterval(timer);
        await rm(mark, { force: true });
      };
    },

    removeAbandoned: () => removeOlder(incoming, Date.now() - ABANDONED_MILLISECONDS),
  };

  async function isHeld(): Promise<boolean> {
    for (const name of await readdir(incoming)) {
      if (!name.startsWith(HELD)) continue;
      const found = await stat(join(incoming, name)).catch(() => undefined);
      if (found && found.mtimeMs > Date.now() - HELD_MILLISECONDS) return true;
    }
    return false;
  }
}

/** What arrives, into a hash, and counted. @throws {InvalidArgument} above `maxBytes` */
export async function* measured(
  content: AsyncIterable<Buffer>,
  { maxBytes, inspect }: { maxBytes: number; inspect?: ((chunk: Buffer) => void) | undefined },
  read: { hash: { update(chunk: Uint8Array): unknown }; size: number },
): AsyncGenerator<Buffer> {
  for await (const chunk of content) {
    read.size += chunk.length;
    if (read.size > maxBytes) throw new InvalidArgument(`the file is larger than the ${maxBytes} bytes allowed`);
    read.hash.update(chunk);
    inspect?.(chunk);
    yield chunk;
  }
}

/**
 * What `source` brings when it has that digest. Otherwise the stream fails before its last chunk.
 *
 * @param options.open makes the content of what the source brings @param options.onDamage told then
 */
export function checkedStream(
  sha256: string,
  source: Readable,
  { open = (raw) => raw, onDamage }: { open?: (raw: Readable) => AsyncIterable<Buffer>; onDamage: OnDamage },
): Readable {
  async function* checked() {
    const hash = createHash('sha256');
    let held: Buffer | undefined;
    try {
      for await (const chunk of open(source)) {
        hash.update(chunk);
        if (held) yield held;
        held = chunk;
      }
      if (hash.digest('hex') !== sha256) throw new DamagedFile(sha256);
    } catch (error) {
      const isDamage = [DamagedFile, DecryptionFailed, UnknownFormat].some((kind) => error instanceof kind);
      if (!isDamage) throw error;
      onDamage(sha256);
      throw new DamagedFile(sha256);
    }
    if (held) yield held;
  }
  const stream = Readable.from(checked(), { objectMode: false });
  // One that was never read has not begun with its content.
  stream.once('close', () => source.destroy());
  return stream;
}

/** Another server on the same folder may be writing there. */
async function removeOlder(folder: string, time: number): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined);
    if (found && found.mtimeMs < time) await rm(path, { force: true });
  }
}

/** A rename is durable when the folder that holds it is. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
