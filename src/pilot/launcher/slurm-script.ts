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
    ...(settings.send === undefined ? [] : awaitedProgram(sentProgram(settings.sendTo, mark))),
    `exec ${[...argvOf(pilot, mark, settings), ...token].map(quoted).join(' ')}`,
    '',
  ].join('\n');
}

/** The words that start the pilot: with a program that was sent along in the place of the site's own. */
function argvOf({ argv }: PilotRequest, mark: string, { send, sendTo }: SlurmSettings): readonly string[] {
  return send === undefined ? argv : [sentProgram(sendTo, mark), ...argv.slice(1)];
}

/**
 * Waits for the program, which is whole when it has its last name. One that another user put there is not run. It goes from the
 * node's disk once it runs.
 */
function awaitedProgram(program: string): string[] {
  return [
    `n=0; until [ -e ${program}.sent ] || [ $n -ge ${TOKEN_WAIT_SECONDS} ]; do sleep 1; n=$((n+1)); done`,
    // A link to a file of this user's own is somebody else's choice.
    'own() { [ ! -L "$1" ] && [ -O "$1" ] && [ "$(stat -c %h "$1")" = 1 ]; }',
    `own ${program} && own ${program}.sent || { echo "no program of this user's was sent to ${program}"; rm -f ${program} ${program}.sent; exit 1; }`,
    `chmod 700 ${program}; (sleep 30; rm -f ${program} ${program}.sent) &`,
  ];
}

/** The file of the program that goes along with a pilot. */
export function sentProgram(folder: string, mark: string): string {
  return `${folder}/panda-pilot-${mark}`;
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
