import { spawn } from 'node:child_process';
import type { Logger } from 'pino';

/** Takes the place of a watchdog's interval in microseconds: systemd asks for a sign twice in it. */
const SIGNS_IN_A_WATCHDOG = 2;

/** The service manager that started this server and waits for its signs (sd_notify(3)); without one nothing is told. */
export interface ServiceManager {
  /** The server serves: at its start, and after a reload. From the first time on the watchdog gets its signs. */
  ready(status: string): Promise<void>;
  /** A reload begins, to be ended by `ready`. */
  reloading(): Promise<void>;
  /** The last that it is told of: a reload that is under way says nothing more. */
  stopping(): Promise<void>;
  /** Tells nothing more. */
  close(): void;
}

/**
 * Node has no sockets of datagrams, and a package for them would be a native one: systemd's own program sends the signs. So the unit has
 * `NotifyAccess=all`.
 *
 * @param environment `NOTIFY_SOCKET`, a path or with `@` an abstract name, and `WATCHDOG_USEC`
 * `isAnswering`: asked before each sign of the watchdog, which waits for it
 */
export function serviceManager(
  environment: NodeJS.ProcessEnv,
  pid: number,
  { logger, isAnswering = async () => true }: { logger: Logger; isAnswering?: () => Promise<boolean> },
): ServiceManager {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: microseconds, WATCHDOG_PID: watched = String(pid), PATH } = environment;
  if (!socket) return { ready: async () => {}, reloading: async () => {}, stopping: async () => {}, close() {} };
  let last: Promise<void> = Promise.resolve();
  let watchdog: NodeJS.Timeout | undefined;
  let isStopping = false;

  /** One after the other, as they were told. */
  function tell(...assignments: string[]): Promise<void> {
    last = last.then(() => send(assignments)).catch((error: NodeJS.ErrnoException) => trouble(error.code));
    return last;
  }

  function send(assignments: readonly string[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const child = spawn('systemd-notify', assignments, { env: { PATH, NOTIFY_SOCKET: socket }, stdio: 'ignore' });
      child.once('error', reject);
      child.once('exit', (status, signal) => {
        if (status !== 0) trouble(status ?? signal);
        resolve();
      });
    });
  }

  /** It ends nothing: the machine may be short of processes or memory for a moment. */
  function trouble(reason: unknown): void {
    logger.error({ part: 'service manager', reason }, 'systemd-notify failed: the service manager was not told');
  }

  function feedWatchdog(): void {
    if (watchdog || !(Number(microseconds) > 0) || watched !== String(pid)) return;
    const every = Number(microseconds) / 1000 / SIGNS_IN_A_WATCHDOG;
    let isUnderWay = false;
    watchdog = setInterval(() => {
      // On a machine that is busy they would pile up, and other signs wait behind them.
      if (isUnderWay || isStopping) return;
      isUnderWay = true;
      void isAnswering()
        .then((isSo) => (isSo && !isStopping ? tell('WATCHDOG=1') : undefined))
        .finally(() => {
          isUnderWay = false;
        });
    }, every).unref();
  }

  return {
    async ready(status) {
      if (isStopping) return;
      await tell('READY=1', `STATUS=${status}`);
      feedWatchdog();
    },
    async reloading() {
      if (!isStopping) await tell('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
    },
    stopping() {
      isStopping = true;
      return tell('STOPPING=1');
    },
    close: () => clearInterval(watchdog),
  };
}
