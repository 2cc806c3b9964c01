import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { availableParallelism, hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { parse } from 'smol-toml';
import { homeFolder } from '../files/home-folder.ts';
import type { ExternalIssuer } from '../identity/external-issuer.ts';
import { Misconfigured } from '../protocol/errors.ts';
import {
  DATABASE_CONNECTIONS,
  DEFAULT_PORT,
  DEFAULT_VO,
  EXPIRED_SECRETS_DAYS,
  KEEP_AUDIT_DAYS,
  KEEP_DELIVERIES_DAYS,
  KEEP_FILES_DAYS,
  KEEP_PILOTS_DAYS,
  KEEP_SANDBOXES_DAYS,
  KEEP_TASKS_DAYS,
  MAX_OWNER_BYTES,
  MAX_SECRETS_PER_OWNER,
  MAX_SITE_NAME_CHARS,
  MAX_WORKERS,
} from '../protocol/limits.ts';
import { isLoopback } from '../protocol/loopback.ts';
import { parseBlobPlace } from '../store/blob-place.ts';
import { parseIssuers } from './issuer-settings.ts';

/** All that an operator can set. */
export interface Settings {
  /** The folder of the database, the keys and the files. */
  data: string;
  /** Processes that serve its connections; one, which is the server itself, unless set. */
  workers?: number;
  /** A PostgreSQL URL; without it SQLite in `data`. */
  database?: string;
  /** Of this server to PostgreSQL, at most. */
  databaseConnections?: number;
  /** The time that the server waits for a PostgreSQL that is not there when it starts. */
  databaseWaitSeconds?: number;
  /** The place of sandboxes, logs and outputs, as `parseBlobPlace` reads it; the folder `blobs` in `data` unless set. */
  blobs?: string;
  /** URIs of root keys, the active one's first; a file `root-keys` in `data` unless set. */
  rootKeys?: readonly string[];
  host: string;
  /** 0 picks a free one. */
  port: number;
  tls?: { certFile: string; keyFile: string };
  /** Addresses or networks (CIDR) of the proxies that end TLS in front of this server. */
  trustedProxies: string[];
  /** The origin at which people and programs reach the server; the address that it listens on unless set. */
  publicUrl?: string;
  /** The VO that tokens of the embedded issuer are for. */
  vo: string;
  /** Stands on the pages; `DEFAULT_SITE_NAME` unless set. */
  siteName?: string;
  logLevel: string;
  /** Takes the log in place of standard error. */
  logFile?: string;
  /** A pilot that is silent for longer loses its jobs to others; several times what `panda-pilot --heartbeat` says. */
  leaseSeconds?: number;
  /** Secrets that a user may keep, and bytes of their values; `MAX_SECRETS_PER_OWNER` and `MAX_OWNER_BYTES` unless set. */
  userSecrets?: number;
  userSecretBytes?: number;
  /** Jobs that a user's tasks that have not ended may have; `MAX_OPEN_JOBS_PER_OWNER` unless set. */
  userJobs?: number;
  /** Bytes of sandboxes, logs and outputs that a user may bring within `OWNER_FILES_DAYS`; `MAX_OWNER_FILE_BYTES` unless set. */
  userFileBytes?: number;
  /** Requests of one address that prove nothing, in a minute; `MAX_FAILED_REQUESTS_PER_MINUTE` unless set. */
  failedRequests?: number;
  /** Where metrics are told, in plain http: an address of its own, or the server's own; nowhere unless set. */
  metricsListen?: { host: string; port: number } | 'public';
  /** How long things are kept, in days; undefined for ever. */
  keep?: Partial<Keep>;
  /** The site's own issuers, beside the embedded one. From the file only. */
  issuers: ExternalIssuer[];
}

/** What is kept for a time alone. `KEEP_TASKS_DAYS` and its neighbours unless set. */
export interface Keep {
  tasks: number | undefined;
  files: number | undefined;
  sandboxes: number | undefined;
  deliveries: number | undefined;
  audit: number | undefined;
  pilots: number | undefined;
  expiredSecrets: number | undefined;
}

type Value = string | number | readonly string[];
type Values = Partial<Record<keyof typeof SETTINGS, Value>>;

/** Each setting as the file spells it. The variable is `PANDA_SECRETS_` and the name in capitals, the flag has dashes. */
const SETTINGS = {
  data: 'path',
  workers: 'workers',
  database: 'text',
  database_connections: 'connections',
  database_wait_seconds: 'seconds',
  root_keys: 'uris',
  blobs: 'place',
  host: 'text',
  port: 'port',
  tls_cert: 'path',
  tls_key: 'path',
  trusted_proxy: 'addresses',
  public_url: 'origin',
  vo: 'text',
  site_name: 'name',
  log_level: 'text',
  log_file: 'path',
  lease_seconds: 'seconds',
  user_secrets: 'secrets',
  user_secret_megabytes: 'megabytes',
  user_jobs: 'count',
  user_file_gigabytes: 'count',
  failed_requests: 'count',
  metrics_listen: 'listen',
  keep_tasks_days: 'days',
  keep_files_days: 'days',
  keep_sandboxes_days: 'days',
  keep_deliveries_days: 'days',
  keep_audit_days: 'days',
  keep_pilots_days: 'days',
  keep_expired_secrets_days: 'days',
} as const;

/** Largest of the limits that can be set. */
const MAX_COUNT = 999_999_999;
const MEGABYTE = 2 ** 20;
/** In a setting of days. */
const FOR_EVER = 0;
const MAX_DAYS = 36_500;
const DAY_SECONDS = 24 * 3600;
const MAX_CONNECTIONS = 1000;
const LOG_LEVELS = ['error', 'warn', 'info', 'debug'];

/**
 * The settings: flags before `PANDA_SECRETS_*` variables before the configuration file (TOML) before the defaults.
 *
 * @param flags as commander gives them, in camel case; `config` names the file
 * @throws {Misconfigured} naming the setting and where it came from
 */
export function readSettings(flags: Record<string, unknown>, environment: NodeJS.ProcessEnv): Settings {
  const file = text(flags['config']) ?? environment['PANDA_SECRETS_CONFIG'];
  const fromFile = file ? readFile(file) : { values: {}, issuers: [] };
  const values: Values = { ...fromFile.values, ...fromEnvironment(environment), ...fromFlags(flags) };

  const { database, public_url: publicUrl, tls_cert: certFile, tls_key: keyFile } = values;
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new Misconfigured(`TLS needs both: ${certFile === undefined ? '--tls-cert' : '--tls-key'} is missing`);
  }
  const logLevel = String(values.log_level ?? 'info');
  if (!LOG_LEVELS.includes(logLevel)) {
    throw new Misconfigured(`the log level is one of ${LOG_LEVELS.join(', ')}, not "${logLevel}"`);
  }
  const workers = values.workers === undefined ? undefined : Number(values.workers);
  const connections = values.database_connections ?? DATABASE_CONNECTIONS;
  if (database !== undefined && (workers ?? 1) > Number(connections)) {
    throw new Misconfigured(
      `each of ${workers} workers needs a connection to PostgreSQL: database_connections allows ${connections}`,
    );
  }
  return {
    data: String(values.data ?? defaultFolder(environment)),
    host: String(values.host ?? '127.0.0.1'),
    port: Number(values.port ?? DEFAULT_PORT),
    trustedProxies: [...((values.trusted_proxy as readonly string[] | undefined) ?? [])],
    vo: String(values.vo ?? DEFAULT_VO),
    logLevel,
    issuers: fromFile.issuers,
    ...(workers !== undefined && { workers }),
    ...(values.log_file !== undefined && { logFile: String(values.log_file) }),
    ...(values.site_name !== undefined && { siteName: String(values.site_name) }),
    ...(values.lease_seconds !== undefined && { leaseSeconds: Number(values.lease_seconds) }),
    ...(values.database_connections !== undefined && { databaseConnections: Number(values.database_connections) }),
    ...(values.database_wait_seconds !== undefined && { databaseWaitSeconds: Number(values.database_wait_seconds) }),
    ...(values.user_secrets !== undefined && { userSecrets: Number(values.user_secrets) }),
    ...(values.user_secret_megabytes !== undefined && {
      userSecretBytes: Number(values.user_secret_megabytes) * MEGABYTE,
    }),
    ...(values.user_jobs !== undefined && { userJobs: Number(values.user_jobs) }),
    ...(values.user_file_gigabytes !== undefined && { userFileBytes: Number(values.user_file_gigabytes) * 2 ** 30 }),
    ...(values.failed_requests !== undefined && { failedRequests: Number(values.failed_requests) }),
    ...(values.metrics_listen !== undefined && { metricsListen: listenAddress(String(values.metrics_listen)) }),
    keep: keepOf(values),
    ...(values.blobs !== undefined && { blobs: String(values.blobs) }),
    ...(values.root_keys !== undefined && { rootKeys: values.root_keys as readonly string[] }),
    ...(database !== undefined && { database: String(database) }),
    ...(publicUrl !== undefined && { publicUrl: String(publicUrl) }),
    ...(certFile !== undefined && { tls: { certFile: String(certFile), keyFile: String(keyFile) } }),
  };
}

