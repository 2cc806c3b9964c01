import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, lstat, readdir, readlink, realpath } from 'node:fs/promises';
import { delimiter, isAbsolute, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { Misconfigured } from '../protocol/errors.ts';
import { isOutside } from './attempt-directory.ts';

export const ISOLATION_MODES = ['auto', 'on', 'off'] as const;
export type IsolationMode = (typeof ISOLATION_MODES)[number];

/** Where an isolated payload sees what is its own. `/srv` is where PanDA's containers have the working directory. */
export const ISOLATED_PATHS = { work: '/srv', temporary: '/tmp', secrets: '/run/secrets' } as const;

/** What one payload gets to see besides the system. All are paths of the pilot's. */
export interface IsolatedPayload {
  work: string;
  temporary: string;
  /** Where its secrets' files are; `undefined` when they are in the working directory, or there are none. */
  secrets: string | undefined;
  /** In `work`; where the payload starts. */
  runDirectory: string;
}

/** Runs payloads apart from each other and from the pilot, with bubblewrap. */
export interface Isolation {
  /** The words to put before a command's own. Nothing in them is secret. */
  launcher(payload: IsolatedPayload): string[];
}

export interface IsolationOptions {
  mode: IsolationMode;
  /** Directories, files and devices that payloads see besides the system's, read-only (devices: as they are). */
  shared: readonly string[];
  /** What no payload may see, wherever it is: the pilot's folder and the files that it is let in with. */
  hidden: readonly string[];
  /** The pilot's own environment: where to look for `bwrap`. */
  own: Readonly<Record<string, string | undefined>>;
  /** Told why payloads are not isolated, in mode `auto`. */
  say: (text: string) => void;
}

/**
 * Finds out whether payloads can be isolated on this node, for this user.
 *
 * An isolated payload sees the system read-only, a `/tmp` and a `/dev` of its own, its working directory and its secrets. It has
 * its own process ids, so that it neither finds other processes nor survives: with its first process all of them end. It has
 * no capabilities. The network is the node's.
 *
 * @returns `undefined` when they are not to be, or (mode `auto`) cannot be isolated
 * @throws {Misconfigured} when they must be and cannot, or a shared path is not there
 */
export async function chooseIsolation(options: IsolationOptions): Promise<Isolation | undefined> {
  if (options.mode === 'off') return undefined;
  const shared = await findShared(options.shared);
  const bwrap = await findBubblewrap(options.own);
  const { system, site } = await nodeArguments(shared, options.hidden);
  const trouble = bwrap ? await tryOut(bwrap, [...system, ...site]) : 'bwrap (bubblewrap) is not installed';
  if (bwrap && trouble === undefined) {
    return {
      launcher: (payload) => [bwrap, ...system, ...ownArguments(payload), ...site, ...startArguments(payload), '--'],
    };
  }
  if (options.mode === 'on') throw new Misconfigured(`--isolate on: ${trouble}`);
  options.say(`jobs are not isolated from each other: ${trouble}`);
  return undefined;
}

const NAMESPACES = [
  ...['--unshare-user-try', '--unshare-pid', '--unshare-ipc', '--unshare-cgroup-try'],
  // Without capabilities, a payload cannot take the covers off again that hide files from it.
  ...['--cap-drop', 'ALL', '--die-with-parent'],
];
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
/** Settings that are often links to where a payload does not see. */
const LINKED_SETTINGS = ['/etc/resolv.conf', '/etc/hosts', '/etc/localtime'];

/**
 * What every payload of this node sees.
 *
 * @returns `system`, and `site` for after the payload's own directories, as what is shared may be below `/tmp`
 */
async function nodeArguments(shared: readonly string[], hidden: readonly string[]) {
  const system = [...NAMESPACES];
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
  for (const path of shared) site.push(isOutside('/dev', path) ? '--ro-bind' : '--dev-bind', path, path);
  const isVisible = (path: string) => visible.some((directory) => !isOutside(directory, path));
  for (const path of LINKED_SETTINGS) {
    const real = await realpath(path).catch(() => undefined);
    if (real !== undefined && !isVisible(real)) site.push('--ro-bind', real, real);
  }
  for (const path of [...hidden, ...(await privateBelow('/etc'))]) {
    const real = await realpath(path).catch(() => undefined);
    if (real !== undefined && isVisible(real)) site.push(...(await cover(real)));
  }
  return { system, site };
}

async function cover(path: string): Promise<string[]> {
  const isDirectory = (await lstat(path)).isDirectory();
  return isDirectory ? ['--tmpfs', path, '--remount-ro', path] : ['--ro-bind', '/dev/null', path];
}

/** What the pilot's user alone may read: a payload is that user as well, and is not to have the host's or the pilot's keys. */
async function privateBelow(directory: string): Promise<string[]> {
  const uid = process.getuid?.();
  const found: string[] = [];
  for (const entry of await readdir(directory, { withFileTypes: true }).catch(() => [])) {
    const path = join(directory, entry.name);
    if (!entry.isFile() && !entry.isDirectory()) continue;
    const { uid: owner, mode } = await lstat(path);
    if (owner === uid && (mode & constants.S_IROTH) === 0) found.push(path);
    else if (entry.isDirectory()) found.push(...(await privateBelow(path)));
  }
  return found;
}

function ownArguments({ work, temporary, secrets }: IsolatedPayload): string[] {
  return [
    ...[
      '--bind',
      temporary,
      ISOLATED_PATHS.temporary,
      '--bind',
      temporary,
      '/var/tmp',
      '--symlink',
      '../run',
      '/var/run',
    ],
    ...['--bind', work, ISOLATED_PATHS.work],
    ...(secrets === undefined ? [] : ['--ro-bind', secrets, ISOLATED_PATHS.secrets]),
  ];
}

function startArguments({ work, runDirectory }: IsolatedPayload): string[] {
  return ['--remount-ro', '/', '--chdir', join(ISOLATED_PATHS.work, relative(work, runDirectory))];
}

/** @throws {Misconfigured} */
async function findShared(paths: readonly string[]): Promise<string[]> {
  for (const path of paths) {
    if (!isAbsolute(path)) throw new Misconfigured(`--share must be an absolute path, not "${path}"`);
    await access(path).catch((error: NodeJS.ErrnoException) => {
      throw new Misconfigured(`--share: "${path}" cannot be shown to jobs (${error.code})`);
    });
  }
  return [...paths];
}

async function findBubblewrap(own: IsolationOptions['own']): Promise<string | undefined> {
  for (const directory of [...(own['PATH'] ?? '').split(delimiter), '/usr/bin', '/usr/local/bin']) {
    const path = join(directory, 'bwrap');
    if (
      isAbsolute(path) &&
      (await access(path, constants.X_OK).then(
        () => true,
        () => false,
      ))
    )
      return path;
  }
  return undefined;
}

/** @returns why it does not work, if so */
async function tryOut(bwrap: string, system: readonly string[]): Promise<string | undefined> {
  try {
    await promisify(execFile)(bwrap, [...system, '--', '/bin/sh', '-c', ':'], { timeout: 30_000 });
    return undefined;
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    return (stderr || message).trim().split('\n', 1)[0];
  }
}
