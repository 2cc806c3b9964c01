import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { addAccount } from '../../src/identity/accounts.ts';
import { createJoinToken } from '../../src/identity/join-tokens.ts';
import { createOwners } from '../../src/identity/owners.ts';
import type { OwnerId } from '../../src/protocol/ids.ts';
import { type JoinToken, parseJoinToken } from '../../src/protocol/join.ts';
import { DEFAULT_VO } from '../../src/protocol/limits.ts';
import { wireName } from '../../src/protocol/names.ts';
import { openInstallation } from '../../src/site/installation.ts';
import { createDataKeys } from '../../src/vault/data-keys.ts';
import { insertSecrets } from './fill-secrets.ts';
import type { BenchPostgres } from './postgres.ts';

/** A data folder with users who keep secrets. */
export interface Site {
  data: string;
  /** SQLite's file, or the URL of a PostgreSQL. */
  database: string;
  /** A copy of the database before anything ran. */
  copy: string;
  isFile: boolean;
  rootKeyFile: string;
  users: { token: string; owner: OwnerId }[];
  /** With which one pilot may join. */
  joinToken: JoinToken;
}

/** The queue that every installation starts with. */
export const QUEUE = 'default';
const TOKEN_SECONDS = 24 * 3600;
/** Their writes share a transaction. */
const USERS_AT_ONCE = 250;

/** The name of a secret. Each user keeps those from 0 on. */
export function secretName(n: number): string {
  return `BENCH_SECRET_${n}`;
}

/** So many random values of that many bytes of text. */
export function valuesOf(count: number, bytes: number): string[] {
  return Array.from({ length: count }, () => randomBytes((bytes / 4) * 3).toString('base64'));
}

/**
 * Makes a data folder in `folder`, with so many users who keep these values each.
 *
 * @param postgres where the database is to be; SQLite without it
 */
export async function makeSite(
  folder: string,
  userCount: number,
  values: readonly string[],
  postgres?: BenchPostgres,
): Promise<Site> {
  const clock = Date.now;
  const data = join(folder, 'data');
  const url = await postgres?.empty();
  const installation = await openInstallation(
    { data, ...(url !== undefined && { database: url }) },
    { create: true, clock },
  );
  const { store, issuer, rootKeys } = installation;
  const dataKeys = createDataKeys({ store, rootKeys, clock });
  const owners = createOwners({ store, clock });
  const secrets = values.map((value, n) => ({ name: wireName(secretName(n)), value }));

  async function makeUser(n: number) {
    const account = await addAccount(store, clock, `user${n}`);
    const owner = await owners.of({ ...account, issuer: 'embedded' });
    const dataKey = await dataKeys.activeOrNew(owner);
    await store.write((tx) => insertSecrets(tx, dataKey, secrets, clock()));
    dataKeys.forget(dataKey.id);
    return { owner, token: await issuer.mintUserToken(account, { ttlSeconds: TOKEN_SECONDS, vo: DEFAULT_VO }) };
  }
  const users: Site['users'] = [];
  while (users.length < userCount) {
    const next = Array.from({ length: Math.min(USERS_AT_ONCE, userCount - users.length) }, (_, n) => users.length + n);
    users.push(...(await Promise.all(next.map(makeUser))));
  }
  const pilot = { queue: QUEUE, ttlSeconds: TOKEN_SECONDS };
  const joinToken = parseJoinToken(await createJoinToken({ store, rootKeys, clock }, pilot));
  dataKeys.close();
  await installation.close(); // After which SQLite's database is one file.
  const places = postgres && url !== undefined ? await postgres.withCopy(url) : withCopy(data, folder);
  return { data, ...places, rootKeyFile: join(data, 'root-keys'), users, joinToken };
}

/** Join tokens of a site whose server does not run yet: one for each pilot. */
export async function makeJoinTokens({ data, database, isFile }: Site, count: number): Promise<JoinToken[]> {
  const clock = Date.now;
  const installation = await openInstallation({ data, ...(!isFile && { database }) }, { create: false, clock });
  const tokens: JoinToken[] = [];
  while (tokens.length < count) {
    tokens.push(
      parseJoinToken(await createJoinToken({ ...installation, clock }, { queue: QUEUE, ttlSeconds: TOKEN_SECONDS })),
    );
  }
  await installation.close();
  return tokens;
}

function withCopy(data: string, folder: string): Pick<Site, 'database' | 'copy' | 'isFile'> {
  const [database, copy] = [join(data, 'panda.db'), join(folder, 'copy.db')];
  copyFileSync(database, copy);
  return { database, copy, isFile: true };
}

/** `panda-secrets serve` as a process of its own. */
export interface RunningServer {
  pid: number;
  port: number;
  stop(): Promise<void>;
}

/** `panda-secrets` as it is published, where `npm run build` puts it. */
export const BUNDLE = join(import.meta.dirname, '../../dist/panda-secrets.js');
const SOURCE = join(import.meta.dirname, '../../src/cli/panda-secrets/main.ts');

/**
 * Starts the server, as its operator would; its log goes to a file.
 *
 * @param program the bundle; from source unless given
 * @param nodeOptions such as `--cpu-prof`
 * @param serveOptions such as `--workers`
 */
export async function startServer(
  { data, database, isFile }: Pick<Site, 'data' | 'database' | 'isFile'>,
  {
    program = SOURCE,
    nodeOptions = [],
    serveOptions = [],
  }: { program?: string | undefined; nodeOptions?: readonly string[]; serveOptions?: readonly string[] } = {},
): Promise<RunningServer> {
  const log = openSync(join(data, '..', 'server.log'), 'a');
  const args = [...process.execArgv, ...nodeOptions, program, 'serve', '--port', '0', '--data', data, ...serveOptions];
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', log],
    env: { ...process.env, PANDA_SECRETS_DATABASE: isFile ? undefined : database },
  });
  const kill = () => child.kill('SIGKILL');
  process.prependOnceListener('exit', kill); // A run that fails leaves nothing behind.
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const port = await new Promise<number>((resolve, reject) => {
    let printed = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
      const found = /listening on http:\S+:(\d+)/.exec(printed)?.[1];
      if (found) resolve(Number(found));
    });
    child.once('exit', (status) => reject(new Error(`the server ended with status ${status}`)));
  });
  return {
    pid: child.pid as number,
    port,
    stop() {
      process.off('exit', kill);
      child.kill('SIGTERM');
      return ended;
    },
  };
}