function listenAddress(given: string): NonNullable<Settings['metricsListen']> {
  if (given === 'public') return given;
  const at = given.lastIndexOf(':');
  return { host: given.slice(0, at).replace(/^\[(.*)\]$/, '$1'), port: Number(given.slice(at + 1)) };
}

function keepOf(values: Values): Keep {
  const days = (name: keyof Values, unlessSet: number) => {
    const given = values[name] === undefined ? unlessSet : Number(values[name]);
    return given === FOR_EVER ? undefined : given;
  };
  const keep = {
    tasks: days('keep_tasks_days', KEEP_TASKS_DAYS),
    files: days('keep_files_days', KEEP_FILES_DAYS),
    sandboxes: days('keep_sandboxes_days', KEEP_SANDBOXES_DAYS),
    deliveries: days('keep_deliveries_days', KEEP_DELIVERIES_DAYS),
    audit: days('keep_audit_days', KEEP_AUDIT_DAYS),
    pilots: days('keep_pilots_days', KEEP_PILOTS_DAYS),
    expiredSecrets: days('keep_expired_secrets_days', EXPIRED_SECRETS_DAYS),
  };
  if (keep.tasks !== undefined && (keep.files === undefined || keep.files > keep.tasks)) {
    if (values.keep_files_days !== undefined && values.keep_tasks_days !== undefined) {
      throw new Misconfigured('keep_files_days is more than keep_tasks_days: logs and outputs go with their tasks');
    }
    keep.files = keep.tasks;
  }
  return keep;
}

