import { dirname } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { makeFolder } from '../files/make-folder.ts';
import { type PrivateFile, privateFile } from '../files/private-file.ts';
import { Conflict, Misconfigured } from '../protocol/errors.ts';
import { NotExact, type Read } from './exact-json.ts';

/** The time that a command waits for another one that changes the same file. */
const LOCK_SECONDS = 5;
const LOCK_POLL_MS = 20;

/** A private JSON file of the user, beside their login. */
export interface OwnFile<T> {
  path: string;
  /** @throws {Misconfigured} when others can read it, or it is damaged */
  read(): Promise<T | undefined>;
  /** Makes it and its folder; false when it was there, or another command made it at the same moment. */
  create(content: T): Promise<boolean>;
  /** Changes it, from `empty` where it is not there; one command at a time. @throws {Conflict} */
  change(empty: T, edit: (content: T) => T): Promise<T>;
}

/** @param name in messages */
export function ownFile<T>(path: string, name: string, read: Read<T>): OwnFile<T> {
  const file: PrivateFile<T> = privateFile({
    path,
    name,
    ifExposed: '',
    parse: (json) => {
      try {
        return read(json);
      } catch (error) {
        if (!(error instanceof NotExact)) throw error;
        throw new Misconfigured(`the ${name} ${path} is damaged, or of a later release`);
      }
    },
  });
  const create = async (content: T) => {
    if ((await file.read()) !== undefined) return false;
    await makeFolder(dirname(path), 0o700);
    await file.create(content);
    return JSON.stringify(await file.read()) === JSON.stringify(content);
  };
  return {
    path,
    read: () => file.read(),
    create,
    async change(empty, edit) {
      await create(empty);
      const end = performance.now() + LOCK_SECONDS * 1000;
      for (;;) {
        try {
          return await file.change(edit);
        } catch (error) {
          if (!(error instanceof Conflict) || performance.now() > end) throw error;
          await wait(LOCK_POLL_MS);
        }
      }
    },
  };
}
