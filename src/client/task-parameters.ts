import { arch, release, type } from 'node:os';
import { InvalidArgument } from '../protocol/errors.ts';
import { buildJobParameters, type TaskParameter } from '../protocol/job-parameters.ts';
import type { LeakedOutputs } from '../protocol/leaked-outputs.ts';
import { MAX_CONTAINER_NAME_CHARS } from '../protocol/limits.ts';
import type { WireName } from '../protocol/names.ts';
import type { SecretForm } from '../protocol/secret-forms.ts';
import { VERSION } from '../protocol/version.ts';
import type { StoredSandbox } from './sandboxes.ts';

/** A task as `prun` takes it. */
export interface TaskOptions {
  /** The command of each job, for the shell; `%RNDM:N` in it counts from N over the jobs. */
  exec: string;
  /** `user.NICK.SOMETHING`, with or without `/` at its end. */
  outDataset: string;
  /** Names of the files to bring back. `SUFFIX:NAME` names the container, `OUTDS_SUFFIX/`. */
  outputs: readonly string[];
  /** From 1. */
  jobs: number;
  useSecrets: boolean;
  /** The only secrets that the jobs get; all of them when left out. */
  secretNames?: readonly WireName[] | undefined;
  /** They are sealed: the task waits for its grant. */
  sealed?: boolean;
  /** In which forms jobs find them; in every one when left out. */
  secretForms?: readonly SecretForm[] | undefined;
  /** The treatment of outputs that hold secrets; `warn` when left out. */
  leakedOutputs?: LeakedOutputs | undefined;
  site?: string | undefined;
  maxAttempts?: number | undefined;
  /** Hours that a job may run, and MB of memory that it needs on each of its cores. */
  maxWalltime?: number | undefined;
  memory?: number | undefined;
  /** The command line as it is kept with the task; never with a secret's name or value. */
  commandLine: string;
}

/**
 * The task parameters of PanDA's `task/submit`, as its `prun --noBuild` makes them.
 *
 * @param vo the VO alone, without a role
 * @throws {InvalidArgument} naming what cannot be sent
 */
export function buildTaskParameters(options: TaskOptions, vo: string, sandbox: StoredSandbox): Record<string, unknown> {
  const name = options.outDataset.replace(/\/+$/, '');
  const outputs = options.outputs.map((output) => outputOf(output, name));
  const log = `${name}.log/`;
  for (const container of [log, ...outputs.map(({ dataset }) => dataset)]) checkLength(container);
  return {
    taskName: `${name}/`,
    uniqueTaskName: true,
    vo,
    architecture: null,
    transUses: '',
    transHome: null,
    processingType: `panda-client-${VERSION}-jedi-run`,
    prodSourceLabel: 'user',
    site: options.site ?? null,
    excludedSite: [],
    includedSite: null,
    nEvents: options.jobs,
    nEventsPerJob: 1,
    cliParams: options.commandLine,
    osInfo: `${type()}-${release()}-${arch()}`,
    nMaxFilesPerJob: 200,
    respectSplitRule: true,
    ...(options.maxAttempts === undefined ? {} : { maxAttempt: options.maxAttempts }),
    ...(options.maxWalltime === undefined ? {} : { maxWalltime: options.maxWalltime }),
    ...(options.memory === undefined ? {} : { ramCount: options.memory, ramCountUnit: 'MBPerCore' }),
    ...(options.useSecrets ? { useSecrets: true } : {}),
    ...(options.secretNames === undefined ? {} : { secretNames: options.secretNames }),
    ...(options.sealed ? { sealed: true } : {}),
    ...(options.secretForms === undefined ? {} : { secretsAs: options.secretForms }),
    ...(options.leakedOutputs === undefined ? {} : { leakedOutputs: options.leakedOutputs }),
    sourceURL: sandbox.origin,
    noInput: true,
    log: {
      dataset: log,
      container: log,
      type: 'template',
      param_type: 'log',
      value: `${name}.log.$JEDITASKID.\${SN}.log.tgz`,
    },
    jobParameters: jobParameters(options.exec, sandbox.fileName, outputs),
  };
}

/**
 * Checks the name of a task's outputs by PanDA's rules: `user.NICK.` in front, no sign that a storage could trip over.
 *
 * @param nickname `preferred_username` of the caller's token
 * @throws {InvalidArgument}
 */
export function checkOutDataset(outDataset: string, nickname: string): void {
  const bad = /[^\w./+-]|\/(?!$)/.exec(outDataset)?.[0];
  if (bad)
    throw new InvalidArgument(`--outDS may not contain ${JSON.stringify(bad)}: letters, digits, ".", "_", "+", "-"`);
  const prefix = `user.${nickname}.`;
  if (!outDataset.startsWith(prefix) || outDataset.replace(/\/$/, '').length === prefix.length) {
    throw new InvalidArgument(`--outDS must begin with "${prefix}" and go on, for example ${prefix}test1`);
  }
  checkLength(`${outDataset.replace(/\/$/, '')}/`);
}

function checkLength(container: string): void {
  if (container.length <= MAX_CONTAINER_NAME_CHARS) return;
  throw new InvalidArgument(
    `"${container}" has ${container.length} characters; at most ${MAX_CONTAINER_NAME_CHARS} are allowed: choose a shorter --outDS`,
  );
}

type Output = Parameters<typeof buildJobParameters>[0]['outputs'][number];

function outputOf(text: string, taskName: string): Output {
  const [, suffix, name = text] = /^([^:]+):(.+)$/.exec(text) ?? [];
  if (name.includes('*') || name.startsWith('regex|')) {
    throw new InvalidArgument(`--outputs: "${name}" is a pattern; name each file, or pack them in one in your command`);
  }
  const owner = taskName.split('.').slice(0, 2).join('.');
  return { name, lfn: `${owner}.$JEDITASKID._\${SN/P}.${name}`, dataset: `${taskName}_${suffix ?? name}/` };
}

function jobParameters(exec: string, sandbox: string, outputs: readonly Output[]): TaskParameter[] {
  return buildJobParameters({ sandbox, runDirectory: '.', outputs, command: exec });
}
