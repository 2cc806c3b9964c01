import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parse } from 'smol-toml';
import { Misconfigured } from '../../protocol/errors.ts';
import { isLoopback } from '../../protocol/loopback.ts';
import type { SlurmSettings } from './slurm-script.ts';

/** All that the admin of a launcher can set. */
export interface LauncherSettings {
  queue: string;
  /** The origin of the server; as the environment says unless set. */
  server?: string | undefined;
  /** The file with the launcher's own token. */
  tokenFile: string;
  /** The name of its batch jobs. */
  name: string;
  pilot: {
    cores: number;
    memoryMB: number;
    minutes: number;
    gpus: number;
    /** Jobs that it runs at the same time. */
    slots: number;
    /** It ends when no job was there for so long. */
    idleSeconds: number;
    /** The program and its first arguments. */
    command: readonly string[];
    options: readonly string[];
    siteKey?: string | undefined;
  };
  limits: LauncherLimits;
  slurm: SlurmSettings & { extra: readonly string[] };
}

export interface LauncherLimits {
  /** Pilots that wait in the batch system at once. */
  maxQueued: number;
  /** Pilots that wait or run. */
  maxPilots: number;
  /** Jobs that wait, for each slot of a pilot that is submitted. */
  backlog: number;
  pollSeconds: number;
}

type Kind = keyof typeof READ;
/** A key of the file: what it must be, and its value where it is left out; `undefined` where there is none. */
type Key = readonly [kind: Kind, byDefault?: unknown];

/** The keys of the file. `docs/clusters.md` has each: a test compares them. */
const LAUNCHER_KEYS = {
  queue: ['queue'],
  server: ['origin'],
  token_file: ['path'],
  name: ['name'],
  cores: ['count', 1],
  memory_mb: ['count', 2000],
  minutes: ['count', 720],
  gpus: ['number', 0],
  slots: ['count'],
  idle_seconds: ['count', 300],
  command: ['words', ['panda-pilot']],
  options: ['words', []],
  site_key: ['path'],
  max_queued: ['count', 10],
  max_pilots: ['count', 100],
  backlog: ['count', 1],
  poll_seconds: ['count', 10],
} as const satisfies Record<string, Key>;

/** The keys of its table `[slurm]`. */
const SLURM_KEYS = {
  partition: ['name'],
  account: ['name'],
  qos: ['name'],
  extra: ['options', []],
  setup: ['lines', []],
  logs: ['path'],
  hand_over: ['hand', 'sbcast'],
  token_folder: ['path'],
  send: ['path'],
  send_to: ['path', '/tmp'],
} as const satisfies Record<string, Key>;

const REQUIRED = ['queue', 'token_file'];
const MAX_NUMBER = 1_000_000;

/**
 * The settings of a launcher, from its file (TOML).
 *
 * @throws {Misconfigured} naming the key, and what it may be
 */
export function readLauncherSettings(file: string): LauncherSettings {
  const { slurm: table, ...own } = readToml(file);
  const values = readKeys(LAUNCHER_KEYS, own, file, '');
  if (table !== undefined && (typeof table !== 'object' || Array.isArray(table))) {
    throw new Misconfigured(`"slurm" in ${file} must be a table: [slurm]`);
  }
  const slurm = readKeys(SLURM_KEYS, (table ?? {}) as Record<string, unknown>, file, ' of [slurm]');
  if (slurm['hand_over'] === 'folder' && slurm['token_folder'] === undefined) {
    throw new Misconfigured(`"hand_over" of [slurm] in ${file} is "folder": "token_folder" must name it`);
  }
  const queue = values['queue'] as string;
  const cores = values['cores'] as number;
  return {
    queue,
    server: values['server'] as string | undefined,
    tokenFile: values['token_file'] as string,
    name: (values['name'] as string | undefined) ?? `panda-pilot-${queue}`,
    pilot: {
      cores,
      memoryMB: values['memory_mb'] as number,
      minutes: values['minutes'] as number,
      gpus: values['gpus'] as number,
      slots: (values['slots'] as number | undefined) ?? cores,
      idleSeconds: values['idle_seconds'] as number,
      command: values['command'] as string[],
      options: values['options'] as string[],
      siteKey: values['site_key'] as string | undefined,
    },
    limits: {
      maxQueued: values['max_queued'] as number,
      maxPilots: values['max_pilots'] as number,
      backlog: values['backlog'] as number,
      pollSeconds: values['poll_seconds'] as number,
    },
    slurm: {
      partition: slurm['partition'] as string | undefined,
      account: slurm['account'] as string | undefined,
      qos: slurm['qos'] as string | undefined,
      extra: slurm['extra'] as string[],
      setup: slurm['setup'] as string[],
      logs: slurm['logs'] as string | undefined,
      handOver: slurm['hand_over'] as 'sbcast' | 'folder',
      send: slurm['send'] as string | undefined,
      sendTo: slurm['send_to'] as string,
      tokenFolder: (slurm['token_folder'] as string | undefined) ?? '/dev/shm',
    },
  };
}

