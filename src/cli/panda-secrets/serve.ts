import type { Command } from 'commander';
import type { Logger } from 'pino';
import { givenSocket } from '../../files/given-socket.ts';
import { protectMemory } from '../../files/process-memory.ts';
import { Misconfigured } from '../../protocol/errors.ts';
import { LAST_REQUESTS_MILLISECONDS } from '../../protocol/limits.ts';
import type { Log } from '../../server/log.ts';
import type { Service } from '../../site/service.ts';
import type { ServiceManager } from '../../site/service-manager.ts';
import { readSettings, type Settings } from '../../site/settings.ts';
import { addNotes } from '../help-notes.ts';
import { addInstallationOptions } from './administer.ts';
import { askPassphrase } from './ask-passphrase.ts';

/** One Ctrl-C may arrive twice, from the terminal and from a program that started this one. */
const SAME_SIGNAL_MILLISECONDS = 500;
/** EX_SOFTWARE of sysexits.h. */
const FAULT_STATUS = 70;

/** `panda-secrets serve`: runs until SIGTERM or SIGINT. */
export function addServeCommand(program: Command): void {
  addNotes(
    addInstallationOptions(program.command('serve')),
    'Each option may also be a variable, PANDA_SECRETS_PORT, or a line of the file, port = 25080. SIGHUP reads the file, the certificate and ' +
      'the root keys anew, and opens the log file anew. A socket that systemd gives (LISTEN_FDS) goes before --host and --port.',
    "OpenTelemetry's variables turn traces on: OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:4318.",
  )
    .description('runs the server')
    .option('--port <n>', 'port to listen on, 0 for any free one (default: 25080)')
    .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
    .option('--tls-cert <file>', 'certificate chain (PEM)')
    .option('--tls-key <file>', 'its private key (PEM)')
    .option('--trusted-proxy <addresses>', 'addresses or networks of the proxies in front that end TLS, with commas')
    .option('--public-url <url>', 'where people reach the server: https://HOST (default: the address it listens on)')
    .option('--vo <name>', 'the VO that tokens are for (default: panda)')
    .option('--site-name <name>', 'stands on the pages (default: "PanDA secrets")')
    .option('--log-level <level>', 'error, warn, info or debug (default: info)')
    .option('--log-file <file>', 'takes the log; SIGHUP opens it anew (default: standard error)')
    .option(
      '--metrics-listen <address>',
      'ADDRESS:PORT for /metrics, or "public" for the server\'s own (default: none)',
    )
    .action((options: Record<string, unknown>) => serve(options));
}