/** The names of the settings that a server reads at its start alone; undefined where it takes a new one over while it runs. */
const AT_START: Readonly<Record<keyof Settings, string | undefined>> = {
  data: 'data',
  workers: 'workers',
  database: 'database',
  databaseConnections: 'database_connections',
  databaseWaitSeconds: 'database_wait_seconds',
  rootKeys: 'root_keys',
  host: 'host',
  port: 'port',
  tls: undefined,
  trustedProxies: 'trusted_proxy',
  publicUrl: 'public_url',
  vo: 'vo',
  blobs: 'blobs',
  siteName: 'site_name',
  logLevel: undefined,
  logFile: 'log_file',
  metricsListen: 'metrics_listen',
  leaseSeconds: 'lease_seconds',
  userSecrets: 'user_secrets',
  userSecretBytes: 'user_secret_megabytes',
  userJobs: 'user_jobs',
  userFileBytes: 'user_file_gigabytes',
  failedRequests: undefined,
  keep: undefined,
  issuers: 'issuers',
};

/** The settings, by their names in the file, that differ and that a running server does not take over. */
export function needingRestart(running: Settings, wanted: Settings): string[] {
  const fields = Object.keys(AT_START) as (keyof Settings)[];
  const named = fields.flatMap((field) => {
    const name = AT_START[field];
    return name !== undefined && !isDeepStrictEqual(running[field], wanted[field]) ? [name] : [];
  });
  // Other files are taken over; another protocol is not.
  return Boolean(running.tls) === Boolean(wanted.tls) ? named : [...named, 'tls_cert', 'tls_key'];
}

