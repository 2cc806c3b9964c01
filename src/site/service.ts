import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createSecureContext, type Server as TlsServer } from 'node:tls';
import type { FastifyInstance, FastifyListenOptions } from 'fastify';
import type { Logger } from 'pino';
import { createDelivery } from '../delivery/delivery.ts';
import { createEvents, type RoomEvent } from '../events/events.ts';
import { callerId } from '../identity/caller.ts';
import { createOwners } from '../identity/owners.ts';
import { createPilotSessions } from '../identity/pilot-sessions.ts';
import { activePilots } from '../identity/pilots.ts';
import { noteJobsOfBefore } from '../jobs/acquire.ts';
import { createJobFiles } from '../jobs/file-contents.ts';
import { createJobLogs } from '../jobs/job-logs.ts';
import { createJobs } from '../jobs/jobs.ts';
import { addQueue, checkQueues, findSiteRecord, listQueues } from '../jobs/queues.ts';
import { createSandboxes } from '../jobs/sandboxes.ts';
import { Misconfigured, Unavailable } from '../protocol/errors.ts';
import { DATABASE_CONNECTIONS, DATABASE_WAIT_SECONDS } from '../protocol/limits.ts';
import { isLoopback } from '../protocol/loopback.ts';
import type { AskPassphrase } from '../sealing/root-keys.ts';
import { createServer, TLS_VERSIONS } from '../server/app.ts';
import { withoutMessage } from '../server/plugins/request-log.ts';
import type { BlobStore } from '../store/blob-store.ts';
import { lastChainTime } from '../store/diagnosis.ts';
import type { Store } from '../store/store.ts';
import { createVault } from '../vault/vault.ts';
import { type AdministrationParts, createAdministration } from './administration.ts';
import { removeAbandonedCopies } from './backup/database-copy.ts';
import { predecessor } from './data-folder.ts';
import { createHarvesting } from './harvesting.ts';
import { housekeepingTasks, startHousekeeping } from './housekeeping.ts';
import { type Installation, openInstallation } from './installation.ts';
import { noteAddress } from './last-address.ts';
import { createLaunching } from './launching.ts';
import { createLogin } from './login-service.ts';
import { quotasOf } from './quotas.ts';
import { refuseClockAhead, removeUnkept } from './retention.ts';
import { showServer } from './servers.ts';
import { type Keep, needingRestart, originOf, type Settings } from './settings.ts';
import { openTracing, tracedDelivery, tracedStore } from './traced.ts';
import { startWatching } from './watching.ts';
import type { DoorName, ListenAt, Siblings } from './workers/siblings.ts';

/** A server that listens. */
export interface Service {
  /** The origin at which it listens: `http://127.0.0.1:25080`. */
  address: string;
  /** The origin at which people and programs reach it: the public URL, or else the address. */
  url: string;
  /** Where /metrics is, if it is anywhere. */
  metricsUrl: string | undefined;
  installation: Installation;
  /** Looks at once for what it looks for now and then: root keys, and which of them is the active one. */
  findRootKeys(): Promise<void>;
  /**
   * Takes over those settings that a running server can, and reads the certificate anew: for connections that come from now on.
   *
   * @returns the names of the other settings that changed
   * @throws {Misconfigured} when the certificate cannot be used; then all is as it was
   */
  reload(wanted: Settings): Promise<string[]>;
  /** Of several workers: does from now on what one of them does for all. */
  lead(): void;
  /** Answers the requests that it has begun, for at most `DRAIN_SECONDS`, and closes everything. */
  close(): Promise<void>;
}

/** The outside of a server. */
export interface Surroundings {
  logger: Logger;
  /** Milliseconds since 1970 UTC. */
  clock: () => number;
  ask?: AskPassphrase | undefined;
  /** Variables in which OpenTelemetry's may turn traces on. */
  environment?: NodeJS.ProcessEnv;
  /** The descriptor of a listening socket, in place of the address that the settings say. */
  socket?: number | undefined;
  /** `ServerOptions` */
  lastRequestsMilliseconds?: number | undefined;
  /** Where this is one of several workers: it has neither the data folder nor an address for itself. */
  siblings?: Siblings | undefined;
}

/** The queue that an installation starts with. */
const FIRST_QUEUE = 'default';

