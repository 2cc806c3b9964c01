import type { Command } from 'commander';
import type { Logger } from 'pino';
import { protectMemory } from '../../files/process-memory.ts';
import type { Service } from '../../site/service.ts';
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
    'Each option may also be a variable, PANDA_SECRETS_PORT, or a line of the file, port = 25080.',
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
    .option(
      '--metrics-listen <address>',
      'ADDRESS:PORT for /metrics, or "public" for the server\'s own (default: none)',
    )
    .action((options: Record<string, unknown>) => serve(options));
}

async function serve(options: Record<string, unknown>): Promise<void> {
  const isProtected = await protectMemory();
  // Which would end the server, or open a debugger where Node cannot be kept from it.
  process.on('SIGUSR1', () => {});
  const settings = readSettings(options, process.env);
  // Loaded here, so that the other commands start without it.
  const [{ startService }, { createLogger, withoutMessage }] = await Promise.all([
    import('../../site/service.ts'),
    import('../../server/plugins/request-log.ts'),
  ]);
  const { logger, stop } = createLogger(settings.logLevel);
  process.on('uncaughtException', async (error) => {
    logger.fatal(withoutMessage(error), 'stopped by a fault'); // Node would print its message, which may quote a request.
    await stop();
    process.exit(FAULT_STATUS);
  });
  if (!isProtected) {
    logger.warn(
      { part: 'memory' },
      'this Node cannot keep its memory from other processes of its user (Node 26 can): run nothing else as this user',
    );
  }
  const service = await startService(settings, {
    logger,
    clock: Date.now,
    ask: askPassphrase(),
    environment: process.env,
  }).finally(stop);
  stopOnSignals(service, logger, stop);
  process.on('SIGHUP', () => {
    service.reload().then(
      () => logger.info({ part: 'root keys' }, 'looked for root keys'),
      (error) => logger.error({ part: 'root keys', ...withoutMessage(error) }),
    );
  });
  console.log(`panda-secrets: listening on ${service.url}`);
  console.log(nextSteps(service, settings));
}

function stopOnSignals(service: Service, logger: Logger, stopLogging: () => Promise<void>): void {
  let stoppingSince: number | undefined;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, async () => {
      if (stoppingSince !== undefined) {
        if (performance.now() - stoppingSince > SAME_SIGNAL_MILLISECONDS) process.exit(1);
        return;
      }
      stoppingSince = performance.now();
      logger.info({ signal }, 'stopping');
      await service.close();
      await stopLogging();
      process.exit(0);
    });
  }
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
