import { once } from 'node:events';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, isAbsolute, join, relative } from 'node:path';
import { text } from 'node:stream/consumers';
import { FIRST_INPUT, type Launch, startLaunch } from '../payload/launch.ts';
import { Misconfigured } from '../protocol/errors.ts';
import { type PayloadUser, payloadUser } from './payload-user.ts';
import { systemCallFilter } from './seccomp.ts';
import { type VisibleSystem, visibleSystem } from './visible-system.ts';

export const ISOLATION_MODES = ['auto', 'on', 'off'] as const;
export type IsolationMode = (typeof ISOLATION_MODES)[number];

/** The places of an isolated payload's own directories. PanDA's containers have the working directory at `/srv`, too. */
export const ISOLATED_PATHS = { work: '/srv', temporary: '/tmp' } as const;

/** One payload's own directories and files. All are paths of the pilot's. */
export interface IsolatedPayload {
  work: string;
  temporary: string;
  /** In `work`; where the payload starts. */
  runDirectory: string;
  /** A directory in `work` with an empty file for each of `files`, which they are put over in the payload's own memory. */
  secrets: { directory: string; files: readonly { name: string; bytes: Uint8Array }[] } | undefined;
}

/** Runs payloads apart from each other and from the pilot, with bubblewrap. */
export interface Isolation {
  /** The user whose the payload's directories must be, where it does not run as the pilot's. */
  user: PayloadUser | undefined;
  /** Says how a payload's `command` is started. */
  launch(payload: IsolatedPayload, command: readonly string[]): Launch;
}

export interface IsolationOptions {
  mode: IsolationMode;
  /** Lets payloads run as root where they are not isolated. */
  allowRoot: boolean;
  /** Directories, files and devices that payloads see besides the system's, read-only (devices: as they are). */
  shared: readonly string[];
  /** Paths that no payload may see, wherever they are: the pilot's folder and the files that it is let in with. */
  hidden: readonly string[];
  /** The pilot's own environment: where to look for `bwrap`. */
  own: Readonly<Record<string, string | undefined>>;
  /** Told why payloads are not isolated, in mode `auto`. */
  say: (text: string) => void;
}

/**
 * Finds out whether payloads can be isolated on this node, for this user.
 *
 * An isolated payload sees the system read-only, a `/tmp` and a `/dev` of its own and its working directory, in which its
 * secrets are files of its own memory. It has its own process ids, so that it neither finds other processes nor survives:
 * with its first process all of them end. It has no capabilities, no keyrings, and is not root. The network is the node's.
 *
 * @returns `undefined` when they are not to be, or (mode `auto`) cannot be isolated
 * @throws {Misconfigured} when they must be and cannot, a shared path is not there, or they would be root
 */
export async function chooseIsolation(options: IsolationOptions): Promise<Isolation | undefined> {
  const { mode, shared, hidden, own, say } = options;
  const user = payloadUser();
  let trouble: string | undefined;
  if (mode !== 'off') {
    const [bwrap, setpriv] = [await find('bwrap', own), await find('setpriv', own)];
    const visible = await visibleSystem({ shared, hidden, byRoot: user !== undefined });
    if (!bwrap) trouble = 'bwrap (bubblewrap) is not installed';
    else if (user && !setpriv) trouble = 'setpriv (util-linux), which takes root from jobs, is not installed';
    else {
      const isolation = createIsolation({ bwrap, setpriv, user, visible });
      trouble = await tryOut(isolation);
      if (trouble === undefined) return isolation;
    }
    if (mode === 'on') throw new Misconfigured(`--isolate on: ${trouble}`);
  }
  if (user && !options.allowRoot) {
    throw new Misconfigured(
      `this pilot runs as root, and its jobs would: ${trouble ?? 'they are not to be isolated'}. ` +
        'Start it as another user, or, where jobs may do everything, with --allow-root',
    );
  }
  if (trouble !== undefined) say(`jobs are not isolated from each other: ${trouble}`);
  return undefined;
}

/** The words of an isolated payload before they are its arguments, and what its descriptors hold. */
interface Draft {
  words: string[];
  inputs: Uint8Array[];
}

