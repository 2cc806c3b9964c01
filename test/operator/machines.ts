import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { TestContext } from 'node:test';
import { unlessGone } from '../unless-gone.ts';

/** A Debian machine for a test: the one that the test runs on, as it is seen by root, with a layer of its own above its disk. */
export interface Machine {
  name: string;
  /** Types lines of bash as root, in a new shell. A line that fails ends it, as the whole test should. */
  type(script: string, more?: { input?: string }): Promise<Typed>;
  /** Puts a file of the machine that the test runs on into root's home. */
  takes(file: string): Promise<void>;
  /** As a process of the machine that goes on. Its end is the caller's. */
  start(words: readonly string[]): ChildProcess;
}

export interface Typed {
  status: number | null;
  /** Of both streams, as a terminal shows them. */
  output: string;
}

export interface MachineOptions {
  name: string;
  address: string;
  /** Services that Debian starts there, beside its basic ones. */
  services?: readonly string[];
  /** Lines of bash, which are run on its disk before it starts. */
  prepare?: string;
}

const PROGRAMS = ['ip', 'nsenter', 'scp', 'sshd', 'systemctl', 'unshare'];
const SYSTEMD = '/lib/systemd/systemd';
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const BOOT_SECONDS = 120;
const END_SECONDS = 60;
/** Enabled on a machine of continuous integration, or asks the network: nothing starts that a test did not name. */
const QUIET = ['apt-daily.timer', 'apt-daily-upgrade.timer', 'man-db.timer', 'systemd-timesyncd.service'];

/** The reason why this machine cannot play several, or undefined. */
export function whyNoMachines(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root can start machines in namespaces';
  if (!existsSync('/etc/debian_version')) return 'this is no Debian';
  if (!existsSync(SYSTEMD)) return 'systemd is not installed';
  for (const name of PROGRAMS) {
    if (!PATH.split(':').some((folder) => existsSync(join(folder, name)))) return `${name} is not installed`;
  }
  // As each machine does it, to its end.
  const tried = spawnSync('unshare', ['--mount', '--net', '--pid', '--cgroup', '--fork', 'bash', '-ec', TRIAL], {
    encoding: 'utf8',
  });
  if (tried.status !== 0) return `no machine can be started in namespaces here: ${tried.stderr.trim()}`;
  return undefined;
}

const TRIAL = `
t=$(mktemp -d); trap 'umount $t 2>/dev/null; rmdir $t' EXIT
mount -t tmpfs none $t && mkdir $t/u $t/w $t/m $t/c
mount -t overlay overlay -o lowerdir=/,upperdir=$t/u,workdir=$t/w $t/m
mount -t cgroup2 none $t/c; umount $t/c $t/m
ip link add pair type veth peer name other && ip link add wire type bridge`;

/**
 * Starts machines that reach each other by their names, and nothing else; each has systemd as its first process, a file system, users,
 * processes and a network of its own. They are gone after the test, with all that was done on them.
 *
 * They are kept apart as containers are. All have the programs of this machine, so that what a page installs with apt may be there already; nothing of
 * `services` runs that is not named, and `/tmp`, `/run` and root's home are empty. Root reaches each by ssh.
 */
