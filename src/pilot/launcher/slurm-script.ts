import type { PilotRequest } from './batch.ts';

/** The site's own settings for Slurm. */
export interface SlurmSettings {
  partition?: string | undefined;
  account?: string | undefined;
  qos?: string | undefined;
  /** Lines of shell before the pilot starts, which everybody may read. */
  setup: readonly string[];
  /** The folder for what pilots say, in Slurm's words; nothing is kept without it. */
  logs?: string | undefined;
  /** `sbcast`: to a file in a folder of the node's memory; `folder`: by a private folder that nodes and launcher share. */
  handOver: 'sbcast' | 'folder';
  tokenFolder: string;
}

/** The time that a pilot waits for its token. The launcher hands it over at its next look, or at its next start. */
const TOKEN_WAIT_SECONDS = 900;

/**
 * The batch script of a pilot, whose random mark names its token's file. Slurm keeps it, and shows it to others: it holds nothing that lets a pilot in. All options of `sbatch`
 * stand in it, so that the command has no arguments.
 */
export function slurmScript(pilot: PilotRequest, mark: string, settings: SlurmSettings): string {
  const { partition, account, qos, setup, logs, tokenFolder } = settings;
  const options = [
    '--parsable',
    `--job-name=${jobName(pilot.name, mark)}`,
    '--nodes=1',
    '--ntasks=1',
    `--cpus-per-task=${pilot.cores}`,
    `--mem=${pilot.memoryMB}`,
    `--time=${pilot.minutes}`,
    ...(pilot.gpus > 0 ? [`--gpus=${pilot.gpus}`] : []),
    ...(partition === undefined ? [] : [`--partition=${partition}`]),
    ...(account === undefined ? [] : [`--account=${account}`]),
    ...(qos === undefined ? [] : [`--qos=${qos}`]),
    ...pilot.extra,
    // These last: they hold whatever the site adds.
    '--export=NONE',
    // A pilot that Slurm started again would have no token.
    '--no-requeue',
    '--chdir=/',
    `--output=${logs === undefined ? '/dev/null' : `${logs}/%x-%j.log`}`,
  ];
  const token = ['--await-token', String(TOKEN_WAIT_SECONDS), '--token-file', tokenFile(tokenFolder, mark)];
  return [
    '#!/bin/sh',
    ...options.map((option) => `#SBATCH ${option}`),
    'umask 077',
    ...setup,
    `exec ${[...pilot.argv, ...token].map(quoted).join(' ')}`,
    '',
  ].join('\n');
}

/** The name of a pilot's batch job. Its mark is random, and no secret: ids of batch jobs come again when a cluster is set up anew. */
function jobName(name: string, mark: string): string {
  return `${name}.${mark}`;
}

/** The mark in the name of a batch job; undefined when it is no pilot of this name. */
export function markIn(jobName: string, name: string): string | undefined {
  const mark = jobName.startsWith(`${name}.`) ? jobName.slice(name.length + 1) : '';
  return /^[0-9a-f]{16}$/.test(mark) ? mark : undefined;
}

/** The file of a pilot's token. */
export function tokenFile(folder: string, mark: string): string {
  return `${folder}/panda-pilot-token-${mark}`;
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
