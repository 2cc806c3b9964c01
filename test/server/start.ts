import { rmSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Client, createClient } from '../../src/client/client.ts';
import { type PilotSession, prepareJoin } from '../../src/client/pilot-session.ts';
import { type AccountRole, addAccount, claimAccount, listAccounts } from '../../src/identity/accounts.ts';
import { createJoinToken, type RefusedUse, refusedUses } from '../../src/identity/join-tokens.ts';
import { addLauncher } from '../../src/identity/launchers.ts';
import { addQueue, findQueue, setQueue } from '../../src/jobs/queues.ts';
import type { Arguments, Call } from '../../src/protocol/calls/call.ts';
import type { Envelope } from '../../src/protocol/envelope.ts';
import { type JoinToken, parseJoinToken } from '../../src/protocol/join.ts';
import { DEFAULT_VO } from '../../src/protocol/limits.ts';
import { createLogger } from '../../src/server/log.ts';
import { type Installation, openInstallation } from '../../src/site/installation.ts';
import { startService } from '../../src/site/service.ts';
import type { Settings } from '../../src/site/settings.ts';

const HOUR_SECONDS = 3600;

/** A whole server of this process, as `panda-secrets serve` puts it together. */
export interface TestServer {
  /** Its origin. */
  url: string;
  /** Where its metrics are, if its settings say so. */
  metricsUrl: string;
  /** Its data folder. */
  folder: string;
  /** The rooms that it works on, and an administration command beside it. */
  installation: Installation;
  /** A token for a user, whose account is made at first. */
  userToken(name: string, options?: { ttlSeconds?: number }): Promise<string>;
  /** A token for an operator, whose account is made at first. */
  operatorToken(name?: string): Promise<string>;
  /** A token for a pilot of a queue, which is made when it is not there; `default` is. */
  pilotToken(queue?: string, options?: { allowTlsSecrets?: boolean }): Promise<string>;
  /** A token for a new launcher of queues, which are made when they are not there. */
  launcherToken(queues: readonly string[]): Promise<string>;
  /** A one-time token for a pilot of a queue, which is made when it is not there. */
  joinToken(queue?: string, options?: { ttlSeconds?: number }): Promise<JoinToken>;
  /** A pilot that joined, and its client. */
  joinedPilot(queue?: string): Promise<{ pilot: Client; session: PilotSession }>;
  /** The refused uses that `panda-secrets pilot list` warns of. */
  refusedUses(): Promise<RefusedUse[]>;
  /** Makes a call and answers its envelope. */
  ask<C extends Call>(token: string, call: C, args: Arguments<C>): Promise<Envelope>;
  /** Everything that it has logged. */
  logs(): string;
  /** Has it look for changed root keys now. */
  reload(): Promise<void>;
  /** Stops it; also happens at the test's end. Its folder stays until then. */
  stop(): Promise<void>;
}

/** Starts a server on a free port with SQLite in a temporary folder, for one test. */
export async function startServer(
  t: TestContext,
  { settings = {}, clock = Date.now, logLevel = 'debug' }: StartOptions = {},
): Promise<TestServer> {
  const folder = await mkdtemp(join(tmpdir(), 'panda-secrets-test-'));
  if (clock === Date.now && !settings.database && !settings.rootKeys) {
    installed ??= install();
    await cp(await installed, folder, { recursive: true });
  }
  let logged = '';
  const logger = createLogger(logLevel, { write: (line) => (logged += line) });
  const service = await startService(
    {
      data: folder,
      host: '127.0.0.1',
      port: 0,
      trustedProxies: [],
      vo: DEFAULT_VO,
      logLevel,
      issuers: [],
      ...settings,
    },
    { logger, clock },
  );
  const { store, issuer } = service.installation;
  const clients = new Set<Client>();
  let launchers = 0;
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= service.close();
    return stopping;
  };
  t.after(async () => {
    for (const client of clients) client.close();
    await stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function joinToken(queue = 'default', { ttlSeconds = HOUR_SECONDS } = {}): Promise<JoinToken> {
    if (!(await findQueue(store, queue))) await addQueue(store, clock, queue);
    const { rootKeys } = service.installation;
    return parseJoinToken(await createJoinToken({ store, rootKeys, clock }, { queue, ttlSeconds }));
  }

  async function ensureAccount(name: string, role: AccountRole): Promise<void> {
    const accounts = await listAccounts(store);
    if (!accounts.some((account) => account.name === name)) await addAccount(store, clock, name, name, role);
  }

  const server: TestServer = {
    url: service.address,
    metricsUrl: service.metricsUrl ?? '',
    folder,
    installation: service.installation,
    joinToken,
    async joinedPilot(queue = 'default') {
      const connection = { url: service.address, vo: 'panda:pilot' };
      const session = await (await prepareJoin(connection, { token: await joinToken(queue), queue, node: 'node1' }))();
      const pilot = createClient({ ...connection, signer: session });
      clients.add(pilot);
      return { pilot, session };
    },
    async userToken(name, { ttlSeconds = HOUR_SECONDS } = {}) {
      await ensureAccount(name, 'user');
      return issuer.mintUserToken(await claimAccount(store, clock, name, ttlSeconds), { ttlSeconds, vo: DEFAULT_VO });
    },
    async operatorToken(name = 'olga') {
      await ensureAccount(name, 'operator');
      return server.userToken(name);
    },
    async pilotToken(queue = 'default', options) {
      if (!(await findQueue(store, queue))) await addQueue(store, clock, queue, options);
      else if (options) await setQueue(store, clock, queue, options);
      return issuer.mintPilotToken({ queue, ttlSeconds: HOUR_SECONDS, vo: DEFAULT_VO });
    },
    async launcherToken(queues) {
      for (const queue of queues) if (!(await findQueue(store, queue))) await addQueue(store, clock, queue);
      const name = `launcher-${++launchers}`;
      const launcher = await addLauncher(store, clock, { name, queues, endsAt: clock() + HOUR_SECONDS * 1000 });
      return issuer.mintLauncherToken(launcher, { ttlSeconds: HOUR_SECONDS, vo: DEFAULT_VO });
    },
    refusedUses: () => refusedUses(store),
    ask: (token, call, args) => ask(service.address, token, call, args),
    logs: () => logged,
    reload: () => service.findRootKeys(),
    stop,
  };
  return server;
}

let installed: Promise<string> | undefined;

/** A data folder as a first start leaves it, of which each server gets a copy: keys and tables take longer to make. */
async function install(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'panda-secrets-installed-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const { close } = await openInstallation({ data: folder }, { create: true, clock: Date.now });
  await close();
  return folder;
}

interface StartOptions {
  settings?: Partial<Settings>;
  clock?: () => number;
  logLevel?: string;
}

async function ask(url: string, token: string, call: Call, args: Record<string, unknown>): Promise<Envelope> {
  const target = new URL(`/api/v1/${call.path}`, url);
  const headers: Record<string, string> = { authorization: `Bearer ${token}` };
  if (call.http === 'GET') {
    for (const [name, value] of Object.entries(args)) {
      for (const one of Array.isArray(value) ? value : [value]) target.searchParams.append(name, String(one));
    }
    return (await (await fetch(target, { headers })).json()) as Envelope;
  }
  headers['content-type'] = 'application/json';
  const answer = await fetch(target, { method: 'POST', headers, body: JSON.stringify(args) });
  return (await answer.json()) as Envelope;
}