/** The settings of a server that took over what it can of others. */
export function takenOver(running: Settings, wanted: Settings): Settings {
  const { logLevel, failedRequests, keep, tls } = wanted;
  const taken = { ...running, logLevel, failedRequests, keep, ...(running.tls && tls && { tls }) };
  return taken as Settings;
}

/** The origin of a server that listens as these settings say: `http://127.0.0.1:25080`. */
export function originOf({ host, port, tls }: { host: string; port: number; tls?: unknown }): string {
  const name = host === '0.0.0.0' || host === '::' ? hostname() : host;
  const { origin } = new URL(`${tls ? 'https' : 'http'}://${name.includes(':') ? `[${name}]` : name}:${port}`);
  return origin;
}

function defaultFolder(environment: NodeJS.ProcessEnv): string {
  return join(environment['XDG_DATA_HOME'] || join(homeFolder(environment), '.local', 'share'), 'panda-secrets');
}

function fromFlags(flags: Record<string, unknown>): Values {
  return collect(
    (name) => flags[name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase())],
    (name) => `--${name.replaceAll('_', '-')}`,
    process.cwd(),
  );
}

function fromEnvironment(environment: NodeJS.ProcessEnv): Values {
  const variable = (name: string) => `PANDA_SECRETS_${name.toUpperCase()}`;
  return collect((name) => environment[variable(name)] || undefined, variable, process.cwd());
}

function readFile(file: string): { values: Values; issuers: ExternalIssuer[] } {
  let content: Record<string, unknown>;
  try {
    content = parse(readFileSync(file, 'utf8'));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code ? `it cannot be read (${code})` : message.split('\n', 1)[0];
    throw new Misconfigured(`the configuration file ${file}: ${reason}`);
  }
  for (const name of Object.keys(content)) {
    if (name in SETTINGS || name === 'issuers') continue;
    const known = [...Object.keys(SETTINGS), 'issuers'].join(', ');
    throw new Misconfigured(`the configuration file ${file} has an unknown setting "${name}"; known are ${known}`);
  }
  const where = (name: string) => `"${name}" in ${file}`;
  return {
    values: collect((name) => content[name], where, dirname(resolve(file))),
    issuers: parseIssuers(content['issuers'], file),
  };
}

/** @param base the folder that a relative path starts from */
function collect(find: (name: string) => unknown, where: (name: string) => string, base: string): Values {
  const values: Values = {};
  for (const [name, kind] of Object.entries(SETTINGS)) {
    const found = find(name);
    if (found === undefined) continue;
    values[name as keyof Values] = READ[kind](found, where(name), base);
  }
  return values;
}