export async function startMachines(
  t: TestContext,
  all: readonly MachineOptions[],
  names: Readonly<Record<string, string>> = {},
): Promise<Map<string, Machine>> {
  const base = mkdtempSync(join(tmpdir(), 'panda-machines-'));
  const processes: ChildProcess[] = [];
  t.after(async () => {
    await Promise.all(processes.map(killed));
    const groups = join(base, 'cgroups');
    if (existsSync(groups)) await removeGroups(groups);
    spawnSync('umount', [groups]);
    rmSync(base, { recursive: true, force: true });
  });
  mountGroups(base);
  makeKeys(base);
  writeFileSync(join(base, 'hosts'), hostsFile(all, names));

  const wire = spawn('unshare', ['--net', 'sh', '-ec', `${BRIDGE}; echo ready; exec sleep infinity`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  processes.push(wire);
  await new Promise((resolve, reject) => {
    wire.stdout.once('data', resolve);
    wire.once('exit', () => reject(new Error('no network between machines')));
  });
  const started = await Promise.all(
    all.map(async (options) => {
      const holder = spawn('bash', ['-ec', starter(base, options)], { stdio: ['ignore', 'pipe', 'pipe'] });
      processes.push(holder);
      return [options.name, await boot(holder, { ...options, wire: wire.pid ?? 0 })] as const;
    }),
  );
  return new Map(started);
}

const BRIDGE = 'ip link add wire type bridge; ip link set wire up; ip link set lo up';

/** One group of processes for each machine, in which its systemd makes its own. */
function mountGroups(base: string): void {
  const { status, stderr } = spawnSync(
    'sh',
    ['-ec', 'mkdir "$1/cgroups"; mount -t cgroup2 none "$1/cgroups"', '-', base],
    {
      encoding: 'utf8',
    },
  );
  if (status !== 0) throw new Error(`cgroups: ${stderr}`);
}

/** Root's key, which all machines take. */
function makeKeys(base: string): void {
  spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(base, 'key')]);
}

function hostsFile(all: readonly MachineOptions[], names: Readonly<Record<string, string>>): string {
  const lines = all.map(({ name, address }) => {
    const others = Object.keys(names).filter((alias) => names[alias] === name);
    return [address, name, ...others].join(' ');
  });
  return `127.0.0.1 localhost\n${lines.join('\n')}\n`;
}

/** Lines of bash that become the machine's systemd. */
function starter(base: string, { name, services = [], prepare = '' }: MachineOptions): string {
  const inside = `
base=${base}
mkdir $base/${name}
mount -t tmpfs none $base/${name}
cd $base/${name}
mkdir upper work root
mount -t overlay overlay -o lowerdir=/,upperdir=$PWD/upper,workdir=$PWD/work root
cd root
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for folder in run tmp var/tmp root var/lib/apt/lists; do mount -t tmpfs tmpfs $folder; done
chmod 1777 tmp var/tmp; chmod 700 root
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do touch dev/$device; mount --bind /dev/$device dev/$device; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx; ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin; ln -s fd/1 dev/stdout; ln -s fd/2 dev/stderr
echo ${name} > etc/hostname
cp $base/hosts etc/hosts
: > etc/machine-id
rm -f var/lib/man-db/auto-update usr/sbin/policy-rc.d
install -D -m 600 $base/key.pub root/.ssh/authorized_keys
install -m 600 $base/key root/.ssh/id_ed25519
printf 'Host *\\n StrictHostKeyChecking no\\n UserKnownHostsFile /dev/null\\n LogLevel ERROR\\n' > root/.ssh/config
rm -f etc/systemd/system/*.wants/*.service etc/systemd/system/*.wants/*.socket
for unit in ${QUIET.join(' ')}; do ln -sf /dev/null etc/systemd/system/$unit; done
for unit in ssh ${services.join(' ')}; do ln -s /lib/systemd/system/$unit.service etc/systemd/system/multi-user.target.wants/; done
mkdir .before
pivot_root . .before
umount -l .before; rmdir .before
${prepare}
exec env -i container=lxc PATH=${PATH} ${SYSTEMD} --log-target=console --show-status=0 --unit=multi-user.target`;
  return `
mkdir ${base}/cgroups/${groupOf(base, name)}
echo $$ > ${base}/cgroups/${groupOf(base, name)}/cgroup.procs
exec unshare --mount --net --pid --ipc --uts --cgroup --fork --kill-child bash -ec ${quoted(inside)}`;
}

function groupOf(base: string, name: string): string {
  return `${basename(base)}-${name}`;
}

