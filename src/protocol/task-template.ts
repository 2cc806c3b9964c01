// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are PanDA's placeholders
import { InvalidArgument } from './errors.ts';
import { checkFileName } from './file-name.ts';
import type { JobTemplate, ParameterPiece } from './job-split.ts';
import { parseLeakedOutputs } from './leaked-outputs.ts';
import {
  DEFAULT_MAX_ATTEMPTS,
  MAX_ASKED_MEGABYTES,
  MAX_JOB_PARAMETERS_CHARS,
  MAX_JOBS_PER_TASK,
  MAX_MAX_ATTEMPTS,
  MAX_OUTPUTS_PER_JOB,
  MAX_SOURCE_URL_CHARS,
  MAX_WALLTIME_HOURS,
} from './limits.ts';
import { parseSecretForms, SECRET_FORMS } from './secret-forms.ts';

/**
 * The part of PanDA's `task_parameters` that jobs are made from. A client that signs for a task makes the same of what it sends.
 *
 * @throws {InvalidArgument} naming the parameter
 */
export function parseTemplate(parameters: Record<string, unknown>): JobTemplate {
  const list = parameters['jobParameters'];
  if (!Array.isArray(list)) throw new InvalidArgument('jobParameters: must be a list');
  const pieces: ParameterPiece[] = [
    ...parseSecretsAs(parameters['secretsAs']),
    ...parseLeaked(parameters['leakedOutputs']),
  ];
  const outputs: string[] = [];
  let room = MAX_JOB_PARAMETERS_CHARS;
  for (const [place, element] of list.entries()) {
    const where = `jobParameters[${place}]`;
    if (!isObject(element) || typeof element['value'] !== 'string') {
      throw new InvalidArgument(`${where}: must be an object with a value that is text`);
    }
    const { value, param_type: role, hidden, padding, offset } = element;
    room -= (value as string).length + 1;
    if (room < 0)
      throw new InvalidArgument(`jobParameters: at most ${MAX_JOB_PARAMETERS_CHARS} characters are allowed`);
    if (role === 'input') throw new InvalidArgument(`${where}: input datasets are not offered`);
    if (role === 'output') outputs.push(parseNameTemplate(value as string, where));
    if (outputs.length > MAX_OUTPUTS_PER_JOB) {
      throw new InvalidArgument(`jobParameters: at most ${MAX_OUTPUTS_PER_JOB} outputs are allowed`);
    }
    if (hidden === true) continue;
    if (offset !== undefined && offset !== null && !isWhole(offset)) {
      throw new InvalidArgument(`${where}.offset: must be a whole number`);
    }
    if (CONTROL.test(value as string)) throw new InvalidArgument(`${where}: may not have control characters`);
    checkPlaceholders(value as string, ['SN', 'SN/P', 'SEQNUMBER', 'SURL'], where);
    pieces.push({
      text: padding === false ? (value as string) : `${value} `,
      firstNumber: isWhole(offset) ? offset : 1,
    });
  }
  const log = parameters['log'];
  const coreCount = count(parameters, 'coreCount', 4096) ?? 1;
  return {
    sourceUrl: parseSourceUrl(parameters['sourceURL']),
    parameters: pieces,
    outputs,
    log: parseNameTemplate(isObject(log) ? log['value'] : 'log.$JEDITASKID.${SN/P}.log.tgz', 'log.value'),
    maxWalltimeSeconds: (count(parameters, 'maxWalltime', MAX_WALLTIME_HOURS) ?? 0) * 3600,
    coreCount,
    memory: (count(parameters, 'ramCount', MAX_ASKED_MEGABYTES) ?? 0) * (isPerCore(parameters) ? coreCount : 1),
    disk: parseDisk(parameters),
    processingType: label(parameters, 'processingType') ?? 'panda-secrets',
    prodSourceLabel: label(parameters, 'prodSourceLabel') ?? 'user',
  };
}

/** Beside white space: none is in what clients send, which encode the command, and each takes six characters in an answer. */
const CONTROL = /[^\P{Cc}\t\n\r]/u;

/** The ways in which jobs find their secrets, our extension: written into their parameters unless it is every way, for pilots of any kind. */
function parseSecretsAs(value: unknown): ParameterPiece[] {
  if (value === undefined || value === null) return [];
  const words = typeof value === 'string' ? value.split(',') : value;
  if (!Array.isArray(words) || words.some((word) => typeof word !== 'string')) {
    throw new InvalidArgument('secretsAs: must be a list of words');
  }
  const forms = parseSecretForms(words, 'secretsAs');
  if (forms.length === SECRET_FORMS.length) return [];
  return [{ text: `--secretsAs ${forms.join(',')} `, firstNumber: 1 }];
}

