import type { ChangedTask, Submission } from '../jobs/jobs.ts';
import { InvalidArgument } from '../protocol/errors.ts';
import { checkFileName } from '../protocol/file-name.ts';
import { MAX_MAX_ATTEMPTS, MAX_SECRETS_PER_OWNER, MAX_SHOWN_CHARS, MAX_TASK_NAME_CHARS } from '../protocol/limits.ts';
import { parseWireName, type WireName } from '../protocol/names.ts';
import {
  count,
  flag,
  isGiven,
  isObject,
  parseJobCount,
  parseMaxAttempts,
  parseTemplate,
} from '../protocol/task-template.ts';
import { shownText } from '../protocol/text.ts';

/** A task as its user submits it: its secrets are named, not found yet. */
export type TaskRequest = Omit<Submission, 'secretIds'> & {
  /** The only secrets that its jobs get, or null for all. Our extension; the names are never stored. */
  secretNames: readonly WireName[] | null;
};

/** Parameters that change what a job does and that this system does not do: better refused than ignored. */
const NOT_OFFERED: Record<string, string> = {
  buildSpec: 'build steps are not offered; submit with --noBuild',
  preproSpec: 'preprocessing steps are not offered',
  mergeSpec: 'merging outputs is not offered',
  mergeOutput: 'merging outputs is not offered',
  multiStepExec: 'multi-step execution is not offered',
  container_name: 'running in a container image is not offered',
  pfnList: 'input files are not offered',
  dsForIN: 'input datasets are not offered',
  loadXML: 'XML job definitions are not offered',
};

/**
 * Reads the `task_parameters` of PanDA's `task/submit`. What is not understood and does no harm is left out, `cliParams`
 * among it: it is the user's command line.
 *
 * @throws {InvalidArgument} naming the parameter
 */
export function parseTaskParameters(parameters: Record<string, unknown>): TaskRequest {
  for (const [name, reason] of Object.entries(NOT_OFFERED)) {
    if (isGiven(parameters[name])) throw new InvalidArgument(`${name}: ${reason}`);
  }
  const secretNames = parseSecretNames(parameters['secretNames']);
  const sealed = flag(parameters, 'sealed');
  if (sealed && !secretNames) throw new InvalidArgument('sealed: the secrets must be named, in secretNames');
  return {
    name: parseTaskName(parameters['taskName']),
    uniqueName: flag(parameters, 'uniqueTaskName'),
    queue: parseQueue(parameters),
    jobCount: parseJobCount(parameters),
    maxAttempts: parseMaxAttempts(parameters),
    useSecrets: secretNames !== null || flag(parameters, 'useSecrets'),
    secretNames,
    sealed,
    template: parseTemplate(parameters),
  };
}

const CHANGEABLE = ['site', 'includedSite', 'maxAttempt', 'sealed'];

/**
 * Reads the `new_parameters` of PanDA's `task/retry`: an object, or the JSON text of one. What a task runs stays as it was.
 *
 * @throws {InvalidArgument} naming the parameter
 */
export function parseChangedParameters(given: string | Record<string, unknown>): ChangedTask {
  const parameters = typeof given === 'string' ? parseJsonObject(given) : given;
  const other = Object.keys(parameters).find((name) => !CHANGEABLE.includes(name));
  if (other !== undefined) {
    throw new InvalidArgument(
      `new_parameters: "${other.slice(0, 64)}" cannot be changed, only ${CHANGEABLE.join(', ')}: submit the task anew`,
    );
  }
  const maxAttempts = count(parameters, 'maxAttempt', MAX_MAX_ATTEMPTS);
  return {
    ...(('site' in parameters || 'includedSite' in parameters) && { queue: parseQueue(parameters) }),
    ...(maxAttempts !== undefined && { maxAttempts }),
    ...(flag(parameters, 'sealed') && { sealed: true }),
  };
}

function parseJsonObject(text: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(text);
    if (isObject(parsed)) return parsed;
  } catch {
    // Said below.
  }
  throw new InvalidArgument('new_parameters: must be a JSON object');
}

function parseTaskName(value: unknown): string {
  if (typeof value !== 'string' || value === '') throw new InvalidArgument('taskName: a name is needed');
  const name = value.endsWith('/') ? value : `${value}/`;
  if (name.length > MAX_TASK_NAME_CHARS) {
    throw new InvalidArgument(`taskName: at most ${MAX_TASK_NAME_CHARS} characters are allowed, not ${name.length}`);
  }
  checkFileName(name.slice(0, -1), 'taskName');
  return name;
}

function parseSecretNames(value: unknown): WireName[] | null {
  if (value === undefined || value === null) return null;
  if (!Array.isArray(value) || value.some((name) => typeof name !== 'string') || value.length === 0) {
    throw new InvalidArgument('secretNames: must be a list of names, with at least one');
  }
  if (value.length > MAX_SECRETS_PER_OWNER) {
    throw new InvalidArgument(`secretNames: at most ${MAX_SECRETS_PER_OWNER} can be named, not ${value.length}`);
  }
  return [...new Set((value as string[]).map(parseWireName))];
}

/** `site` or `includedSite`, which may be a list or text with commas, as long as it comes to one. */
function parseQueue(parameters: Record<string, unknown>): string | null {
  if (isGiven(parameters['excludedSite'])) {
    throw new InvalidArgument('excludedSite: is not offered; name the queue with site (prun --site)');
  }
  const names = new Set<string>();
  for (const field of ['site', 'includedSite']) {
    const value = parameters[field];
    const list = typeof value === 'string' ? value.split(',') : (value ?? []);
    if (!Array.isArray(list) || list.some((name) => typeof name !== 'string')) {
      throw new InvalidArgument(`${field}: must be the name of a queue`);
    }
    for (const name of list) if (name !== '' && name !== 'AUTO') names.add(shownText(name, MAX_SHOWN_CHARS));
  }
  if (names.size > 1) throw new InvalidArgument(`site: one queue can be named, not ${[...names].join(', ')}`);
  return [...names][0] ?? null;
}
