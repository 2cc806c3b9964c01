import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { isAbsolute, join, posix } from 'node:path';
import type { Ignore } from 'ignore';
import { InvalidArgument } from '../protocol/errors.ts';
import { MAX_SANDBOX_BYTES } from '../protocol/limits.ts';
import { sandboxChecksum } from '../protocol/sandbox-checksum.ts';
import { type Privacy, type PrivacyRules, type PrivateFile, privacyOf } from './private-files.ts';

/** A directory as the archive that jobs start from. */
export interface PackedDirectory {
  /** tar, gzip. The same content gives the same bytes. */
  archive: Uint8Array;
  /** See `sandbox-checksum.ts`. */
  checksum: number;
  /** The paths in it, sorted, relative to the directory. */
  paths: readonly string[];
  leftOut: LeftOut;
}

/** The parts of a directory that are not in its archive. */
export interface LeftOut {
  /** Links that lead out of the directory. */
  linksOut: readonly string[];
  /** Keys, logins and credentials, and links to them. */
  private: readonly PrivateFile[];
  /** The folders of history and installed packages that were met. */
  always: readonly string[];
  /** Files that the user's own patterns name. */
  asked: readonly string[];
  /** Pipes, sockets and devices. */
  special: readonly string[];
}

/** Files to leave out besides history and installed packages. */
export interface PackRules extends PrivacyRules {
  /** Patterns as in a `.gitignore`. */
  exclude: readonly string[];
}

/** Never part of a sandbox: history and installed packages. */
const NEVER_PACKED = ['.git', 'node_modules'];

/** A directory's own list of what to leave out, with the rules of a `.gitignore`. */
const IGNORE_FILE = '.prunignore';

/** Archives with the same content must not differ by when they were made; not before 1980, which no zip file can hold. */
const PACKED_TIME = new Date('2000-01-01T00:00:00Z');

/**
 * Packs a directory. Left out are `.git`, `node_modules`, what a `.prunignore` in it and `exclude` name, what is private
 * (`private-files.ts`), sockets and devices, and links that lead out of it: nothing from outside gets in.
 *
 * @throws {InvalidArgument} when the archive would be larger than `MAX_SANDBOX_BYTES`, or something cannot be read
 */
export async function packDirectory(directory: string, rules: PackRules): Promise<PackedDirectory> {
  const ignored = await ignoreRules(directory, rules.exclude);
  const privacy = await privacyOf(directory, rules);
  const found: Found = { paths: [], links: new Map(), linksOut: [], private: [], always: [], asked: [], special: [] };
  try {
    await walk(directory, '', { ignored, privacy }, found);
    const { linksOut, always, asked, special } = found;
    const leftOut: LeftOut = {
      linksOut,
      always,
      asked,
      special,
      private: [...found.private, ...linksToPrivate(found)],
    };
    const hidden = new Set(leftOut.private.map(({ path }) => path));
    const paths = found.paths.filter((path) => !hidden.has(path)).sort();
    const archive = await pack(directory, paths);
    const checksum = sandboxChecksum();
    checksum.update(archive);
    return { archive, checksum: checksum.value() ?? 0, paths, leftOut };
  } catch (error) {
    const { code, path = directory } = error as NodeJS.ErrnoException;
    if (error instanceof InvalidArgument || code === undefined) throw error;
    throw new InvalidArgument(`cannot pack ${path} (${code}); leave it out with --excludeFile or a ${IGNORE_FILE}`);
  }
}

interface Found {
  paths: string[];
  /** Where each link among the paths leads, relative to the directory. */
  links: Map<string, string>;
  linksOut: string[];
  private: PrivateFile[];
  always: string[];
  asked: string[];
  special: string[];
}

interface Rules {
  ignored: Ignore;
  privacy: Privacy;
}

async function ignoreRules(directory: string, exclude: readonly string[]): Promise<Ignore> {
  const { default: ignore } = await import('ignore');
  const rules = ignore({ ignorecase: false }).add(NEVER_PACKED);
  const own = await readFile(join(directory, IGNORE_FILE), 'utf8').catch(() => '');
  return rules.add(own).add([...exclude]);
}

/** @param inside the path of the folder to look at, relative to `root`: empty, or with `/` at its end */
async function walk(root: string, inside: string, rules: Rules, found: Found): Promise<void> {
  const entries = await readdir(join(root, inside), { withFileTypes: true });
  const kept = entries.filter((entry) => {
    const path = inside + entry.name + (entry.isDirectory() ? '/' : '');
    if (!rules.ignored.ignores(path)) return true;
    if (NEVER_PACKED.includes(entry.name)) found.always.push(path);
    else found.asked.push(path);
    return false;
  });
  if (kept.length === 0 && inside !== '') found.paths.push(inside.slice(0, -1));
  for (const entry of kept) {
    const path = inside + entry.name;
    const hidden = entry.isDirectory()
      ? rules.privacy.ofFolder(path)
      : (entry.isFile() || entry.isSymbolicLink()) &&
        (await rules.privacy.ofFile(path, { isLink: entry.isSymbolicLink() }));
    if (hidden) found.private.push(hidden);
    else if (entry.isDirectory()) await walk(root, `${path}/`, rules, found);
    else if (entry.isFile()) found.paths.push(path);
    else if (entry.isSymbolicLink()) addLink(path, await readlink(join(root, path)), found);
    else found.special.push(path);
  }
}

function addLink(path: string, target: string, found: Found): void {
  if (leadsOut(path, target)) found.linksOut.push(path);
  else {
    found.paths.push(path);
    found.links.set(path, posix.normalize(posix.join(posix.dirname(path), target)));
  }
}

function linksToPrivate({ links, private: hidden }: Found): PrivateFile[] {
  return [...links].flatMap(([path, target]) => {
    const reached = hidden.find((file) => `${target}/`.startsWith(file.path.replace(/\/?$/, '/')));
    return reached ? [{ ...reached, path, what: `a link to ${reached.path}` }] : [];
  });
}

function leadsOut(path: string, target: string): boolean {
  if (isAbsolute(target)) return true;
  const reached = posix.normalize(posix.join(posix.dirname(path), target));
  return reached === '..' || reached.startsWith('../');
}

async function pack(directory: string, paths: readonly string[]): Promise<Uint8Array> {
  const { create } = await import('tar');
  // "./": a name that begins with "@" would stand for an archive to take over. An empty directory packs as itself.
  const names = paths.length === 0 ? ['.'] : paths.map((path) => `./${path}`);
  const options = { cwd: directory, gzip: true, portable: true, noDirRecurse: true, mtime: PACKED_TIME, strict: true };
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of create(options, names)) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > MAX_SANDBOX_BYTES) throw await tooLarge(directory, paths);
  }
  return Buffer.concat(chunks);
}

const SHOWN_FILES = 3;

async function tooLarge(directory: string, paths: readonly string[]): Promise<InvalidArgument> {
  const sizes = await Promise.all(
    paths.map(async (path) => ({ path, size: (await lstat(join(directory, path))).size })),
  );
  const largest = sizes.sort((a, b) => b.size - a.size).slice(0, SHOWN_FILES);
  const shown = largest.map(({ path, size }) => `${path} (${size} bytes)`).join(', ');
  return new InvalidArgument(
    `this directory is larger than the ${MAX_SANDBOX_BYTES} bytes (10 MB) that a job's sandbox may have, packed. ` +
      `Leave files out with --excludeFile or a ${IGNORE_FILE}; the largest are ${shown}`,
  );
}
