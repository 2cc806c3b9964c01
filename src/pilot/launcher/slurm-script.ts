import { shellWord } from '../../protocol/shell-words.ts';
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
  /** The pilot's program here, which goes to each node by `sbcast`; the nodes have it unless set. */
  send?: string | undefined;
  /** The folder of the node where it goes. */
  sendTo: string;
}

/** The time that a pilot waits for its token. The launcher hands it over at its next look, or at its next start. */
const TOKEN_WAIT_SECONDS = 900;
/** A program that lies there longer is of a batch job that has ended. */
const LEFT_MINUTES = 60;

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
  const argv = [...pilot.argv, ...token].map(shellWord);
  return [
    '#!/bin/sh',
    ...options.map((option) => `#SBATCH ${option}`),
    'umask 077',
    ...(settings.send === undefined ? [] : ownFolder(settings)),
    ...setup,
    ...(settings.send === undefined ? [] : awaitedProgram(settings, mark)),
    // A program that was sent along goes in the place of the site's own.
    `exec ${[settings.send === undefined ? argv[0] : '"$program"', ...argv.slice(1)].join(' ')}`,
    '',
  ].join('\n');
}

/** The folder of a node for programs that are sent: of the pilots' account alone. */
function programsFolder({ sendTo }: SlurmSettings): string {
  return `${sendTo}/panda-pilot-programs-${process.getuid?.() ?? 0}`;
}

/**
 * The file of the program that goes along with a pilot.
 *
 * @param attempt another one for each time that it is sent: one that was broken off is never taken for whole, nor in the way of the next
 */
export function sentProgram(settings: SlurmSettings, mark: string, attempt: string): string {
  return `${programsFolder(settings)}/${mark}-${attempt}`;
}

/** Makes the folder for programs before anything is sent, and ends the batch job where others may put something into it, or in its place. */
function ownFolder(settings: SlurmSettings): string[] {
  const folder = programsFolder(settings);
  return [
    `mkdir ${folder} 2>/dev/null`,
    `case $(stat -Lc %A ${settings.sendTo}) in d*[tT]|d????-??-*) ;; *) echo "others can replace what is in ${settings.sendTo} (chmod +t)"; exit 1;; esac`,
    `case $(stat -c %A:%u ${folder}) in drwx--[-S]---:${process.getuid?.() ?? 0}) ;; *) echo "${folder} is no folder of this user's that nobody else can enter"; exit 1;; esac`,
    // Of batch jobs that ended before they removed their own.
    `find ${folder} -type f -cmin +${LEFT_MINUTES} -delete`,
  ];
}

/** Waits for the program, which is whole when a file says so. It goes from the node's disk once it runs. */
function awaitedProgram(settings: SlurmSettings, mark: string): string[] {
  const files = `${programsFolder(settings)}/${mark}-`;
  return [
    `n=0; until set -- ${files}*.sent; [ -e "$1" ] || [ $n -ge ${TOKEN_WAIT_SECONDS} ]; do sleep 1; n=$((n+1)); done`,
    `program=\${1%.sent}`,
    `[ -e "$program" ] || { echo "no program was sent to ${programsFolder(settings)}"; rm -f ${files}*; exit 1; }`,
    `chmod 700 "$program"; (sleep 30; rm -f ${files}*) &`,
  ];
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