async function boot(
  holder: ChildProcess,
  { name, address, wire }: MachineOptions & { wire: number },
): Promise<Machine> {
  let said = '';
  for (const stream of [holder.stdout, holder.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  }
  const deadline = Date.now() + BOOT_SECONDS * 1000;
  const first = await until(() => {
    if (holder.exitCode !== null) throw new Error(`${name} did not start: ${said}`);
    const found = childOf(holder.pid ?? 0);
    return found !== undefined && nameOf(found) === 'systemd' ? found : undefined;
  }, deadline);
  const link = `
ip link add ${name} type veth peer name eth0 netns ${first}
ip link set ${name} master wire up`;
  await ran('nsenter', ['--target', String(wire), '--net', 'bash', '-ec', link]);
  const machine: Machine = {
    name,
    start: (words) => spawn('nsenter', [...into(first), ...words], { stdio: ['pipe', 'pipe', 'pipe'] }),
    async takes(file) {
      const put = spawn('nsenter', [...into(first), 'sh', '-c', 'cat > "$1"', '-', basename(file)], {
        stdio: [openSync(file, 'r'), 'ignore', 'inherit'],
      });
      await new Promise((resolve) => put.once('exit', resolve));
    },
    type: (script, { input = '' } = {}) =>
      typed(spawn('nsenter', [...into(first), 'bash', '-eo', 'pipefail', '-c', `exec 2>&1\n${script}`]), input),
  };
  const up = await machine.type(`
ip address add ${address}/24 dev eth0; ip link set eth0 up; ip link set lo up
until systemctl is-system-running > /dev/null 2>&1 || [ "$(systemctl is-system-running)" = degraded ]; do sleep 0.1; done
systemctl --failed --no-legend --plain`);
  if (up.status !== 0) throw new Error(`${name} did not start: ${up.output}\n${said}`);
  return machine;
}

/** Words that enter a machine, with the variables of a login of root. */
function into(first: number): string[] {
  const spaces = ['--mount', '--net', '--pid', '--ipc', '--uts', '--cgroup'];
  const variables = ['HOME=/root', 'USER=root', `PATH=${PATH}`, 'LANG=C.UTF-8', 'DEBIAN_FRONTEND=noninteractive'];
  return ['--target', String(first), ...spaces, 'env', '-i', '-C', '/root', ...variables];
}

function typed(child: ChildProcess, input: string): Promise<Typed> {
  return new Promise((resolve, reject) => {
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    child.stdin?.on('error', () => {}); // What is typed need not read any.
    child.stdin?.end(input);
    child.once('error', reject);
    // A service that it started may keep the pipes.
    child.once('exit', (status) => setImmediate(() => resolve({ status, output })));
  });
}

async function ran(file: string, words: string[]): Promise<void> {
  const { status, output } = await typed(spawn(file, words), '');
  if (status !== 0) throw new Error(`${file} ${words.join(' ')}: ${output}`);
}

async function until<T>(look: () => T | undefined, deadline: number): Promise<T> {
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error('a machine did not start, or end, in time');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function childOf(pid: number): number | undefined {
  const [first] =
    unlessGone(() => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'))
      ?.trim()
      .split(' ') ?? [];
  return first ? Number(first) : undefined;
}

function nameOf(pid: number): string | undefined {
  return unlessGone(() => readFileSync(`/proc/${pid}/comm`, 'utf8').trim());
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL'); // With it goes the first process of the machine, and with that all others.
  await ended;
}

/** The groups of the machines, from the inside out, when their last processes are gone: they end a moment after the first one. */
async function removeGroups(groups: string): Promise<void> {
  const own = basename(join(groups, '..'));
  const deadline = Date.now() + END_SECONDS * 1000;
  for (const name of readdirSync(groups)) {
    if (name.startsWith(`${own}-`)) await until(() => removedWhenEmpty(join(groups, name)), deadline);
  }
}

function removedWhenEmpty(group: string): true | undefined {
  if (/^populated 1$/m.test(readFileSync(join(group, 'cgroup.events'), 'utf8'))) return undefined;
  const within = readdirSync(group, { recursive: true, withFileTypes: true }).filter((entry) => entry.isDirectory());
  const folders = within.map((entry) => join(entry.parentPath, entry.name)).sort((a, b) => b.length - a.length);
  for (const folder of [...folders, group]) rmdirSync(folder);
  return true;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