function readToml(file: string): Record<string, unknown> {
  try {
    return parse(readFileSync(file, 'utf8'));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code ? `it cannot be read (${code})` : message.split('\n', 1)[0];
    throw new Misconfigured(`the launcher's file ${file}: ${reason}`);
  }
}

function readKeys(
  keys: Record<string, Key>,
  given: Record<string, unknown>,
  file: string,
  where: string,
): Record<string, unknown> {
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(keys, name));
  if (unknown !== undefined) {
    const known = [...Object.keys(keys), ...(where === '' ? ['the table [slurm]'] : [])].join(', ');
    throw new Misconfigured(`"${unknown}"${where} in ${file} is not known; there are ${known}`);
  }
  return Object.fromEntries(
    Object.entries(keys).map(([name, [kind, byDefault]]) => {
      const value = given[name];
      const place = `"${name}"${where} in ${file}`;
      if (value !== undefined) return [name, READ[kind](value, place, dirname(resolve(file)))];
      if (REQUIRED.includes(name)) throw new Misconfigured(`${place} is missing: ${ALLOWED[kind]}`);
      return [name, byDefault];
    }),
  );
}

/** The rest of the message that names a key. */
const ALLOWED = {
  queue: 'the name of a queue: letters, digits, ".", "_" and "-"',
  name: 'letters, digits, ".", "_" and "-"',
  origin: 'the address of the server: https://HOST or https://HOST:PORT',
  count: `a whole number from 1 to ${MAX_NUMBER}`,
  number: `a whole number from 0 to ${MAX_NUMBER}`,
  words: 'a list of texts, each without line breaks',
  lines: 'a list of lines of shell',
  options: 'a list of options of sbatch, such as "--constraint=avx2", without blanks and quotes',
  path: 'a path without blanks and quotes',
  hand: '"sbcast" or "folder"',
};

/** Options of `sbatch` that would undo what the launcher relies on. */
const NOT_EXTRA = (
  'export export-file array wrap job-name comment output error requeue no-requeue parsable quiet chdir nodes ntasks time mem ' +
  'get-user-env clusters wait hold'
).split(' ');
/** Also behind letters that take no value. */
const NOT_EXTRA_LETTERS = /^-[hkOsvV]*[aJoeDnNtMWHQ]/;

/** `sbatch` takes the beginning of an option's name for the option, and a value that follows a letter at once. */
function isOwnOption(option: string): boolean {
  if (!option.startsWith('--')) return NOT_EXTRA_LETTERS.test(option);
  const [name = ''] = option.slice(2).split('=');
  return NOT_EXTRA.some((own) => own.startsWith(name) || name.startsWith(`${own}-`));
}

const READ = {
  queue: (value: unknown, where: string) => matching(value, /^[\w.-]{1,64}$/, where, ALLOWED.queue),
  name: (value: unknown, where: string) => matching(value, /^[\w.-]{1,128}$/, where, ALLOWED.name),
  origin(value: unknown, where: string) {
    const url = typeof value === 'string' ? URL.parse(value) : null;
    const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname));
    if (url && isSafe && url.href === `${url.origin}/`) return url.origin;
    throw mustBe(where, ALLOWED.origin);
  },
  count: (value: unknown, where: string) => wholeNumber(value, 1, where, ALLOWED.count),
  number: (value: unknown, where: string) => wholeNumber(value, 0, where, ALLOWED.number),
  words: (value: unknown, where: string) => texts(value, /^[^\n\r\0]+$/, where, ALLOWED.words),
  lines: (value: unknown, where: string) => texts(value, /^[^\n\r\0]+$/, where, ALLOWED.lines),
  options(value: unknown, where: string) {
    const list = texts(value, /^--?[A-Za-z][^\s"'\\#]*$/, where, ALLOWED.options);
    const own = list.find(isOwnOption);
    if (own === undefined) return list;
    throw new Misconfigured(`${where} has "${own}", which the launcher sets itself`);
  },
  path(value: unknown, where: string, base: string) {
    const path = typeof value === 'string' && value !== '' ? resolve(base, value) : '';
    if (/^[^\s"'\\#]+$/.test(path)) return path;
    throw mustBe(where, ALLOWED.path);
  },
  hand: (value: unknown, where: string) => matching(value, /^(sbcast|folder)$/, where, ALLOWED.hand),
};

function matching(value: unknown, form: RegExp, where: string, allowed: string): string {
  if (typeof value === 'string' && form.test(value)) return value;
  throw mustBe(where, allowed);
}

function wholeNumber(value: unknown, least: number, where: string, allowed: string): number {
  if (Number.isInteger(value) && Number(value) >= least && Number(value) <= MAX_NUMBER) return Number(value);
  throw mustBe(where, allowed);
}

function texts(value: unknown, form: RegExp, where: string, allowed: string): string[] {
  if (Array.isArray(value) && value.every((one) => typeof one === 'string' && form.test(one))) return value;
  throw mustBe(where, allowed);
}

function mustBe(where: string, allowed: string): Misconfigured {
  return new Misconfigured(`${where} must be ${allowed}`);
}
