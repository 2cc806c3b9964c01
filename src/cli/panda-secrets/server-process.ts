import { setFlagsFromString } from 'node:v8';
import type { Logger } from 'pino';
import { Misconfigured } from '../../protocol/errors.ts';
import type { Log } from '../../server/log.ts';
import type { ServiceManager } from '../../site/service-manager.ts';
import type { Settings } from '../../site/settings.ts';
import type { Started } from '../../site/workers/messages.ts';

/** One Ctrl-C may arrive twice, from the terminal and from a program that started this one. */
const SAME_SIGNAL_MILLISECONDS = 500;
/** EX_SOFTWARE of sysexits.h. */
const FAULT_STATUS = 70;

/**
 * Has V8 collect whenever its heap has grown by a third. Left to itself it waits for up to four times what is in use, and by then what was forgotten
 * meanwhile holds several times its size outside of that heap, which V8 does not count: keys of OpenSSL, for the most part.
 */
export function collectEarly(): void {
  setFlagsFromString('--heap-growing-percent=30');
}

/** Each process of a server has these from its start on. */
export interface ServerProcess {
  log: Log;
  manager: ServiceManager;
  hangups: Hangups;
  withoutMessage(error: unknown): object;
}

/** Opens the log. @param isShared other processes of this server write it as well */
export async function openServerLog({ logLevel, logFile }: Settings, isShared: boolean) {
  const [{ openLog }, { withoutMessage }] = await Promise.all([
    import('../../server/log.ts'),
    import('../../server/plugins/request-log.ts'),
  ]);
  const log = openLog(logLevel, {
    file: logFile,
    environment: process.env,
    isShared,
    onTrouble: (code) => console.error(`panda-secrets: the log cannot be written (${code}), and lines of it are lost`),
  });
  process.on('uncaughtException', async (error) => {
    log.logger.fatal(withoutMessage(error), 'stopped by a fault'); // Node would print its message, which may quote a request.
    await log.stop();
    process.exit(FAULT_STATUS);
  });
  return { log, withoutMessage };
}

/** SIGHUP, which ends a process that does not handle it: one handler from first to last. */
export interface Hangups {
  /** Has each reload from now on; at once, where one came before. A server that stops reloads nothing any more. */
  reload(act: () => void): void;
  /** A server that stops. */
  stop(act: () => void): void;
}

export function awaitHangups(): Hangups {
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

/** The signals that stop a server. */
export const STOPS = ['SIGTERM', 'SIGINT'] as const;

/** While a server starts. As the first process of a container it is sent no signal that it does not handle. */
export function stopAtOnce(): void {
  process.exit(0);
}

/** @param close lets what has begun end */
export function stopOnSignals({ log, manager, hangups }: ServerProcess, close: () => Promise<void>): void {
  let stoppingSince: number | undefined;
  for (const signal of STOPS) {
    process.off(signal, stopAtOnce);
    process.on(signal, async () => {
      if (stoppingSince !== undefined) {
        if (performance.now() - stoppingSince > SAME_SIGNAL_MILLISECONDS) process.exit(1);
        return;
      }
      stoppingSince = performance.now();
      log.logger.info({ signal }, 'stopping');
      hangups.stop(log.reopen);
      const told = manager.stopping();
      await close();
      // It may wait behind a sign that is under way.
      await told;
      manager.close();
      await log.stop();
      process.exit(0);
    });
  }
}

/** Tells the operator and the service manager that the server serves. */
export async function tellOfStart({ manager }: ServerProcess, started: Started, settings: Settings): Promise<void> {
  console.log(`panda-secrets: listening on ${started.address}`);
  console.log(nextSteps(started, settings));
  await manager.ready(`listening on ${started.address}`);
}

/** One reload after the other. @param reload ends without an error */
export function reloadOnHangup(
  { log, manager, hangups }: ServerProcess,
  { address }: Started,
  reload: () => Promise<void>,
): void {
  let last: Promise<void> = Promise.resolve();

  async function once(): Promise<void> {
    await manager.reloading();
    log.reopen();
    await reload();
    await manager.ready(`listening on ${address}`);
  }

  hangups.reload(() => {
    last = last.then(once);
  });
}

/** A process takes over a configuration by these. */
interface Taking {
  findRootKeys(): Promise<void>;
  reload(wanted: Settings): Promise<string[]>;
}

/** The root keys do not depend on the configuration. */
export async function lookForRootKeys(
  { findRootKeys }: Pick<Taking, 'findRootKeys'>,
  { logger, withoutMessage }: Telling,
): Promise<void> {
  await findRootKeys().then(
    () => logger.info({ part: 'root keys' }, 'looked for root keys'),
    (error) => logger.error({ part: 'root keys', ...withoutMessage(error) }),
  );
}

interface Telling {
  logger: Logger;
  withoutMessage(error: unknown): object;
}

/** A configuration that is wrong changes nothing. @returns undefined then */
export async function unlessWrong<T>({ logger, withoutMessage }: Telling, act: () => T | Promise<T>) {
  try {
    return await act();
  } catch (error) {
    // A message about the configuration is the operator's, and repeats no value that is secret.
    if (error instanceof Misconfigured) logger.error({ part: 'configuration', code: error.code }, unchanged(error));
    else logger.error({ part: 'configuration', ...withoutMessage(error) });
    return undefined;
  }
}

/** @param needingRestart the names of settings that changed and were not taken over */
export function tellOfReload(logger: Logger, needingRestart: readonly string[]): void {
  if (needingRestart.length > 0) {
    const names = needingRestart.join(', ');
    logger.warn(
      { part: 'configuration', settings: needingRestart },
      `changed, and read at the next start alone: ${names}`,
    );
  }
  logger.info({ part: 'configuration' }, 'read anew, with the certificate');
}

function unchanged({ message }: Misconfigured): string {
  return `the configuration stays as it was: ${message}`;
}

function nextSteps({ url, metricsUrl, isNew }: Started, { data, rootKeys }: Settings): string {
  const keys = rootKeys ? 'the root keys' : 'its root keys (the file root-keys)';
  const where = isNew ? `made ${data}: back up ${keys}` : `data in ${data}`;
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