const READ: Record<(typeof SETTINGS)[keyof typeof SETTINGS], (value: unknown, where: string, base: string) => Value> = {
  path: (value, where, base) => resolve(base, READ.text(value, where, base) as string),
  text(value, where) {
    if (typeof value === 'string' && value !== '') return value;
    throw new Misconfigured(`${where} must be a text that is not empty`);
  },
  name(value, where) {
    if (
      typeof value === 'string' &&
      /^\P{C}+$/u.test(value) &&
      [...value].length <= MAX_SITE_NAME_CHARS &&
      value.trim() === value
    )
      return value;
    throw new Misconfigured(`${where} must be a name of 1 to ${MAX_SITE_NAME_CHARS} characters, in one line`);
  },
  port(value, where) {
    const port = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
    if (typeof port === 'number' && Number.isInteger(port) && port >= 0 && port <= 65535) return port;
    throw new Misconfigured(`${where} must be a port number from 0 (any free one) to 65535`);
  },
  seconds: (value, where) => wholeNumber(value, where, 'number of seconds', DAY_SECONDS),
  workers: (value, where) =>
    value === 'auto'
      ? Math.min(availableParallelism(), MAX_WORKERS)
      : wholeNumber(value, where, 'number, or "auto" (one for each core),', MAX_WORKERS),
  connections: (value, where) => wholeNumber(value, where, 'number', MAX_CONNECTIONS),
  days(value, where) {
    const isForEver = value === FOR_EVER || value === String(FOR_EVER);
    return isForEver ? FOR_EVER : wholeNumber(value, where, 'number of days (0: for ever)', MAX_DAYS);
  },
  // A job carries them all, and its pilot and the client read them in one answer.
  secrets: (value, where) => wholeNumber(value, where, 'number of secrets', MAX_SECRETS_PER_OWNER),
  megabytes: (value, where) => wholeNumber(value, where, 'number of megabytes', MAX_OWNER_BYTES / MEGABYTE),
  count: (value, where) => wholeNumber(value, where, 'number', MAX_COUNT),
  listen(value, where) {
    const [, host = '', port] = (typeof value === 'string' && /^(\[[^\]]+\]|[^\s:/]+):(\d{1,5})$/.exec(value)) || [];
    const isAddress = Number(port) <= 65535 && (!host.startsWith('[') || isIP(host.slice(1, -1)) === 6);
    if (value === 'public' || isAddress) return value as string;
    throw new Misconfigured(
      `${where} must be ADDRESS:PORT, such as 127.0.0.1:9464, or "public" for the server's own address`,
    );
  },
  origin(value, where) {
    const url = typeof value === 'string' ? URL.parse(value) : null;
    const isOrigin = url !== null && url.href === `${url.origin}/`;
    if (isOrigin && (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))))
      return url.origin;
    throw new Misconfigured(
      `${where} must be the address at which the server is reached, https://HOST or https://HOST:PORT without a path`,
    );
  },
  uris(value, where, base) {
    const list = listed(value);
    if (Array.isArray(list) && list.length > 0 && list.every(isUri)) return list.map((uri) => wholeUri(uri, base));
    throw new Misconfigured(`${where} must be a URI such as file:/etc/panda-secrets/root-keys, or a list of them`);
  },
  place(value, where, base) {
    if (!isUri(value)) throw new Misconfigured(`${where} must be a URI such as s3://bucket/prefix or file:/folder`);
    const uri = wholeUri(value, base);
    parseBlobPlace(uri);
    return uri;
  },
  addresses(value, where) {
    const list = listed(value);
    if (Array.isArray(list) && list.length > 0 && list.every(isNetwork)) return list;
    throw new Misconfigured(`${where} must be a list of addresses or networks, such as 10.1.2.3 or 10.0.0.0/8`);
  },
};

function wholeNumber(value: unknown, where: string, what: string, most: number): number {
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof number === 'number' && Number.isInteger(number) && number >= 1 && number <= most) return number;
  throw new Misconfigured(`${where} must be a whole ${what} from 1 to ${most}`);
}

/** A list as the file has it, or as one text with commas. */
function listed(value: unknown): unknown {
  return typeof value === 'string' ? value.split(',').map((one) => one.trim()) : value;
}

function isUri(text: unknown): text is string {
  return typeof text === 'string' && /^[a-z][a-z0-9+.-]*:./i.test(text);
}

/** A file's URI with its path made whole; others as they are. */
function wholeUri(uri: string, base: string): string {
  const [, path] = /^file:([^/].*)$/i.exec(uri) ?? [];
  return path === undefined ? uri : new URL(path, `${pathToFileURL(base).href}/`).href;
}

/** An IP address, or with `/BITS` a network. */
function isNetwork(text: unknown): boolean {
  if (typeof text !== 'string') return false;
  const [address = '', bits = '0', ...rest] = text.split('/');
  const most = isIP(address) === 6 ? 128 : 32;
  return isIP(address) !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= most && rest.length === 0;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
