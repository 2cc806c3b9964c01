import type { Command } from 'commander';
import { givenSocket } from '../../files/given-socket.ts';
import { protectMemory } from '../../files/process-memory.ts';
import { LAST_REQUESTS_MILLISECONDS } from '../../protocol/limits.ts';
import { readSettings } from '../../site/settings.ts';
import { isWorker, OF_THE_MANAGER } from '../../site/workers/messages.ts';
import { addNotes } from '../help-notes.ts';
import { addInstallationOptions } from './administer.ts';
import { askPassphrase } from './ask-passphrase.ts';
import {
  awaitHangups,
  collectEarly,
  lookForRootKeys,
  openServerLog,
  reloadOnHangup,
  STOPS,
  stopAtOnce,
  stopOnSignals,
  tellOfReload,
  tellOfStart,
  unlessWrong,
} from './server-process.ts';

/**
 * Half of V8's usual young generation, three times which is taken, and two pools of glibc's allocator instead of eight for each core: a pool
 * keeps the most that its threads ever had.
 */
const SPARING = { flags: ['--max-semi-space-size=8'], environment: { MALLOC_ARENA_MAX: '2' } };

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
    .option('--workers <n>', 'processes that serve, "auto" for one on each core (default: 1)')
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
  if (isWorker(process)) return (await import('./serve-worker.ts')).serveAsWorker();
  const hangups = awaitHangups();
  for (const signal of STOPS) process.on(signal, stopAtOnce);
  const socket = givenSocket(process.env, process.pid);
  const isProtected = await protectMemory({ keeps: socket, sparing: SPARING });
  collectEarly();
  // Which would end the server, or open a debugger where Node cannot be kept from it.
  process.on('SIGUSR1', () => {});
  const read = () => readSettings(options, process.env);
  const settings = read();
  const { workers = 1 } = settings;
  const { log, withoutMessage } = await openServerLog(settings, workers > 1);
  const { logger } = log;
  if (!isProtected) {
    logger.warn(
      { part: 'memory' },
      'this Node cannot keep its memory from other processes of its user (Node 26 can): run nothing else as this user',
    );
  }
  if (workers > 1) {
    const { serveWithWorkers } = await import('./serve-workers.ts');
    return serveWithWorkers({ settings, socket, log, hangups, withoutMessage, read });
  }
  // Loaded here, so that the other commands start without it.
  const [{ startService }, { serviceManager }] = await Promise.all([
    import('../../site/service.ts'),
    import('../../site/service-manager.ts'),
  ]);
  const manager = serviceManager(process.env, process.pid, { logger });
  for (const name of OF_THE_MANAGER) delete process.env[name];
  const service = await startService(settings, {
    logger,
    clock: Date.now,
    ask: askPassphrase(),
    socket,
    environment: process.env,
    lastRequestsMilliseconds: LAST_REQUESTS_MILLISECONDS,
  }).finally(log.stop);
  const server = { log, manager, hangups, withoutMessage };
  const started = { ...service, isNew: service.installation.isNew };
  stopOnSignals(server, () => service.close());
  await tellOfStart(server, started, settings);
  reloadOnHangup(server, started, async () => {
    const telling = { logger, withoutMessage };
    await lookForRootKeys(service, telling);
    await unlessWrong(telling, async () => {
      const wanted = read();
      const needingRestart = await service.reload(wanted);
      logger.level = wanted.logLevel;
      tellOfReload(logger, needingRestart);
    });
  });
}