async function serve(options: Record<string, unknown>): Promise<void> {
  const hangups = awaitHangups();
  for (const signal of STOPS) process.on(signal, stopAtOnce);
  const socket = givenSocket(process.env, process.pid);
  const isProtected = await protectMemory({ keeps: socket });
  // Which would end the server, or open a debugger where Node cannot be kept from it.
  process.on('SIGUSR1', () => {});
  const settings = readSettings(options, process.env);
  // Loaded here, so that the other commands start without it.
  const [{ startService }, { openLog }, { withoutMessage }, { serviceManager }] = await Promise.all([
    import('../../site/service.ts'),
    import('../../server/log.ts'),
    import('../../server/plugins/request-log.ts'),
    import('../../site/service-manager.ts'),
  ]);
  const log = openLog(settings.logLevel, {
    file: settings.logFile,
    environment: process.env,
    onTrouble: (code) => console.error(`panda-secrets: the log cannot be written (${code}), and lines of it are lost`),
  });
  const { logger } = log;
  process.on('uncaughtException', async (error) => {
    logger.fatal(withoutMessage(error), 'stopped by a fault'); // Node would print its message, which may quote a request.
    await log.stop();
    process.exit(FAULT_STATUS);
  });
  if (!isProtected) {
    logger.warn(
      { part: 'memory' },
      'this Node cannot keep its memory from other processes of its user (Node 26 can): run nothing else as this user',
    );
  }
  const manager = serviceManager(process.env, process.pid, logger);
  // They are for this process alone.
  for (const name of ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES', 'NOTIFY_SOCKET']) delete process.env[name];
  const service = await startService(settings, {
    logger,
    clock: Date.now,
    ask: askPassphrase(),
    socket,
    environment: process.env,
    lastRequestsMilliseconds: LAST_REQUESTS_MILLISECONDS,
  }).finally(log.stop);
  stopOnSignals(service, log, { manager, hangups });
  console.log(`panda-secrets: listening on ${service.address}`);
  console.log(nextSteps(service, settings));
  await manager.ready(`listening on ${service.address}`);
  hangups.reload(reloading(service, log, { manager, read: () => readSettings(options, process.env), withoutMessage }));
}

/** SIGHUP, which ends a process that does not handle it: one handler from first to last. */
interface Hangups {
  /** Has each reload from now on; at once, where one came before. A server that stops reloads nothing any more. */
  reload(act: () => void): void;
  /** A server that stops. */
  stop(act: () => void): void;
}

function awaitHangups(): Hangups {
  let wasOne = false;
  let isStopping = false;
  let current = () => {
    wasOne = true;
  };
  process.on('SIGHUP', () => current());
  return {
    reload(act) {
      if (isStopping) return;
      current = act;
      if (wasOne) act();
    },
    stop(act) {
      isStopping = true;
      current = act;
    },
  };
}

const STOPS = ['SIGTERM', 'SIGINT'] as const;

/** While a server starts. As the first process of a container it is sent no signal that it does not handle. */
function stopAtOnce(): void {
  process.exit(0);
}

function stopOnSignals(
  service: Service,
  { logger, reopen, stop }: Log,
  { manager, hangups }: { manager: ServiceManager; hangups: Hangups },
): void {
  let stoppingSince: number | undefined;
  for (const signal of STOPS) {
    process.off(signal, stopAtOnce);
    process.on(signal, async () => {
      if (stoppingSince !== undefined) {
        if (performance.now() - stoppingSince > SAME_SIGNAL_MILLISECONDS) process.exit(1);
        return;
      }
      stoppingSince = performance.now();
      logger.info({ signal }, 'stopping');
      hangups.stop(reopen);
      void manager.stopping();
      await service.close();
      manager.close();
      await stop();
      process.exit(0);
    });
  }
}

interface Reloading {
  manager: ServiceManager;
  /** The settings as they are now. @throws {Misconfigured} */
  read(): Settings;
  withoutMessage(error: unknown): object;
}

/** One reload after the other. A configuration that is wrong changes nothing; the root keys and the log file do not depend on it. */
function reloading(service: Service, log: Log, { manager, read, withoutMessage }: Reloading): () => void {
  const { logger } = log;
  let last: Promise<void> = Promise.resolve();

  async function reload(): Promise<void> {
    await manager.reloading();
    log.reopen();
    await service.findRootKeys().then(
      () => logger.info({ part: 'root keys' }, 'looked for root keys'),
      (error) => logger.error({ part: 'root keys', ...withoutMessage(error) }),
    );
    try {
      const wanted = read();
      const waiting = await service.reload(wanted);
      logger.level = wanted.logLevel;
      if (waiting.length > 0) tellOfRestart(logger, waiting);
      logger.info({ part: 'configuration' }, 'read anew, with the certificate');
    } catch (error) {
      // A message about the configuration is the operator's, and repeats no value that is secret.
      if (error instanceof Misconfigured) logger.error({ part: 'configuration', code: error.code }, unchanged(error));
      else logger.error({ part: 'configuration', ...withoutMessage(error) });
    }
    await manager.ready(`listening on ${service.address}`);
  }

  return () => {
    last = last.then(reload);
  };
}

function tellOfRestart(logger: Logger, settings: readonly string[]): void {
  logger.warn({ part: 'configuration', settings }, `changed, and read at the next start alone: ${settings.join(', ')}`);
}

function unchanged({ message }: Misconfigured): string {
  return `the configuration stays as it was: ${message}`;
}

function nextSteps({ url, metricsUrl, installation }: Service, { data, rootKeys }: Settings): string {
  const keys = rootKeys ? 'the root keys' : 'its root keys (the file root-keys)';
  const where = installation.isNew ? `made ${data}: back up ${keys}` : `data in ${data}`;
  return [
    `  ${where}`,
    '  next:  panda-secrets user add alice',
    `         export PANDA_URL_SSL=${url}`,
    '         pbook login      (a script: export PANDA_AUTH_ID_TOKEN=$(panda-secrets token alice))',
    '         pbook set_secret MY_SECRET random_string',
    `  the API, for people:  ${url}/api/v1/docs`,
    ...(metricsUrl ? [`  metrics:  ${metricsUrl}/metrics`] : []),
    '  a compute node:  panda-secrets pilot-token --queue default | panda-pilot --queue default --token-file -',
  ].join('\n');
}
