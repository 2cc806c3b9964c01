import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../free-port.ts';

/** A Slurm of this test file's own: all of its daemons below one folder, at free ports, as the user of this process. */
export interface Cluster {
  /** Its state, spool, accounting and logs. */
  folder: string;
  /** For its commands, and for a launcher. */
  environment: NodeJS.ProcessEnv;
  /** The names of its nodes. Each is a slurmd on this machine. */
  nodes: readonly string[];
  /** Runs one of its commands; answers what it printed. @throws with what it said when it failed */
  command(...words: [string, ...string[]]): string;
  startController(): Promise<void>;
  stopController(): Promise<void>;
  startNode(name: string): void;
  /** As when the machine went: what ran on it goes as well. */
  killNode(name: string): Promise<void>;
  stop(): Promise<void>;
}

/** For a machine with much else to do. */
const PATIENCE_MS = 100_000;
const INSTALL = 'mariadb-install-db';
const PROGRAMS = ['munged', 'slurmctld', 'slurmd', 'slurmdbd', 'mariadbd', INSTALL, 'sbatch', 'sacct'];
const SEARCH = `${process.env['PATH']}:/usr/sbin:/usr/local/sbin`;

/** The reason for which tests with Slurm are skipped here, or false. */
export const noSlurm = (() => {
  const missing = PROGRAMS.filter(
    (program) => spawnSync('sh', ['-c', `command -v ${program}`], { env: { PATH: SEARCH } }).status !== 0,
  );
  return missing.length > 0 && `no Slurm here: ${missing.join(', ')} missing (Debian: see .ci/run)`;
})();

