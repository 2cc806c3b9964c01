import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { DRAIN_SECONDS, LAST_REQUESTS_MILLISECONDS } from '../../protocol/limits.ts';
import type { AskPassphrase } from '../../sealing/root-keys.ts';
import { type Settings, takenOver } from '../settings.ts';
import { checkWorkers } from './checks.ts';
import { createWorkerCounts } from './counts.ts';
import { createDoor } from './door.ts';
import type { FromWorker, Started, StartMessage, ToWorker } from './messages.ts';
import type { DoorName } from './siblings.ts';
import { answered, askWorker, startWorker, tell, type Worker, type WorkerProgram } from './starting.ts';
import { createTurns } from './turns.ts';

/** The workers of a server, supervised. */
export interface Workers {
  /** As the first of them tells it. */
  seen: Started;
  /** True when each of them answers. While one does not it waits for its answer, or its end. */
  areAnswering(): Promise<boolean>;
  /** @param settings undefined where those of now are wrong @returns the names of those that a running server does not take over; undefined when a worker took none */
  reload(settings: Settings | undefined): Promise<string[] | undefined>;
  /** Lets them answer what has begun, and end. */
  stop(): Promise<void>;
}

export interface Supervision {
  settings: Settings;
  count: number;
  program: WorkerProgram;
  logger: Logger;
  ask?: AskPassphrase | undefined;
  socket?: number | undefined;
  /** Told when none of them serves, and none can be started. @param status with which the last one ended */
  onEnd(status: number): void;
}

const TICKET_KEYS_BYTES = 48;
const DOORS = ['calls', 'watch'] as const;

/**
 * Starts workers, the first one alone, as it makes what is not there yet. One that ends is started anew (`startWorker`), and one that stands still is
 * killed (`checkWorkers`).
 *
 * @returns when all serve
 * @throws {WorkerFailed}
 */