/** The treatment of outputs that hold secrets, our extension: written into the jobs' parameters unless it is what is done anyway. */
function parseLeaked(value: unknown): ParameterPiece[] {
  if (value === undefined || value === null) return [];
  if (typeof value !== 'string') throw new InvalidArgument('leakedOutputs: must be a word');
  const leaked = parseLeakedOutputs(value, 'leakedOutputs');
  return leaked === 'warn' ? [] : [{ text: `--leakedOutputs ${leaked} `, firstNumber: 1 }];
}

/** PanDA's prun asks for memory per core (`MBPerCore`, or `MBPerCoreFixed` for a number that is not to be corrected). */
function isPerCore({ ramCountUnit: unit }: Record<string, unknown>): boolean {
  return typeof unit === 'string' && unit.startsWith('MBPerCore');
}

/** `workDiskCount` in `workDiskUnit`, MB unless given. */
function parseDisk(parameters: Record<string, unknown>): number {
  const unit = parameters['workDiskUnit'] ?? 'MB';
  const megabytes = typeof unit === 'string' ? DISK_UNITS[unit.replace(/Fixed$/, '')] : undefined;
  if (megabytes === undefined) {
    throw new InvalidArgument(`workDiskUnit: must be one of ${Object.keys(DISK_UNITS).join(', ')}`);
  }
  return Math.ceil((count(parameters, 'workDiskCount', MAX_ASKED_MEGABYTES) ?? 0) * megabytes);
}

const DISK_UNITS: Record<string, number> = { kB: 1 / 1024, MB: 1, GB: 1024 };

function parseSourceUrl(value: unknown): string {
  const isAddress =
    typeof value === 'string' &&
    value.length <= MAX_SOURCE_URL_CHARS &&
    /^https?:\/\/[\w.:[\]/-]+$/.test(value) &&
    URL.canParse(value);
  if (!isAddress) {
    throw new InvalidArgument('sourceURL: must be the http or https address of the server that has the sandbox');
  }
  return value.replace(/\/+$/, '');
}

function parseNameTemplate(value: unknown, where: string): string {
  if (typeof value !== 'string') throw new InvalidArgument(`${where}: must be text`);
  checkPlaceholders(value, ['SN', 'SN/P'], where);
  checkFileName(value.replace(PLACEHOLDER, '000001').replaceAll('$JEDITASKID', '10000000'), where);
  return value;
}

/** No `$` within and not long, or the end of each of many `${` that are never closed would be looked for to the end of the text. */
const PLACEHOLDER = /\$\{([^}$]{0,64})\}/g;

function checkPlaceholders(text: string, known: readonly string[], where: string): void {
  for (const [placeholder, name = ''] of text.matchAll(PLACEHOLDER)) {
    if (!known.includes(name))
      throw new InvalidArgument(`${where}: the placeholder ${placeholder} is not offered here`);
  }
}

/** @throws {InvalidArgument} when it has more than `MAX_JOBS_PER_TASK` */
export function parseJobCount(parameters: Record<string, unknown>): number {
  const events = count(parameters, 'nEvents');
  const perJob = count(parameters, 'nEventsPerJob');
  const jobs = events === undefined ? (count(parameters, 'nJobs') ?? 1) : Math.ceil(events / (perJob ?? events));
  if (jobs > MAX_JOBS_PER_TASK) {
    throw new InvalidArgument(`nEvents: these are ${jobs} jobs; a task may have at most ${MAX_JOBS_PER_TASK}`);
  }
  return jobs;
}

export function parseMaxAttempts(parameters: Record<string, unknown>): number {
  if (flag(parameters, 'disableAutoRetry')) return 1;
  return count(parameters, 'maxAttempt', MAX_MAX_ATTEMPTS) ?? DEFAULT_MAX_ATTEMPTS;
}

/** A whole number from 1, or undefined when it is absent; PanDA's clients leave out a number by sending null, 0 or less. */
export function count(
  parameters: Record<string, unknown>,
  field: string,
  most = Number.MAX_SAFE_INTEGER,
): number | undefined {
  const value = parameters[field];
  if (value === undefined || value === null) return undefined;
  if (!Number.isSafeInteger(value)) throw new InvalidArgument(`${field}: must be a whole number`);
  const number = value as number;
  if (number > most) throw new InvalidArgument(`${field}: at most ${most} is allowed, not ${number}`);
  return number > 0 ? number : undefined;
}

export function flag(parameters: Record<string, unknown>, field: string): boolean {
  const value = parameters[field];
  if (value === undefined || value === null || value === false || value === 0) return false;
  if (value === true || value === 1) return true;
  throw new InvalidArgument(`${field}: must be true or false`);
}

function label(parameters: Record<string, unknown>, field: string): string | undefined {
  const value = parameters[field];
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value !== 'string' || !/^[\w.+-]{1,100}$/.test(value)) {
    throw new InvalidArgument(`${field}: must be a word of letters, digits, ".", "_", "-" and "+"`);
  }
  return value;
}

export function isGiven(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
