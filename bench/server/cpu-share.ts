import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** How often the kernel gives out shares, microseconds: short, so that a process that has had its share waits for a few milliseconds, not 100. */
const PERIOD = 10_000;

const SUBTREE_CONTROL = 'cgroup.subtree_control';

/** Where the two versions of Linux's control groups have the controller of processors, and what they are told: the limit, and a place before all other work. */
const VERSIONS = [
  {
    folder: '/sys/fs/cgroup/cpu',
    hasController: 'cpu.cfs_quota_us',
    limit: (quota: number) => ({
      'cpu.cfs_period_us': `${PERIOD}`,
      'cpu.cfs_quota_us': `${quota}`,
      'cpu.shares': '262144',
    }),
  },
  {
    folder: '/sys/fs/cgroup',
    hasController: SUBTREE_CONTROL,
    limit: (quota: number) => ({ 'cpu.max': `${quota} ${PERIOD}`, 'cpu.weight': '10000' }),
  },
];

let made = 0;

/**
 * Has the kernel hold a process, with all its threads, to a share of a core, and run it before all other work until it has had that.
 *
 * @param percent of a core
 * @returns ends the limit, once the process has ended
 * @throws {Error} where the kernel cannot do it, or does not let this user
 */
export function holdToShare(pid: number, percent: number): () => void {
  const version = VERSIONS.find(({ folder, hasController }) => existsSync(join(folder, hasController)));
  if (!version)
    throw new Error("--share has Linux's control groups limit a server's CPU, and /sys/fs/cgroup has none for it");
  const group = join(version.folder, `panda-secrets-bench-${process.pid}-${++made}`);
  const remove = () => rmdirSync(group);
  try {
    if (version.hasController === SUBTREE_CONTROL) writeFileSync(join(version.folder, SUBTREE_CONTROL), '+cpu');
    mkdirSync(group);
    const settings = version.limit(Math.round((percent / 100) * PERIOD));
    for (const [file, text] of Object.entries(settings)) writeFileSync(join(group, file), text);
    writeFileSync(join(group, 'cgroup.procs'), `${pid}`);
  } catch (cause) {
    if (existsSync(group)) remove();
    const { message } = cause as Error;
    throw new Error(
      `--share has the kernel limit a server's CPU, which root may have where the controller \`cpu\` is: ${message}`,
      { cause },
    );
  }
  return remove;
}