/**
 * Puts the rooms together and listens. A first start makes the data folder and what belongs there.
 *
 * @throws {Misconfigured} when the settings ask for what is refused, or something cannot be opened
 */
export async function startService(
  settings: Settings,
  { logger, clock, ask, environment = {}, socket, lastRequestsMilliseconds, siblings }: Surroundings,
): Promise<Service> {
  if (socket === undefined) refuseOpenPlainHttp(settings);
  const tls = settings.tls && { ...(await readTls(settings.tls)), ticketKeys: siblings?.ticketKeys };
  const { tell, listen: onEvent } = createEvents((error) => logger.error({ part: 'events', ...withoutMessage(error) }));
  onEvent((event) => logEvent(logger, event));
  const tracing = await openTracing(environment);
  onEvent((event) => {
    if (event.event === 'root_key.used') tracing?.ended('root_key', event.seconds, event.ok);
  });
  const opened: { close(): Promise<void> }[] = tracing ? [tracing] : [];
  try {
    const watching = await startWatching(settings, {
      clock,
      onEvent,
      listen: (watch, at) => listen(watch, at, opener(siblings, 'watch')),
      counts: siblings?.counts,
    });
    opened.push(watching);
    const { databaseConnections = DATABASE_CONNECTIONS } = settings;
    const ownConnections = Math.floor(databaseConnections / (siblings?.count ?? 1));
    const installation = await openInstallation(
      { ...settings, databaseConnections: ownConnections },
      {
        create: true,
        clock,
        tell,
        ask,
        turn: siblings?.turn,
        waiting: {
          seconds: settings.databaseWaitSeconds ?? DATABASE_WAIT_SECONDS,
          tell: (what) => logger.warn({ part: 'database' }, what),
        },
        // Of workers their supervisor holds the folder.
        alone: siblings ? undefined : predecessor(socket, logger),
      },
    );
    opened.push(installation);
    const { reserve } = installation;
    const store = tracedStore(installation.store, tracing);
    await removeAbandonedCopies(settings.data);
    // Before this start writes anything.
    const written = await lastChainTime(store.db);
    const { rootKeys } = installation;
    await addFirstQueue(store, clock);
    await noteJobsOfBefore(store);
    let at: AddressInfo | undefined;
    const urlOf = () => settings.publicUrl ?? addressOf(at, settings, socket);
    const administration: AdministrationParts = {
      ...installation,
      vo: settings.vo,
      origin: async () => urlOf(),
      clock,
    };
    const keep: Partial<Keep> = { ...settings.keep };
    let { failedRequests } = settings;
    const checkClock = refuseClockAhead(clock, written);
    const vault = createVault({
      store,
      rootKeys,
      clock,
      keepExpiredDays: () => keep.expiredSecrets,
      maxSecrets: settings.userSecrets,
      maxBytes: settings.userSecretBytes,
    });
    const login = createLogin(installation, settings, {
      url: urlOf,
      logger,
      clock,
      tell,
    });
    const jobs = createJobs({
      store,
      clock,
      leaseSeconds: settings.leaseSeconds,
      maxOpenJobs: settings.userJobs,
      tell,
    });
    const pilots = createPilotSessions({
      store,
      rootKeys,
      clock,
      tell,
      keepDays: settings.keep && (() => keep.pilots),
    });
    const { blobs, liveLogs } = await openFiles(installation, logger);
    const jobLogs = createJobLogs({ store, clock, liveLogs });
    const room = { store, clock, maxFileBytes: settings.userFileBytes };
    const app: FastifyInstance = await createServer(
      {
        verifyToken: login.verifyToken,
        isKnownToken: login.isKnownToken,
        login: login.login,
        pilots,
        administrationBy: (operator) => createAdministration(administration, `operator:${callerId(operator)}`),
        launchingBy: (launcher) => createLaunching({ store, rootKeys, jobs, clock }, launcher),
        harvestingBy: (launcher) => createHarvesting({ store, jobs, clock }, launcher),
        owners: createOwners({ store, clock }),
        vault,
        jobs,
        jobLogs,
        delivery: tracedDelivery(createDelivery({ store, vault, jobs, clock, tell }), tracing),
        sandboxes: createSandboxes({ ...room, blobs }),
        jobFiles: createJobFiles({ ...room, jobs, blobs, jobLogs }),
        checkQueues: (names) => checkQueues(store, names),
        quotasOf: (owner) => quotasOf(vault, { ...room, maxOpenJobs: settings.userJobs }, owner),
        siteRecord: (queue) => findSiteRecord(store, queue),
        activePilots: (queue) => activePilots(store, clock, queue),
      },
      {
        ...(tls && { tls }),
        trustedProxies: settings.trustedProxies,
        logger,
        siteName: settings.siteName,
        clock,
        failedRequestsPerMinute: () => failedRequests,
        lastRequestsMilliseconds,
        sharedFailures: siblings?.failures,
        tell,
        watched: watching.watched,
        tracing,
      },
    );
    opened.push({ close: () => app.close() });
    const open = opener(siblings, 'calls');
    at = socket === undefined ? await listen(app, settings, open) : await listenOn(app, socket, { settings, open });
    await noteAddress(settings.data, urlOf(), reserve);
    const sign = await showServer({ store, rootKeys, clock });
    const tasks = housekeepingTasks({
      sign,
      jobs,
      pilots,
      vault,
      login,
      jobLogs,
      reserve,
      async retention(stopping) {
        checkClock();
        await removeUnkept({ store, clock, tell }, keep, stopping);
      },
      files: { store, blobs, clock, tell },
      leaseSeconds: settings.leaseSeconds,
    });
    const { process: own = [], server: forAll = [] } = Object.groupBy(tasks, ({ isOfProcess }) =>
      isOfProcess ? 'process' : 'server',
    );
    const housekeeping = [startHousekeeping(own, tell)];
    const lead = () => {
      housekeeping.push(startHousekeeping(forAll, tell));
    };
    if (!siblings) lead();
    watching.opened(installation);
    return {
      address: addressOf(at, settings, socket),
      url: urlOf(),
      metricsUrl: settings.metricsListen === 'public' ? urlOf() : watching.url,
      installation,
      findRootKeys: () => sign.renew(),
      lead,
      async reload(wanted) {
        if (settings.tls && wanted.tls) {
          (app.server as unknown as TlsServer).setSecureContext({
            ...TLS_VERSIONS,
            ...(await readTls(wanted.tls)),
            ticketKeys: siblings?.ticketKeys,
          });
        }
        Object.assign(keep, wanted.keep);
        failedRequests = wanted.failedRequests;
        return needingRestart(settings, wanted);
      },
      async close() {
        watching.drain();
        jobLogs.close();
        await app.close();
        await Promise.all(housekeeping.map((one) => one.close()));
        await sign.close();
        vault.close();
        await installation.close();
        await watching.close();
        await tracing?.close();
      },
    };
  } catch (error) {
    for (const one of opened.reverse()) await one.close();
    throw error;
  }
}

