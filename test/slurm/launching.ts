import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Site } from '../end-to-end/site.ts';
import { temporaryFolder } from '../pilot/folders.ts';
import { programWords } from '../programs.ts';
import type { Cluster } from './cluster.ts';

/** A launcher that runs as a process of its own. */
export interface RunningLauncher {
  /** All that it said. */
  said(): string;
  signal(signal: NodeJS.Signals): void;
  /** Its exit status or signal. */
  ended: Promise<number | NodeJS.Signals | null>;
}

/** What a launcher needs at a site: its queue, its token, its file. One may be started again and again. */
export interface LauncherHome {
  queue: string;
  /** Its folder. */
  folder: string;
  token: string;
  start(): RunningLauncher;
}

/** Prepares a launcher at a queue of its own, as an admin would. */
export async function prepareLauncher(
  t: TestContext,
  site: Site,
  cluster: Cluster,
  { queue, lines = [], slurm = [] }: { queue: string; lines?: readonly string[]; slurm?: readonly string[] },
): Promise<LauncherHome> {
  const folder = await temporaryFolder(t);
  const logs = join(cluster.folder, 'logs', `pilots-${queue}`);
  mkdirSync(logs, { mode: 0o700 });
  await site.queue(queue);
  const token = await site.operator('launcher', 'add', queue, '--queue', queue);
  writeFileSync(join(folder, 'token'), `${token}\n`, { mode: 0o600 });
  const file = join(folder, 'launcher.toml');
  const pilot = ['--workdir', join(folder, 'work'), '--allow-root', '--heartbeat', '1'];
  const settings = [
    `queue = "${queue}"`,
    `server = "${site.url}"`,
    'token_file = "token"',
    'memory_mb = 200',
    'poll_seconds = 1',
    'idle_seconds = 3',
    `command = ${JSON.stringify(programWords('panda-pilot'))}`,
    `options = ${JSON.stringify(pilot)}`,
    ...lines,
    '[slurm]',
    `logs = "${logs}"`,
    ...slurm,
  ];
  writeFileSync(file, `${settings.join('\n')}\n`);
  return {
    queue,
    folder,
    token,
    start: () => startLauncher(t, cluster, ['launch', '--batch', 'slurm', '--config', file]),
  };
}

function startLauncher(t: TestContext, cluster: Cluster, args: readonly string[]): RunningLauncher {
  const [node, ...words] = programWords('panda-pilot');
  const child: ChildProcess = spawn(node, [...words, ...args], {
    env: cluster.environment,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) =>
    child.once('close', (status, signal) => resolve(status ?? signal)),
  );
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return { said: () => said, signal: (signal) => void child.kill(signal), ended };
}
