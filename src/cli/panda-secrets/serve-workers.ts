import { holdFolder, predecessor, readyFolder } from '../../site/data-folder.ts';
import { serviceManager } from '../../site/service-manager.ts';
import type { Settings } from '../../site/settings.ts';
import { OF_THE_MANAGER, WORKER_VARIABLE } from '../../site/workers/messages.ts';
import { WorkerFailed } from '../../site/workers/starting.ts';
import { superviseWorkers, type Workers } from '../../site/workers/supervisor.ts';
import { askPassphrase } from './ask-passphrase.ts';
import {
  reloadOnHangup,
  type ServerProcess,
  stopOnSignals,
  tellOfReload,
  tellOfStart,
  unlessWrong,
} from './server-process.ts';

/** A server of several workers: this process supervises them, and opens no database itself. */
export async function serveWithWorkers({
  settings,
  socket,
  read,
  ...own
}: Omit<ServerProcess, 'manager'> & {
  settings: Settings;
  socket: number | undefined;
  /** The settings as they are now. @throws {Misconfigured} */
  read(): Settings;
}): Promise<void> {
  const { log, withoutMessage } = own;
  const { logger } = log;
  let workers: Workers | undefined;
  const isAnswering = async () => (await workers?.areAnswering()) ?? false;
  const manager = serviceManager(process.env, process.pid, { logger, isAnswering });
  const environment: NodeJS.ProcessEnv = { ...process.env, [WORKER_VARIABLE]: String(process.pid) };
  for (const name of OF_THE_MANAGER) delete environment[name];
  await readyFolder(settings.data);
  const release =
    settings.database === undefined ? await holdFolder(settings.data, predecessor(socket, logger)) : () => {};
  const [, file = '', ...words] = process.argv;
  const end = async (status: number) => {
    await log.stop();
    process.exit(status);
  };
  try {
    workers = await superviseWorkers({
      settings,
      count: settings.workers ?? 1,
      program: { file, words, flags: process.execArgv, environment },
      logger,
      ask: askPassphrase(),
      socket,
      onEnd: end,
    });
  } catch (error) {
    if (error instanceof WorkerFailed) return end(error.status);
    throw error;
  }
  const { seen, stop, reload } = workers;
  const server = { ...own, manager };
  stopOnSignals(server, async () => {
    await stop();
    release();
  });
  await tellOfStart(server, seen, settings);
  reloadOnHangup(server, seen, async () => {
    const wanted = await unlessWrong({ logger, withoutMessage }, read);
    const needingRestart = await reload(wanted);
    if (wanted === undefined || needingRestart === undefined) return;
    logger.level = wanted.logLevel;
    tellOfReload(logger, needingRestart);
  });
}
