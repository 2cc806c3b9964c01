import { randomUUID } from 'node:crypto';
import { type FileHandle, link, open, realpath, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Conflict, Misconfigured } from '../protocol/errors.ts';
import { syncFolder } from './sync-folder.ts';

/** A file with keys in it, JSON unless it has an encoding of its own, which only the user of this process (or root) can read. */
export interface PrivateFile<T> {
  /**
   * Its content, or undefined when it is not there.
   *
   * @throws {Misconfigured} when others can read it or it cannot be read; the message says what to do
   * @throws what `parse` throws
   */
  read(): Promise<T | undefined>;
  /**
   * Makes it with mode 0600 when it is not there, whole or not at all, and on the disk when this returns. Of several
   * processes that do so at once one makes it; all read that one's afterwards.
   *
   * @throws {Misconfigured} when its folder does not let it be made
   */
  create(content: T): Promise<void>;
  /**
   * Replaces its content, whole or not at all; a link stays a link, and its user stays its user.
   *
   * @throws {Conflict} when another change is under way or was interrupted; nothing is overwritten
   * @throws {Misconfigured} when it is not there, and as {@link PrivateFile.read}
   */
  change(edit: (content: T) => T | Promise<T>): Promise<T>;
}

export interface PrivateFileOptions<T> {
  path: string;
  /** Its name in messages: `root key file`. */
  name: string;
  /** The next step, after `chmod`, when others could read it. */
  ifExposed: string;
  /** Throws when the parsed JSON is not what the file should hold. The text itself must not get into the message. */
  parse: (json: unknown) => T;
  /** For a file that is no JSON: `parse` gets its text. */
  plain?: { textOf(content: T): string };
}

/** A file of a text that is not JSON: a token, a passphrase, a PIN. */
export function privateText(
  options: Pick<PrivateFileOptions<string>, 'path' | 'name' | 'ifExposed'>,
): PrivateFile<string> {
  return privateFile<string>({ ...options, parse: String, plain: { textOf: (text) => text } });
}

export function privateFile<T>({ path, name, ifExposed, parse, plain }: PrivateFileOptions<T>): PrivateFile<T> {
  const textOf = plain?.textOf ?? ((content: T) => `${JSON.stringify(content, null, 2)}\n`);

  async function readAt(place: string): Promise<{ content: T; uid: number; gid: number } | undefined> {
    const handle = await open(place, 'r').catch((error) => {
      if (error.code === 'ENOENT') return undefined;
      throw new Misconfigured(`the ${name} ${path} cannot be read (${error.code}): check its owner and its folder`);
    });
    if (!handle) return undefined;
    try {
      const { mode, uid, gid } = await handle.stat();
      refuseIfShared(mode, uid);
      const text = await handle.readFile('utf8');
      return { content: parse(plain ? text : parseJson(text)), uid, gid };
    } finally {
      await handle.close();
    }
  }

  function refuseIfShared(mode: number, uid: number): void {
    const self = process.geteuid?.();
    // No such modes on Windows.
    if (self === undefined) return;
    if ((mode & 0o077) !== 0) {
      const shown = (mode & 0o777).toString(8).padStart(4, '0');
      throw new Misconfigured(
        `others on this machine can use the ${name} ${path} (mode ${shown}): run "chmod 600 ${path}"${ifExposed}`,
      );
    }
    if (self !== 0 && uid !== 0 && uid !== self) {
      throw new Misconfigured(`the ${name} ${path} belongs to another user (uid ${uid}); it must be this server's own`);
    }
  }

  /** The parser's own error would quote the text, which is keys: it goes nowhere. */
  function parseJson(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      throw new Misconfigured(`${path} is not a ${name}: it is not JSON`);
    }
  }

  return {
    async read() {
      return (await readAt(path))?.content;
    },

    async create(content) {
      const temporary = `${path}.${randomUUID()}`;
      const handle = await openNew(temporary);
      await fill(handle, temporary, async () => {
        await write(handle, textOf(content));
        // A link, unlike a rename, never replaces the file that another process made meanwhile.
        await link(temporary, path).catch((error) => {
          if (error.code !== 'EEXIST') throw error;
        });
        await unlink(temporary);
      });
      await syncFolder(dirname(path));
    },

    async change(edit) {
      const target = await realpath(path).catch(() => path);
      const next = `${target}.new`;
      // Making this file, which must not be there, is also the lock: of two changes at once one would be lost.
      const handle = await openNew(next);
      const changed = await fill(handle, next, async () => {
        const found = await readAt(target);
        if (!found) throw new Misconfigured(`there is no ${name} at ${path}`);
        // Root changes it for the server, which must be able to read it afterwards.
        if (process.geteuid?.() !== found.uid) await handle.chown(found.uid, found.gid);
        const content = await edit(found.content);
        await write(handle, textOf(content));
        await rename(next, target);
        return content;
      });
      await syncFolder(dirname(target));
      return changed;
    },
  };

  function openNew(temporary: string): Promise<FileHandle> {
    return open(temporary, 'wx', 0o600).catch((error) => {
      if (error.code === 'EEXIST') {
        throw new Conflict(
          `another change of ${path} is under way, or was interrupted: if none is, remove ${temporary}`,
        );
      }
      throw new Misconfigured(`the ${name} ${path} cannot be written (${error.code}): check its folder`);
    });
  }
}

/** Runs `work`, which fills the new file at `temporary` and puts it in its place; it is gone when that fails. */
async function fill<R>(handle: FileHandle, temporary: string, work: () => Promise<R>): Promise<R> {
  try {
    return await work();
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  } finally {
    await handle.close();
  }
}

async function write(handle: FileHandle, text: string): Promise<void> {
  await handle.writeFile(text);
  await handle.sync();
}
