import { constants } from 'node:fs';
import { access, lstat, readdir, readlink, realpath } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { Misconfigured } from '../protocol/errors.ts';
import { isOutside } from './attempt-directory.ts';

/** The words for `bwrap` that every payload of a node gets. */
export interface VisibleSystem {
  system: string[];
  /** For after the payload's own directories: what is shared may be below `/tmp`. */
  site: string[];
}

export interface SystemOptions {
  shared: readonly string[];
  hidden: readonly string[];
  /**
   * Root builds it: then the kernel's settings are covered too, though a payload is another user. For others the
   * kernel lets it change those of its own namespaces alone, and a cover would keep it from containers with a `/proc`.
   */
  byRoot: boolean;
}

const ANYBODY_WRITES = 0o222;
/** The system: programs, libraries, settings, software that sites mount. */
const SYSTEM = [
  '/usr',
  '/bin',
  '/sbin',
  '/lib',
  '/lib32',
  '/lib64',
  '/libx32',
  '/etc',
  '/opt',
  '/nix',
  '/cvmfs',
  '/sys',
];
/** Tells if a folder is one that payloads cannot do without, so that it cannot be hidden from them as a whole. */
export function isSystemFolder(folder: string): boolean {
  return SYSTEM.some((path) => !isOutside(folder, path));
}

/** Settings that are often links to where a payload does not see. */
const LINKED_SETTINGS = ['/etc/resolv.conf', '/etc/hosts', '/etc/localtime'];

/**
 * Of the node, every payload sees the system and what is `shared`, read-only, without what is `hidden` and without those
 * settings that not everybody may read.
 *
 * @throws {Misconfigured} when a shared path is not there
 */
export async function visibleSystem({ shared, hidden, byRoot }: SystemOptions): Promise<VisibleSystem> {
  await checkShared(shared);
  const system: string[] = [];
  const site: string[] = [];
  const visible: string[] = [...shared];
  for (const path of SYSTEM) {
    const found = await lstat(path).catch(() => undefined);
    if (found?.isSymbolicLink()) system.push('--symlink', await readlink(path), path);
    else if (found) {
      system.push('--ro-bind', path, path);
      visible.push(path);
    }
  }
  system.push('--proc', '/proc', '--dev', '/dev');
  if (byRoot) for (const path of await settingsOfKernel()) system.push('--ro-bind', path, path);
  for (const path of shared) {
    site.push(...parentsOf(path), isOutside('/dev', path) ? '--ro-bind' : '--dev-bind', path, path);
  }
  const isVisible = (path: string) => visible.some((directory) => !isOutside(directory, path));
  for (const path of LINKED_SETTINGS) {
    const real = await realpath(path).catch(() => undefined);
    if (real !== undefined && !isVisible(real)) site.push(...parentsOf(real), '--ro-bind', real, real);
  }
  for (const path of [...hidden, ...(await closedBelow('/etc'))]) {
    const real = await realpath(path).catch(() => undefined);
    if (real !== undefined && isVisible(real)) site.push(...(await cover(real)));
  }
  return { system, site };
}

/** In `/proc`, what is no process's: `sys`, `sysrq-trigger` and more. */
async function settingsOfKernel(): Promise<string[]> {
  const settings: string[] = [];
  for (const entry of await readdir('/proc', { withFileTypes: true }).catch(() => [])) {
    const path = join('/proc', entry.name);
    if (/^\d+$/.test(entry.name) || entry.isSymbolicLink()) continue;
    if (entry.isDirectory() || ((await lstat(path)).mode & ANYBODY_WRITES) !== 0) settings.push(path);
  }
  return settings;
}

/** @throws {Misconfigured} */
async function checkShared(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    if (!isAbsolute(path)) throw new Misconfigured(`--share must be an absolute path, not "${path}"`);
    await access(path).catch((error: NodeJS.ErrnoException) => {
      throw new Misconfigured(`--share: "${path}" cannot be shown to jobs (${error.code})`);
    });
  }
}

/** Made by name, as `bwrap` itself makes them for the pilot's user alone, and a payload may be another. */
function parentsOf(path: string): string[] {
  const parent = dirname(path);
  return parent === '/' ? [] : [...parentsOf(parent), '--dir', parent];
}

async function cover(path: string): Promise<string[]> {
  const isDirectory = (await lstat(path)).isDirectory();
  return isDirectory ? ['--tmpfs', path, '--remount-ro', path] : ['--ro-bind', '/dev/null', path];
}

/**
 * Settings that the pilot may read and not everybody: its user's own, and what a group of it or an access list opens. A payload
 * has the same user and groups, and is not to have the host's or the pilot's keys.
 */
async function closedBelow(directory: string): Promise<string[]> {
  const closed: string[] = [];
  for (const entry of await readdir(directory, { withFileTypes: true }).catch(() => [])) {
    const path = join(directory, entry.name);
    if (!entry.isFile() && !entry.isDirectory()) continue;
    const { mode } = await lstat(path);
    const [ofOthers, ours] = entry.isFile() ? [constants.S_IROTH, constants.R_OK] : [constants.S_IXOTH, constants.X_OK];
    if ((mode & ofOthers) !== 0) {
      if (entry.isDirectory()) closed.push(...(await closedBelow(path)));
    } else if (await may(path, ours)) closed.push(path);
  }
  return closed;
}

async function may(path: string, right: number): Promise<boolean> {
  return await access(path, right).then(
    () => true,
    () => false,
  );
}
