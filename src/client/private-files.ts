import { open, realpath } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { InvalidArgument } from '../protocol/errors.ts';
import { parseJoinToken } from '../protocol/join.ts';
import { CREDENTIAL_FILES, type CredentialFiles, LOOKED_AT_BYTES } from './credential-files.ts';
import { unprovenClaims } from './unproven-claims.ts';

/** Something that is left out of a sandbox because it is private. */
export interface PrivateFile {
  /** Relative to the directory that is packed; `/` at the end of a folder. */
  path: string;
  /** A person's word for the content. */
  what: string;
  /** True for the keys and logins of this software: nothing makes them part of a sandbox. */
  never: boolean;
}

export interface PrivacyRules {
  /** Folders and files of this software's keys and logins, wherever they are. */
  own: readonly string[];
  /** Patterns of credentials that are wanted all the same. */
  include?: readonly string[];
}

/** Tells what of a directory is private. */
export interface Privacy {
  /**
   * A folder that is private as a whole. One in which something may be wanted is not; its files are told apart.
   *
   * @param path relative to the directory, without a slash at its end
   */
  ofFolder(path: string): PrivateFile | undefined;
  /** @param path relative to the directory, of a file or a link */
  ofFile(path: string, options: { isLink: boolean }): Promise<PrivateFile | undefined>;
}

/**
 * Keys and logins of this software are private whatever is asked, known by their places and by their content; credentials of
 * other programs (`credential-files.ts`) unless `include` names them.
 *
 * @throws {InvalidArgument} when the directory is itself one of the places
 */
export async function privacyOf(directory: string, { own, include = [] }: PrivacyRules): Promise<Privacy> {
  const { default: ignore } = await import('ignore');
  const places = await placesWithin(directory, own);
  const wanted = ignore().add([...include]);
  const rules = CREDENTIAL_FILES.map((files) => ({ files, ignored: ignore().add([...files.patterns]) }));
  const anyRule = ignore().add(CREDENTIAL_FILES.flatMap(({ patterns }) => patterns));

  const isOwn = (path: string) => places.has(path) || basename(path) === CONFIG_FOLDER;
  const rulesFor = (path: string): CredentialFiles[] =>
    anyRule.ignores(path) ? rules.filter(({ ignored }) => ignored.ignores(path)).map(({ files }) => files) : [];

  return {
    ofFolder(path) {
      if (isOwn(path)) return { path: `${path}/`, what: 'the folder of your login', never: true };
      const found = rulesFor(`${path}/`).find(({ holding }) => !holding);
      return found && include.length === 0 ? { path: `${path}/`, what: found.what, never: false } : undefined;
    },
    async ofFile(path, { isLink }) {
      if (isOwn(path)) return { path, what: 'your login', never: true };
      const content = isLink ? '' : await beginningOf(join(directory, path));
      const ours = OWN_FILES.find(({ test }) => test(content));
      if (ours) return { path, what: ours.what, never: true };
      const found = rulesFor(path).find(({ holding }) => !holding || holding.test(content));
      return found && !wanted.ignores(path) ? { path, what: found.what, never: false } : undefined;
    },
  };
}

/** The folder of PanDA's clients in a home directory, also in a copy of one. */
const CONFIG_FOLDER = '.pathena';

/** Files of this software, under whatever name, by their content. */
const OWN_FILES: readonly { what: string; test: (content: string) => boolean }[] = [
  {
    what: 'a login',
    test: (content) => /"(id|refresh)_token"\s*:\s*"/.test(content) && content.trimStart()[0] === '{',
  },
  { what: 'root keys', test: (content) => /^\{\s*"format": \d+,\s*"active": "[^"]+",\s*"keys": \[/.test(content) },
  { what: 'signing keys', test: (content) => /"issuer": "urn:panda-secrets:/.test(content) && /"d": "/.test(content) },
  {
    what: 'a key that seals secrets',
    test: (content) => /"kind": "panda-secrets (user key|site key|site identity)"/.test(content),
  },
  { what: 'a join token', test: isJoinToken },
  { what: 'a token', test: isOwnToken },
];

/** A token of the embedded issuer, as "panda-secrets token" prints it. */
function isOwnToken(content: string): boolean {
  if (!/^[\w-]+\.[\w-]+\.[\w-]+\s*$/.test(content)) return false;
  const { iss } = unprovenClaims(content.trim());
  return typeof iss === 'string' && iss.startsWith('urn:panda-secrets:');
}

function isJoinToken(content: string): boolean {
  try {
    parseJoinToken(content.trim());
    return true;
  } catch {
    return false;
  }
}

/** Those of the places that are in the directory, relative to it, as they are called there and where links lead. */
async function placesWithin(directory: string, own: readonly string[]): Promise<Set<string>> {
  const root = await realpath(directory);
  const found = new Set<string>();
  for (const place of own) {
    for (const path of [place, await realpath(place).catch(() => place)]) {
      const inside = relative(root, path);
      if (!`${inside}/`.startsWith('../')) found.add(inside);
      if (!`${relative(path, root)}/`.startsWith('../')) {
        throw new InvalidArgument(`${directory} holds your login, and is never packed: submit from another directory`);
      }
    }
  }
  return found;
}

async function beginningOf(file: string): Promise<string> {
  const handle = await open(file, 'r');
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(LOOKED_AT_BYTES), 0, LOOKED_AT_BYTES, 0);
    return buffer.subarray(0, bytesRead).toString('latin1');
  } finally {
    await handle.close();
  }
}