const FULL =
  'the disk is full: make room. Deletes and the ends of jobs go on, on the room that was kept back; secrets, tasks, uploads and the ' +
  'start of jobs are refused until there is room again';

const DAMAGED =
  'a sandbox, log or output is not what was kept, and was not given to who asked for it: find out what changed or cut it, and restore it ' +
  'from a backup';

const BROKEN_AUDIT =
  'the audit is not whole, and so it was not cut: "panda-secrets audit verify" shows where something else changed it';

/** The events that an operator reads of at once; the others are for counting. */
function logEvent(logger: Logger, event: RoomEvent): void {
  if (event.event === 'secrets.undeliverable') {
    logger.error({ part: 'delivery', jobId: event.jobId, ...withoutMessage(event.error) });
  } else if (event.event === 'job.tampered') {
    logger.error({ part: 'jobs', jobId: event.jobId, ...withoutMessage(event.error) });
  } else if (event.event === 'disk.full') {
    logger.error({ part: 'disk', code: 'ERR_NO_SPACE' }, FULL);
  } else if (event.event === 'disk.room') {
    logger.info({ part: 'disk' }, 'the disk has room again, and takes everything');
  } else if (event.event === 'file.damaged') {
    logger.error({ part: 'files', code: 'ERR_DAMAGED_FILE', sha256: event.sha256 }, DAMAGED);
  } else if (event.event === 'audit.broken') {
    logger.error({ part: 'audit', chains: event.chains }, BROKEN_AUDIT);
  } else if (event.event === 'housekeeping.failed') {
    logger.error({ part: 'housekeeping', task: event.task, failures: event.failures, ...withoutMessage(event.error) });
  }
}

