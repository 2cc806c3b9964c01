import { type FastifyInstance, fastify } from 'fastify';
import type { Logger } from 'pino';
import type { Delivery } from '../delivery/delivery.ts';
import type { Tell } from '../events/events.ts';
import type { JobFiles } from '../jobs/file-contents.ts';
import type { JobLogs } from '../jobs/job-logs.ts';
import type { Jobs } from '../jobs/jobs.ts';
import type { Sandboxes } from '../jobs/sandboxes.ts';
import type { Call } from '../protocol/calls/call.ts';
import { BODY_SECONDS, DEFAULT_SITE_NAME, IDLE_SECONDS, MAX_HEADER_BYTES } from '../protocol/limits.ts';
import type { Tracing } from '../tracing/tracing.ts';
import type { Vault } from '../vault/vault.ts';
import type { LoginRooms } from './login-rooms.ts';
import { setAnswerHeaders } from './plugins/answer-headers.ts';
import { sendAnswersTogether } from './plugins/answers-together.ts';
import { validateWhenNeeded } from './plugins/arguments.ts';
import { decorateCaller, type Identity, requireCaller } from './plugins/authentication.ts';
import { readJsonBodies } from './plugins/body.ts';
import { limitBodyTime } from './plugins/body-time.ts';
import { drainOnClose } from './plugins/drain.ts';
import { answerErrors, answerUnknownCalls } from './plugins/envelope.ts';
import { countFailedRequests, type SharedFailures } from './plugins/failed-requests.ts';
import { describeCalls } from './plugins/openapi.ts';
import { logBadHttp, logRequests } from './plugins/request-log.ts';
import { tellBadHttp, tellCalls } from './plugins/told-calls.ts';
import { traceCalls } from './plugins/traced-calls.ts';
import { answerBadHttp, answerUnsupportedHttp, routeBadUrl } from './plugins/unrouted.ts';
import { type AdministrationBy, adminRoutes } from './routes/admin.ts';
import { cacheRoutes } from './routes/cache.ts';
import { credsRoutes, type SecretRooms } from './routes/creds.ts';
import { documentRoutes } from './routes/documents.ts';
import { fileServerRoutes } from './routes/file-server.ts';
import { type HarvestingBy, harvesterRoutes } from './routes/harvester.ts';
import { jobRoutes } from './routes/job.ts';
import { jobLogRoutes, pilotJobLogRoutes } from './routes/job-log.ts';
import { type LaunchingBy, launcherRoutes } from './routes/launcher.ts';
import { ownLoginRoutes } from './routes/login.ts';
import { olderPilotRoutes } from './routes/older-pilot.ts';
import { loginRoutes } from './routes/openid.ts';
import { pilotRoutes } from './routes/pilot.ts';
import { joinRoute, leaveRoute } from './routes/pilot-session.ts';
import { aliveRoute, quotaRoute, systemRoutes } from './routes/system.ts';
import { type TaskRooms, taskRoutes } from './routes/task.ts';
import { transformationRoute } from './routes/transformation.ts';
import { type Watched, watchRoutes } from './routes/watch.ts';

/** The rooms behind the routes: each call ends in one function of one of these. */
export interface Rooms extends Identity {
  vault: Vault;
  delivery: Delivery;
  jobs: Jobs;
  jobLogs: JobLogs;
  sandboxes: Sandboxes;
  jobFiles: JobFiles;
  checkQueues: SecretRooms['checkQueues'];
  siteRecord: SecretRooms['siteRecord'];
  quotasOf: Parameters<typeof quotaRoute>[1];
  activePilots: TaskRooms['activePilots'];
  administrationBy: AdministrationBy;
  launchingBy: LaunchingBy;
  harvestingBy: HarvestingBy;
  /** True when a token was found good before, and has not ended. */
  isKnownToken(token: string): boolean;
  /** Without it nobody logs in here: tokens come from elsewhere. */
  login?: LoginRooms;
}

export interface ServerOptions {
  /** PEM texts; without it the server speaks plain http. */
  tls?: { cert: string; key: string; ticketKeys?: Buffer | undefined };
  /** Addresses or networks (CIDR) whose `X-Forwarded-*` headers are believed. */
  trustedProxies: readonly string[];
  logger: Logger;
  /** Stands on the pages; `DEFAULT_SITE_NAME` unless set. */
  siteName?: string | undefined;
  /** Milliseconds since 1970 UTC. */
  clock: () => number;
  /** Requests of one address that prove nothing, asked each time; `MAX_FAILED_REQUESTS_PER_MINUTE` where there is no answer. */
  failedRequestsPerMinute?: (() => number | undefined) | undefined;
  /** The time, in milliseconds, that connections which are kept are served for when the server closes; none unless set. */
  lastRequestsMilliseconds?: number | undefined;
  /** Where several processes are one server. */
  sharedFailures?: SharedFailures | undefined;
  tell: Tell;
  watched: Watched;
  /** Undefined where nobody asked for traces. */
  tracing?: Tracing | undefined;
}