export async function superviseWorkers(supervision: Supervision): Promise<Workers> {
  const { count, program, logger, ask, socket, onEnd } = supervision;
  let { settings } = supervision;
  const workers = new Map<number, Worker>();
  const doors = { calls: createDoor(), watch: createDoor() };
  const addresses = new Map<DoorName, Promise<AddressInfo>>();
  const turns = createTurns();
  const counts = createWorkerCounts(workers);
  const passphrases = new Map<string, Promise<string>>();
  const ticketKeys = randomBytes(TICKET_KEYS_BYTES).toString('base64');
  const stopping = new AbortController();
  let leader: Worker | undefined;
  let seen: Started | undefined;

  function handle(worker: Worker, message: FromWorker): void {
    const { takers, writer } = worker;
    switch (message.type) {
      case 'listen':
        void listenFor(worker, message);
        break;
      case 'taken':
        doors[message.door].taken(takers[message.door]);
        break;
      case 'ask':
        void passphraseOf(message.what).then(
          (passphrase) => tell(worker, { type: 'passphrase', what: message.what, passphrase }),
          () => tell(worker, { type: 'passphrase', what: message.what }),
        );
        break;
      case 'ready':
        worker.isReady = true;
        seen ??= message.seen;
        if (!leader) lead(worker);
        letIn(worker);
        // There was a reload while it started.
        if (worker.settings !== settings) tell(worker, { type: 'reload', settings });
        break;
      case 'turn':
        turns.ask(writer);
        break;
      case 'turn back':
        turns.giveBack(writer, message.isMore);
        break;
      case 'failure':
        for (const other of othersOf(worker)) tell(other, message);
        break;
      case 'metrics':
        worker.counts = message.own;
        void counts.of(othersOf(worker)).then((others) => tell(worker, { type: 'counted', id: message.id, others }));
        break;
      case 'counts':
        worker.counts = message.own;
        answered(worker, message);
        break;
      case 'leaving':
        for (const name of DOORS) doors[name].remove(takers[name], false);
        break;
      default:
        answered(worker, message);
    }
  }

  async function listenFor(worker: Worker, { door, at }: Extract<FromWorker, { type: 'listen' }>): Promise<void> {
    try {
      const address = addresses.get(door) ?? doors[door].listen(at);
      addresses.set(door, address);
      tell(worker, { type: 'listening', door, address: await address });
      worker.listensAt.add(door);
      // Until it serves, those do that serve already.
      if (worker.isReady || readyOnes().length === 0) letIn(worker);
    } catch (error) {
      addresses.delete(door);
      const { code, syscall } = error as NodeJS.ErrnoException;
      tell(worker, { type: 'not listening', door, code, syscall });
    }
  }

  /** From now on it gets connections. */
  function letIn(worker: Worker): void {
    for (const door of worker.listensAt) doors[door].add(worker.takers[door]);
  }

  /** Once for all of them, and for those that come later. */
  function passphraseOf(what: string): Promise<string> {
    const asked = passphrases.get(what) ?? (ask ? ask(what) : Promise.reject(new Error('nobody can be asked')));
    passphrases.set(what, asked);
    return asked;
  }

  function lead(worker: Worker | undefined): void {
    leader = worker;
    if (leader) tell(leader, { type: 'lead' });
  }

  function forget(worker: Worker): void {
    workers.delete(worker.number);
    for (const name of DOORS) doors[name].remove(worker.takers[name], true);
    turns.forget(worker.writer);
    for (const told of worker.asked.values()) told(undefined);
    if (worker.counts) counts.keep(worker.counts);
    if (worker !== leader || stopping.signal.aborted) return;
    lead(readyOnes()[0]);
    if (leader) {
      logger.info({ part: 'workers', worker: leader.number }, 'another worker does what the server does by itself');
    } else {
      // Somebody has to say that the server is starting.
      for (const other of workers.values()) letIn(other);
    }
  }

  function othersOf(worker: Worker): Worker[] {
    return readyOnes().filter((other) => other !== worker);
  }

  function readyOnes(): Worker[] {
    return [...workers.values()].filter(({ isReady }) => isReady);
  }

  function killAll(): void {
    for (const { child } of workers.values()) child.kill('SIGKILL');
  }

  async function stop(): Promise<void> {
    stopping.abort();
    checks.stop();
    // First, so that those that were accepted find somebody who serves them.
    await Promise.all(Object.values(doors).map((door) => door.close(LAST_REQUESTS_MILLISECONDS)));
    const running = [...workers.values()].map(
      ({ child }) => new Promise<void>((resolve) => child.once('exit', () => resolve())),
    );
    for (const worker of workers.values()) tell(worker, { type: 'stop' });
    const late = setTimeout(killAll, (DRAIN_SECONDS + 5) * 1000);
    await Promise.all(running);
    clearTimeout(late);
    process.off('exit', killAll);
  }

  const checks = checkWorkers({ workers, logger, hasAnyServed: () => seen !== undefined });
  const starting = {
    program,
    logger,
    workers,
    stopping: stopping.signal,
    startMessage: (number: number): StartMessage => ({
      type: 'start',
      settings,
      number,
      workers: count,
      socket,
      canAsk: ask !== undefined,
      ticketKeys,
    }),
    handle,
    forget,
    onEnd,
  };
  // Others end with the channel; one that hangs would stay, with its locks.
  process.on('exit', killAll);
  try {
    await startWorker(starting, 1);
    await Promise.all(Array.from({ length: count - 1 }, (_, n) => startWorker(starting, n + 2)));
  } catch (error) {
    stopping.abort();
    checks.stop();
    killAll();
    process.off('exit', killAll);
    for (const door of Object.values(doors)) await door.close(0);
    throw error;
  }

  return {
    // The first of them told it, and all are ready.
    seen: seen as unknown as Started,
    async areAnswering() {
      await Promise.all(readyOnes().map(checks.ping));
      return true;
    },
    async reload(wanted) {
      if (wanted) settings = takenOver(settings, wanted);
      const message: ToWorker = { type: 'reload', settings: wanted };
      const ready = readyOnes();
      for (const worker of ready) worker.settings = settings;
      const all = (await Promise.all(ready.map((worker) => askWorker(worker, message, 'reloaded')))).filter(
        (one) => one !== undefined,
      );
      if (!wanted || all.some(({ isTaken }) => !isTaken)) return undefined;
      return [...new Set(all.flatMap(({ needingRestart }) => needingRestart))];
    },
    stop,
  };
}