/** A storage that is away keeps nobody from secrets; one that refuses this server would not come back by itself. */
async function openFiles(installation: Installation, logger: Logger): Promise<BlobStore> {
  const files = await installation.blobStore();
  await files.check().catch((error) => {
    if (!(error instanceof Unavailable)) throw error;
    logger.warn(
      { part: 'files', ...withoutMessage(error) },
      `the storage for files, ${files.name}, is away: sandboxes, logs and outputs are refused until it is back`,
    );
  });
  return files;
}

function refuseOpenPlainHttp({ host, tls, trustedProxies }: Settings): void {
  if (tls || trustedProxies.length > 0 || isLoopback(host)) return;
  throw new Misconfigured(
    `plain http on ${host} would carry tokens and secrets over the network in clear. Either listen on this machine alone (--host 127.0.0.1), ` +
      'give a certificate (--tls-cert FILE --tls-key FILE), or name the proxy in front that ends TLS (--trusted-proxy ADDRESS)',
  );
}

async function readTls({ certFile, keyFile }: { certFile: string; keyFile: string }) {
  const read = (file: string) =>
    readFile(file, 'utf8').catch((error) => {
      throw new Misconfigured(`the TLS file ${file} cannot be read (${error.code})`);
    });
  const tls = { cert: await read(certFile), key: await read(keyFile) };
  try {
    createSecureContext(tls);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Misconfigured(`${certFile} and ${keyFile} are no certificate with its key, in PEM (${code})`);
  }
  return tls;
}

async function addFirstQueue(store: Store, clock: () => number): Promise<void> {
  if ((await listQueues(store)).length === 0) await addQueue(store, clock, FIRST_QUEUE, {}, 'server');
}

/** Has an app get connections, and tells from where. */
type Open = (app: FastifyInstance, at: ListenAt) => Promise<AddressInfo>;

function opener(siblings: Siblings | undefined, door: DoorName): Open {
  if (siblings) return (app, at) => siblings.listen(app, door, at);
  return async (app, at) => {
    // Fastify would listen on another address for a host that is not said.
    await app.listen('fd' in at ? ({ ...at, host: '' } as FastifyListenOptions) : at);
    return app.server.address() as AddressInfo;
  };
}

async function listen(
  app: FastifyInstance,
  { host, port }: Pick<Settings, 'host' | 'port'>,
  open: Open,
): Promise<AddressInfo> {
  try {
    return await open(app, { host, port });
  } catch (error) {
    const reason = LISTEN_FAILURES[(error as NodeJS.ErrnoException).code ?? ''];
    if (!reason) throw error;
    throw new Misconfigured(`cannot listen on ${host} port ${port}: ${reason}`);
  }
}

/** The socket that a service manager holds: its connections wait in it while no server runs. */
async function listenOn(
  app: FastifyInstance,
  fd: number,
  { settings, open }: { settings: Settings; open: Open },
): Promise<AddressInfo> {
  let at: AddressInfo | string | null;
  try {
    at = await open(app, { fd });
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (syscall !== 'listen' && code !== 'ERR_INVALID_FD_TYPE') throw error;
    throw new Misconfigured(`the socket that the server was given cannot be used (${code}): it must listen on TCP`);
  }
  if (at === null || typeof at === 'string')
    throw new Misconfigured('the socket that the server was given is none of TCP');
  // Nothing came in between: connections are taken after this turn of the event loop.
  refuseOpenPlainHttp({ ...settings, host: at.address });
  return at;
}

/** Where a server that listens is reached, as an origin. */
function addressOf(at: AddressInfo | undefined, { host, tls }: Settings, socket?: number): string {
  const { address, port } = at as AddressInfo;
  return originOf({ host: socket === undefined ? host : address, port, tls });
}

const LISTEN_FAILURES: Record<string, string> = {
  EADDRINUSE: 'something else listens there; --port 0 picks a free one',
  EACCES: 'this user may not; ports from 1024 on need no privilege',
  EADDRNOTAVAIL: 'this machine has no such address',
  ENOTFOUND: 'the name has no address',
};