/** To be said with each certificate. */
export const TLS_VERSIONS = { minVersion: 'TLSv1.2' } as const;

/** The HTTP server, not yet listening: plugins, then the calls, one group each, under the kind of caller they answer. */
export async function createServer(
  rooms: Rooms,
  {
    tls,
    trustedProxies,
    logger,
    siteName = DEFAULT_SITE_NAME,
    clock,
    failedRequestsPerMinute,
    sharedFailures,
    tell,
    watched,
    tracing,
    lastRequestsMilliseconds = 0,
  }: ServerOptions,
): Promise<FastifyInstance> {
  const http = { maxHeaderSize: MAX_HEADER_BYTES, headersTimeout: BODY_SECONDS * 1000, requireHostHeader: false };
  const badHttp = answerBadHttp((refused) => {
    logBadHttp(logger, refused);
    tellBadHttp(tell, refused);
  });
  const app = fastify({
    ...(tls ? { https: { ...http, ...tls, ...TLS_VERSIONS } } : { http }),
    trustProxy: trustedProxies.length > 0 ? [...trustedProxies] : false,
    logger: false, // Lines are written by `logRequests`, which knows what may be in one.
    exposeHeadRoutes: false,
    connectionTimeout: IDLE_SECONDS * 1000,
    requestTimeout: 0, // A large upload may take long; `limitBodyTime` ends other bodies.
    return503OnClosing: false, // A request that arrives on an open connection while the server stops is still answered.
    frameworkErrors: routeBadUrl,
    clientErrorHandler: badHttp,
  }) as unknown as FastifyInstance;
  answerUnsupportedHttp(app, badHttp);

  app.setValidatorCompiler(validateWhenNeeded());
  const methods = new Map<string, Call['http'][]>();
  app.addHook('onRoute', ({ url, method }) => {
    methods.set(url, [...(methods.get(url) ?? []), method as Call['http']]);
  });
  app.decorate('siteName', siteName);
  sendAnswersTogether(app);
  // Behind it: an answer that waited for the others says that the server closes, if it does by then.
  drainOnClose(app, lastRequestsMilliseconds);
  setAnswerHeaders(app, { isTlsOurs: tls !== undefined });
  decorateCaller(app);
  // These are neither logged nor counted.
  await app.register(async (watching) => watchRoutes(watching, watched));
  logRequests(app, logger);
  tellCalls(app, tell);
  if (tracing) traceCalls(app, tracing);
  limitBodyTime(app);
  countFailedRequests(app, {
    isKnownToken: rooms.isKnownToken,
    isKnownPilot: (pilotId) => rooms.pilots.isKnown(pilotId),
    clock,
    perMinute: failedRequestsPerMinute,
    shared: sharedFailures,
  });
  answerErrors(app, logger);
  answerUnknownCalls(app, methods);
  readJsonBodies(app);
  await describeCalls(app, () => new URL(rooms.login?.provider().url ?? 'http://localhost').origin);

  aliveRoute(app);
  transformationRoute(app);
  documentRoutes(app);
  cacheRoutes(app, rooms);
  await app.register(async (joining) => joinRoute(joining, rooms.pilots, logger));
  if (rooms.login) await loginRoutes(app, rooms.login, logger);
  await app.register(async (users) => {
    requireCaller(users, rooms, 'user');
    credsRoutes(users, rooms, logger);
    taskRoutes(users, rooms);
    jobRoutes(users, rooms);
    jobLogRoutes(users, rooms);
    quotaRoute(users, rooms.quotasOf);
    await fileServerRoutes(users, rooms);
    if (rooms.login) ownLoginRoutes(users, rooms.login);
  });
  await app.register(async (pilots) => {
    requireCaller(pilots, rooms, 'pilot');
    await pilotRoutes(pilots, rooms);
    await pilotJobLogRoutes(pilots, rooms);
    leaveRoute(pilots, rooms.pilots);
    await pilots.register(async (older) => olderPilotRoutes(older, rooms, logger));
  });
  await app.register(async (operators) => {
    requireCaller(operators, rooms, 'operator');
    adminRoutes(operators, rooms.administrationBy);
  });
  await app.register(async (launchers) => {
    requireCaller(launchers, rooms, 'launcher');
    launcherRoutes(launchers, rooms.launchingBy);
    harvesterRoutes(launchers, rooms.harvestingBy);
  });
  await app.register(async (callers) => {
    requireCaller(callers, rooms, 'any');
    systemRoutes(callers);
  });
  return app;
}