function createIsolation({
  bwrap,
  setpriv = '',
  user,
  visible,
}: {
  bwrap: string;
  setpriv: string | undefined;
  user: PayloadUser | undefined;
  visible: VisibleSystem;
}): Isolation {
  const filter = systemCallFilter();
  return {
    user,
    launch({ work, temporary, runDirectory, secrets }, command) {
      const seen = (path: string) => join(ISOLATED_PATHS.work, relative(work, path));
      // The first input is these words themselves: file secrets' names are among them.
      const draft: Draft = {
        words: [...apart(user), ...visible.system, ...ownDirectories(work, temporary)],
        inputs: [],
      };
      if (filter) give(draft, filter, '--seccomp');
      for (const { name, bytes } of secrets?.files ?? []) {
        give(draft, bytes, '--bind-data', join(seen(secrets?.directory ?? ''), name));
      }
      draft.words.push(...visible.site, '--remount-ro', '/', '--chdir', seen(runDirectory));
      const first = user ? asUser(user, setpriv, secrets ? seen(secrets.directory) : '') : [];
      return {
        words: [bwrap, '--args', String(FIRST_INPUT), '--', ...first, ...command],
        inputs: [Buffer.from(draft.words.map((word) => `${word}\0`).join('')), ...draft.inputs],
      };
    },
  };
}

function give({ words, inputs }: Draft, bytes: Uint8Array, option: string, ...rest: string[]): void {
  inputs.push(bytes);
  words.push(option, String(FIRST_INPUT + inputs.length), ...rest);
}

/** Needed to become another user, and to give that user its secrets first. */
const TO_CHANGE_USER = ['CAP_SETUID', 'CAP_SETGID', 'CAP_CHOWN', 'CAP_DAC_READ_SEARCH'];

function apart(user: PayloadUser | undefined): string[] {
  return [
    // With a user namespace of its own it could only be root, or nobody that its files belong to.
    ...(user ? [] : ['--unshare-user-try']),
    ...['--unshare-pid', '--unshare-ipc', '--unshare-cgroup-try', '--die-with-parent'],
    // Without capabilities, a payload cannot take the covers off again that hide files from it.
    ...['--cap-drop', 'ALL'],
    ...(user ? TO_CHANGE_USER.flatMap((capability) => ['--cap-add', capability]) : []),
  ];
}

function ownDirectories(work: string, temporary: string): string[] {
  return [
    ...['--dir', '/var', '--dir', '/run', '--symlink', '../run', '/var/run'],
    ...['--bind', temporary, ISOLATED_PATHS.temporary, '--bind', temporary, '/var/tmp'],
    ...['--bind', work, ISOLATED_PATHS.work],
  ];
}

/** $1: the user's number, $2: its group's, $3: the directory of its secrets, or nothing; then `setpriv` and the command. */
const BECOME_USER = `
PATH=/usr/sbin:/usr/bin:/sbin:/bin chmod 1777 /dev/shm || exit
[ -z "$3" ] || PATH=/usr/sbin:/usr/bin:/sbin:/bin chown -R "$1:$2" "$3" || exit
user=$1 group=$2; shift 3; setpriv=$1; shift
exec "$setpriv" --reuid "$user" --regid "$group" --clear-groups --inh-caps=-all "$@"`;

function asUser({ uid, gid }: PayloadUser, setpriv: string, secrets: string): string[] {
  return ['/bin/sh', '-c', BECOME_USER, 'sh', String(uid), String(gid), secrets, setpriv];
}

async function find(program: string, own: IsolationOptions['own']): Promise<string | undefined> {
  for (const directory of [...(own['PATH'] ?? '').split(delimiter), '/usr/bin', '/usr/local/bin']) {
    const path = join(directory, program);
    if (!isAbsolute(path)) continue;
    const isThere = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return path;
  }
  return undefined;
}

const TRY_MILLISECONDS = 30_000;

/** @returns why it does not work, if so */
async function tryOut(isolation: Isolation): Promise<string | undefined> {
  const any = tmpdir();
  const payload = { work: any, temporary: any, runDirectory: any, secrets: undefined };
  const launch = isolation.launch(payload, ['/bin/sh', '-c', ':']);
  const { child, stdout, stderr } = startLaunch(launch, { pipesIn: any, timeout: TRY_MILLISECONDS });
  stdout.resume();
  try {
    const [said, [code, signal]] = await Promise.all([text(stderr), once(child, 'exit')]);
    if (code === 0) return undefined;
    return said.trim().split('\n', 1)[0] || `bwrap ended with ${signal ?? code}`;
  } catch (error) {
    return (error as Error).message;
  }
}