export async function startCluster({ nodes: count = 2, cpus = 16, settings = [] as string[] } = {}): Promise<Cluster> {
  const folder = mkdtempSync(join(tmpdir(), 'panda-slurm-'));
  const at = (...names: string[]) => join(folder, ...names);
  for (const name of ['state', 'spool', 'logs', 'run']) mkdirSync(at(name), { mode: 0o755 });
  const munge = at('run', 'munge');
  const [controllerPort = 0, accountingPort = 0, ...nodePorts] = await freePorts(2 + count);
  const nodes = nodePorts.map((_, index) => `n${index + 1}`);
  const user = userInfo().username;
  const daemons = new Map<string, ChildProcess>();

  writeFileSync(at('munge.key'), randomBytes(128), { mode: 0o400 });
  const slurmdbd = [
    'AuthType=auth/munge',
    `AuthInfo=socket=${munge}`,
    'DbdHost=localhost',
    `DbdPort=${accountingPort}`,
    `SlurmUser=${user}`,
    'StorageType=accounting_storage/mysql',
    'StorageHost=localhost',
    `StorageUser=${user}`,
    `LogFile=${at('logs', 'slurmdbd')}`,
    `PidFile=${at('run', 'slurmdbd.pid')}`,
  ];
  writeFileSync(at('slurmdbd.conf'), lines(slurmdbd), { mode: 0o600 });
  const slurm = [
    'ClusterName=test',
    `SlurmctldHost=${hostname()}(127.0.0.1)`,
    `SlurmUser=${user}`,
    `SlurmdUser=${user}`,
    'AuthType=auth/munge',
    `AuthInfo=socket=${munge}`,
    'CredType=cred/munge',
    `SlurmctldPort=${controllerPort}`,
    `StateSaveLocation=${at('state')}`,
    `SlurmdSpoolDir=${at('spool', '%n')}`,
    `SlurmctldPidFile=${at('run', 'slurmctld.pid')}`,
    `SlurmdPidFile=${at('run', 'slurmd.%n.pid')}`,
    `SlurmctldLogFile=${at('logs', 'slurmctld')}`,
    `SlurmdLogFile=${at('logs', 'slurmd.%n')}`,
    'SlurmctldDebug=debug2',
    'SlurmdDebug=debug3',
    'ProctrackType=proctrack/linuxproc',
    'TaskPlugin=task/none',
    'MpiDefault=none',
    'SelectType=select/cons_tres',
    'SelectTypeParameters=CR_Core_Memory,CR_LLN',
    'SlurmdParameters=config_overrides',
    'SchedulerParameters=sched_min_interval=0,bf_interval=1,batch_sched_delay=0',
    'ReturnToService=2',
    'SlurmdTimeout=10',
    'KillWait=10',
    'MinJobAge=5',
    'OverTimeLimit=0',
    'AccountingStorageType=accounting_storage/slurmdbd',
    'AccountingStorageHost=localhost',
    `AccountingStoragePort=${accountingPort}`,
    `AccountingStoragePass=${munge}`,
    'AccountingStoreFlags=job_comment,job_env,job_script',
    'JobCompType=jobcomp/filetxt',
    `JobCompLoc=${at('state', 'jobcomp')}`,
    'PreemptType=preempt/partition_prio',
    'PreemptMode=CANCEL',
    ...nodes.map(
      (node, index) =>
        `NodeName=${node} NodeHostname=${hostname()} NodeAddr=127.0.0.1 Port=${nodePorts[index]} CPUs=${cpus} RealMemory=64000`,
    ),
    'PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE PriorityTier=1',
    'PartitionName=urgent Nodes=ALL MaxTime=INFINITE PriorityTier=100 PreemptMode=OFF',
    ...settings,
  ];
  writeFileSync(at('slurm.conf'), lines(slurm));

  const environment = { PATH: SEARCH, HOME: process.env['HOME'], SLURM_CONF: at('slurm.conf') };

  function start(name: string, words: readonly [string, ...string[]], env: NodeJS.ProcessEnv = {}): void {
    const output = openSync(at('logs', `${name}.out`), 'a');
    const [program, ...args] = words;
    const own = { ...environment, ...env };
    daemons.set(name, spawn(program, args, { env: own, stdio: ['ignore', output, output], cwd: folder }));
  }

  async function stop(name: string, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const daemon = daemons.get(name);
    daemons.delete(name);
    if (!daemon || daemon.exitCode !== null || daemon.signalCode !== null) return;
    const ended = new Promise((resolve) => daemon.once('exit', resolve));
    daemon.kill(signal);
    const impatient = setTimeout(() => daemon.kill('SIGKILL'), PATIENCE_MS);
    await ended;
    clearTimeout(impatient);
  }

  const tryCommand = (words: readonly [string, ...string[]]) => {
    const [program, ...args] = words;
    return spawnSync(program, args, { env: environment, encoding: 'utf8' });
  };

  const cluster: Cluster = {
    folder,
    environment,
    nodes,
    command(...words) {
      const { status, stdout, stderr } = tryCommand(words);
      if (status !== 0) throw new Error(`${words.join(' ')}: ${stderr}${stdout}`);
      return stdout.trim();
    },
    async startController() {
      start('slurmctld', ['slurmctld', '-D']);
      await ready('slurmctld', () => tryCommand(['scontrol', 'ping']).stdout.includes('is UP'));
    },
    stopController: () => stop('slurmctld'),
    startNode(name) {
      start(name, ['slurmd', '-D', '-N', name]);
    },
    async killNode(name) {
      await stop(name, 'SIGKILL');
      // None of them may see the others go, and tell of it.
      const steps = stepsOf(name);
      for (const signal of ['SIGSTOP', 'SIGKILL'] as const) for (const pid of steps) tryKill(pid, signal);
    },
    async stop() {
      tryCommand(['scancel', '--user', user]);
      for (const node of nodes) for (const pid of stepsOf(node)) tryKill(pid, 'SIGKILL');
      for (const name of [...nodes, 'slurmctld', 'slurmdbd', 'munged']) await stop(name);
      await stop('mariadb', 'SIGKILL');
      // Processes that were killed on the nodes may still write there for a moment.
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };

  /** The daemons that hold jobs on a node, and what runs in these. */
  function stepsOf(node: string): number[] {
    const mark = `SLURMD_NODENAME=${node}`;
    const jobs = processesWith(
      (variables) => variables.includes(`SLURM_CONF=${at('slurm.conf')}`) && variables.includes(mark),
    );
    const parents = jobs.map(parentOf).filter((pid) => readProc(pid, 'cmdline')[0]?.includes('slurmstepd'));
    return [...new Set([...parents, ...jobs])];
  }

  async function ready(what: string, isReady: () => boolean): Promise<void> {
    const giveUpAt = performance.now() + PATIENCE_MS;
    while (!isReady()) {
      if (performance.now() > giveUpAt) {
        const said = readFileSync(at('logs', `${what}.out`), 'utf8');
        await cluster.stop();
        throw new Error(`${what} is not ready in time: ${said}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  const socket = at('run', 'sql');
  const data = at('accounting');
  const made = spawnSync(
    INSTALL,
    [
      '--no-defaults',
      `--user=${user}`,
      `--datadir=${data}`,
      '--auth-root-authentication-method=socket',
      '--skip-test-db',
    ],
    { env: { PATH: SEARCH }, encoding: 'utf8' },
  );
  if (made.status !== 0) throw new Error(`${INSTALL}: ${made.stderr}${made.stdout}`);
  const small = ['--skip-networking', '--innodb-buffer-pool-size=32M', '--innodb-flush-log-at-trx-commit=0'];
  start('mariadb', [
    'mariadbd',
    '--no-defaults',
    `--user=${user}`,
    `--datadir=${data}`,
    `--socket=${socket}`,
    ...small,
  ]);
  const files = [`--socket=${munge}`, `--key-file=${at('munge.key')}`, `--pid-file=${at('run', 'munged.pid')}`];
  start('munged', [
    'munged',
    '--foreground',
    '--force',
    ...files,
    `--log-file=${at('logs', 'munged')}`,
    `--seed-file=${at('run', 'seed')}`,
  ]);
  await ready(
    'mariadb',
    () => tryCommand(['mariadb-admin', '--no-defaults', `--socket=${socket}`, 'ping']).status === 0,
  );
  start('slurmdbd', ['slurmdbd', '-D'], { MYSQL_UNIX_PORT: socket });
  await ready('slurmdbd', () => tryCommand(['sacctmgr', '--immediate', '--noheader', 'show', 'cluster']).status === 0);
  await cluster.startController();
  for (const node of nodes) cluster.startNode(node);
  await ready('slurmctld', () =>
    tryCommand(['sinfo', '-h', '-N', '-p', 'main', '-o', '%T'])
      .stdout.trim()
      .split('\n')
      .every((state) => state === 'idle'),
  );
  return cluster;
}

/** Processes whose environment is as asked for. */
export function processesWith(isWanted: (variables: readonly string[]) => boolean): number[] {
  return processes().filter((pid) => isWanted(readProc(pid, 'environ')));
}

function processes(): number[] {
  const { stdout } = spawnSync('ls', ['/proc'], { encoding: 'utf8' });
  return stdout
    .split('\n')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** Arguments or variables of a process; none of one that is gone or another user's. */
export function readProc(pid: number, file: 'environ' | 'cmdline'): string[] {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1').split('\0');
  } catch {
    return [];
  }
}

function parentOf(pid: number): number {
  try {
    const [, ppid] = /\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'latin1')) ?? [];
    return Number(ppid);
  } catch {
    return 0;
  }
}

/** One that is gone meanwhile is as it should be. */
function tryKill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {}
}

function lines(list: readonly string[]): string {
  return `${list.join('\n')}\n`;
}
