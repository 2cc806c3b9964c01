import { protectMemory } from '../../files/process-memory.ts';
import { LAST_REQUESTS_MILLISECONDS } from '../../protocol/limits.ts';
import { startService } from '../../site/service.ts';
import { WORKER_VARIABLE } from '../../site/workers/messages.ts';
import { joinSupervisor } from '../../site/workers/worker.ts';
import { collectEarly, lookForRootKeys, openServerLog, STOPS, stopAtOnce, unlessWrong } from './server-process.ts';

/** One of several workers: its supervisor says when it stops and reloads. */
export async function serveAsWorker(): Promise<void> {
  // A terminal sends them to all its processes.
  for (const signal of ['SIGINT', 'SIGHUP', 'SIGUSR1'] as const) process.on(signal, () => {});
  process.on('SIGTERM', stopAtOnce);
  // Nothing of a server is left without the process that has its address and its data folder.
  process.on('disconnect', () => process.exit());
  delete process.env[WORKER_VARIABLE];
  await protectMemory();
  collectEarly();
  const { start, siblings, ask, ready, leave } = await joinSupervisor(process, stopAtOnce);
  const { settings, number, socket } = start;
  const { log, withoutMessage } = await openServerLog(settings, true);
  const logger = log.logger.child({ worker: number });
  const service = await startService(settings, {
    logger,
    clock: Date.now,
    ask,
    socket,
    environment: process.env,
    lastRequestsMilliseconds: LAST_REQUESTS_MILLISECONDS,
    siblings,
  })
    .catch((error) => {
      // It would keep this process from its end.
      process.channel?.unref();
      throw error;
    })
    .finally(log.stop);

  let isStopping = false;
  async function stop(): Promise<void> {
    if (isStopping) return;
    isStopping = true;
    await service.close();
    await log.stop();
    process.exit(0);
  }

  process.off(STOPS[0], stopAtOnce);
  process.on(STOPS[0], () => {
    leave();
    void stop();
  });
  const telling = { logger, withoutMessage };
  ready(
    { ...service, isNew: service.installation.isNew },
    {
      lead: service.lead,
      async reload(wanted) {
        log.reopen();
        await lookForRootKeys(service, telling);
        const needingRestart = await unlessWrong(telling, async () => {
          if (!wanted) return undefined;
          const named = await service.reload(wanted);
          logger.level = wanted.logLevel;
          return named;
        });
        return { isTaken: needingRestart !== undefined, needingRestart: needingRestart ?? [] };
      },
      stop: () => void stop(),
    },
  );
}
