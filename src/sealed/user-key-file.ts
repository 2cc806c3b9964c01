import { fromBase64url, toBase64url } from '../protocol/base64url.ts';
import { AlreadyExists, InvalidArgument } from '../protocol/errors.ts';
import { lock, unlock } from '../sealing/passphrase.ts';
import { object, orNull, text } from './exact-json.ts';
import { type OwnFile, ownFile } from './own-file.ts';
import { importRoot, type Root } from './user-root.ts';

/** The type that the file names, so that no sandbox takes it along (`client/private-files.ts`). */
const KIND = 'panda-secrets user key';

const CONTENT = object({
  kind: text(64, new RegExp(`^${KIND}$`)),
  /** base64url; null where it is under a passphrase. */
  root: orNull(text(43)),
  /** An age file for a passphrase, in its armour; null where there is none. */
  locked: orNull(text(4096)),
});

/** The file that holds a user's root. */
export interface UserKeyFile {
  path: string;
  /**
   * @param ask for the passphrase, where there is one
   * @param unlocked what was unlocked in this process before: it is not asked for again, and costs no scrypt
   * @throws {InvalidArgument} when it is the wrong one
   */
  read(ask: () => Promise<string>, unlocked?: Map<string, string>): Promise<Root | undefined>;
  /** @throws {AlreadyExists} when there is a key: it is never overwritten */
  checkFree(): Promise<void>;
  /** @throws {AlreadyExists} as {@link UserKeyFile.checkFree} */
  create(root: Root, passphrase?: string): Promise<void>;
}

/** @param workFactor of age's scrypt: 2 to the power of it */
export function userKeyFile(path: string, workFactor = 18): UserKeyFile {
  const file: OwnFile<{ kind: string; root: string | null; locked: string | null }> = ownFile(
    path,
    'user key',
    CONTENT,
  );
  const isThere = () =>
    new AlreadyExists(`there is a key in ${path} already: it is never overwritten, for what it opens would be lost`);
  return {
    path,
    async checkFree() {
      if (await file.read()) throw isThere();
    },
    async read(ask, unlocked) {
      const found = await file.read();
      if (!found) return undefined;
      const { locked } = found;
      const root = locked === null ? found.root : (unlocked?.get(locked) ?? (await unlock(locked, await ask())));
      if (locked !== null && root !== null) unlocked?.set(locked, root);
      const bytes = fromBase64url(root);
      if (!bytes) throw new InvalidArgument(`the user key ${path} is damaged`);
      return importRoot(bytes);
    },
    async create(root, passphrase) {
      const encoded = toBase64url(root.export());
      const content =
        passphrase === undefined
          ? { kind: KIND, root: encoded, locked: null }
          : { kind: KIND, root: null, locked: await lock(encoded, passphrase, workFactor) };
      if (!(await file.create(content))) throw isThere();
    },
  };
}
