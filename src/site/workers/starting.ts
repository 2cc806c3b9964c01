import { type ChildProcess, fork } from 'node:child_process';
import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Counts } from '../../metrics/added-up.ts';
import { WORKER_RESTART_SECONDS, WORKER_STEADY_SECONDS } from '../../protocol/limits.ts';
import type { Settings } from '../settings.ts';
import type { Taker } from './door.ts';
import type { FromWorker, StartMessage, ToWorker } from './messages.ts';
import type { DoorName } from './siblings.ts';
import type { Writer } from './turns.ts';

/** How a worker is started: the same program as this one. */
export interface WorkerProgram {
  file: string;
  words: readonly string[];
  /** Node's own. */
  flags: readonly string[];
  environment: NodeJS.ProcessEnv;
}

/** A worker did not start; it has said why. */
export class WorkerFailed extends Error {
  readonly status: number;
  /** It was killed, as it answered nothing, and has said nothing: another try may do better. */
  readonly hung: boolean;

  constructor(status: number, hung: boolean) {
    super('a worker did not start');
    this.name = 'WorkerFailed';
    this.status = status;
    this.hung = hung;
  }
}

/** A worker as its supervisor sees it. */
export interface Worker {
  number: number;
  child: ChildProcess;
  isReady: boolean;
  settings: Settings;
  takers: Record<DoorName, Taker>;
  /** Where it listens. */
  listensAt: Set<DoorName>;
  writer: Writer;
  /** The counts that it was asked for last. */
  counts?: Counts;
  /** Until it answers. */
  ping?: Promise<void> | undefined;
  /** So many checks, one after the other, found that it had not answered. */
  silences: number;
  /** It is killed for that. */
  hasHung: boolean;
  /** What it was asked and has not answered. */
  asked: Map<string, (answer: FromWorker | undefined) => void>;
}

export interface Starting {
  program: WorkerProgram;
  logger: Logger;
  /** Those that run, by number: one that starts is put among them. */
  workers: Map<number, Worker>;
  /** Aborted where none is to start any more. */
  stopping: AbortSignal;
  startMessage(number: number): StartMessage;
  /** Told of each message. It sets `isReady` when the worker says that it serves. */
  handle(worker: Worker, message: FromWorker): void;
  /** Told when one has ended. It takes that one out of `workers`. */
  forget(worker: Worker): void;
  /** Told when none of them serves, and none can be started. @param status with which the last one ended */
  onEnd(status: number): void;
}

/**
 * Starts the worker of a number. One that ends later is started anew: at once, and later each time when it does not stay. One that hangs while it
 * starts is started anew too.
 *
 * @returns when it serves
 * @throws {WorkerFailed} when it says why it cannot start
 */
export async function startWorker(starting: Starting, number: number): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await start(starting, number, tries);
      return;
    } catch (error) {
      if (starting.stopping.aborted || !(error as WorkerFailed).hung) throw error;
      await backOff(tries + 1);
      if (starting.stopping.aborted) throw error;
    }
  }
}

/** Of one that has ended its `exit` tells. */
export function tell({ child }: Worker, message: ToWorker, socket?: Socket): void {
  child.send(message, socket, { keepOpen: true }, () => {});
}

/** @returns undefined when it ended first, or was asked the same again */
export function askWorker<T extends FromWorker['type']>(
  worker: Worker,
  message: ToWorker,
  answer: T,
): Promise<Extract<FromWorker, { type: T }> | undefined> {
  return new Promise((resolve) => {
    worker.asked.get(answer)?.(undefined);
    worker.asked.set(answer, resolve as (answer: FromWorker | undefined) => void);
    tell(worker, message);
  });
}

/** Hands an answer to those who asked for it. */
export function answered({ asked }: Worker, message: FromWorker): void {
  asked.get(message.type)?.(message);
  asked.delete(message.type);
}

const SOFTWARE_FAULT = 70;

/** @param tries in which it did not stay @throws {WorkerFailed} */
function start(starting: Starting, number: number, tries: number): Promise<Worker> {
  const { program, logger, workers, stopping } = starting;
  const began = performance.now();
  const message = starting.startMessage(number);
  const child = fork(program.file, program.words, {
    // Its standard input is none of its own: it may be the socket that this process listens on.
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: program.environment,
    execArgv: [...program.flags],
  });
  const worker = workerOf(child, message);
  workers.set(number, worker);
  const started = Promise.withResolvers<Worker>();
  child.on('message', (message: FromWorker) => {
    starting.handle(worker, message);
    if (message.type === 'ready') started.resolve(worker);
  });
  const end = (status: number | null, signal: string | null) => {
    starting.forget(worker);
    if (!stopping.aborted && worker.isReady) {
      const ofIt = { part: 'workers', worker: number, pid: child.pid, status, signal };
      logger.error(ofIt, 'a worker ended, and another takes its place');
      const stayed = performance.now() - began > WORKER_STEADY_SECONDS * 1000;
      void startAnew(starting, number, stayed ? 0 : tries + 1);
    }
    started.reject(new WorkerFailed(status || SOFTWARE_FAULT, worker.hasHung));
  };
  child.once('exit', end);
  // A process that could not be made has no end.
  child.on('error', () => child.pid === undefined && end(null, null));
  tell(worker, message);
  return started.promise;
}

function workerOf(child: ChildProcess, { number, settings }: StartMessage): Worker {
  const hand = (door: DoorName) => ({
    hand(socket: Socket) {
      tell(worker, { type: 'connection', door }, socket);
      // A process that has no descriptor left is not told of a connection at all; it answers what comes behind it.
      tell(worker, { type: 'handed', door });
    },
  });
  const worker: Worker = {
    number,
    child,
    isReady: false,
    silences: 0,
    hasHung: false,
    settings,
    takers: { calls: hand('calls'), watch: hand('watch') },
    listensAt: new Set(),
    writer: {
      grant: (isWanted) => tell(worker, { type: 'turn', isWanted }),
      want: () => tell(worker, { type: 'turn wanted' }),
    },
    asked: new Map(),
  };
  return worker;
}

/** @param tries in which it did not stay */
async function startAnew(starting: Starting, number: number, tries: number): Promise<void> {
  const { logger, workers, stopping } = starting;
  await backOff(tries);
  if (stopping.aborted) return;
  try {
    const { child } = await start(starting, number, tries);
    logger.info({ part: 'workers', worker: number, pid: child.pid }, 'a worker was started anew');
  } catch (error) {
    if (stopping.aborted) return;
    logger.error({ part: 'workers', worker: number }, 'a worker could not be started');
    // One that starts may serve soon.
    if (workers.size > 0) return startAnew(starting, number, tries + 1);
    logger.fatal({ part: 'workers' }, 'no worker serves, and none can be started');
    starting.onEnd((error as WorkerFailed).status);
  }
}

/** Waits before a try, for longer each time. @param tries in which it did not stay */
function backOff(tries: number): Promise<void> {
  return tries > 1 ? pause(Math.min(2 ** (tries - 2), WORKER_RESTART_SECONDS) * 1000) : Promise.resolve();
}
