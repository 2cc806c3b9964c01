import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Counts } from '../../metrics/added-up.ts';
import {
  DRAIN_SECONDS,
  LAST_REQUESTS_MILLISECONDS,
  MAX_FIRST_START_SILENCES,
  MAX_START_SILENCES,
  MAX_WORKER_SILENCES,
  METRICS_OF_WORKER_MILLISECONDS,
  WORKER_CHECK_SECONDS,
  WORKER_RESTART_SECONDS,
  WORKER_STEADY_SECONDS,
} from '../../protocol/limits.ts';
import type { AskPassphrase } from '../../sealing/root-keys.ts';
import { type Settings, takenOver } from '../settings.ts';
import { createDoor, type Taker } from './door.ts';
import type { FromWorker, Started, ToWorker } from './messages.ts';
import type { DoorName } from './siblings.ts';
import { createTurns, type Writer } from './turns.ts';

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

/** How a worker is started: the same program as this one. */
export interface WorkerProgram {
  file: string;
  words: readonly string[];
  /** Node's own. */
  flags: readonly string[];
  environment: NodeJS.ProcessEnv;
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

interface Worker {
  number: number;
  child: ChildProcess;
  isReady: boolean;
  /** Starts at this place, one soon after the other, before this one. */
  tries: number;
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

const TICKET_KEYS_BYTES = 48;
const SOFTWARE_FAULT = 70;

/**
 * Starts workers, the first one alone, as it makes what is not there yet. One that ends is started anew: at once, and later each time when it
 * does not stay. One that answers nothing for `MAX_WORKER_SILENCES` checks is killed: it may have the turn to write, and others wait for it. One that
 * starts has longer.
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
  const passphrases = new Map<string, Promise<string>>();
  const ticketKeys = randomBytes(TICKET_KEYS_BYTES).toString('base64');
  let leader: Worker | undefined;
  let ended: Counts[] = [];
  let adding: Promise<void> = Promise.resolve();
  let isStopping = false;
  let seen: Started | undefined;

  /** @throws {WorkerFailed} */
  function start(number: number, tries = 0): Promise<Worker> {
    const began = performance.now();
    const child = fork(program.file, program.words, {
      // Its standard input is none of its own: it may be the socket that this process listens on.
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: program.environment,
      execArgv: [...program.flags],
    });
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
      tries,
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
    workers.set(number, worker);
    const started = Promise.withResolvers<Worker>();
    child.on('message', (message: FromWorker) => handle(worker, message, () => started.resolve(worker)));
    const end = (status: number | null, signal: string | null) => {
      forget(worker);
      if (!isStopping && worker.isReady) {
        const ofIt = { part: 'workers', worker: number, pid: child.pid, status, signal };
        logger.error(ofIt, 'a worker ended, and another takes its place');
        const stayed = performance.now() - began > WORKER_STEADY_SECONDS * 1000;
        void startAnew(number, stayed ? 0 : tries + 1);
      }
      started.reject(new WorkerFailed(status || SOFTWARE_FAULT, worker.hasHung));
    };
    child.once('exit', end);
    // A process that could not be made has no end.
    child.on('error', () => child.pid === undefined && end(null, null));
    const canAsk = ask !== undefined;
    tell(worker, { type: 'start', settings, number, workers: count, socket, canAsk, ticketKeys });
    return started.promise;
  }

  /** Of one that has ended its `exit` tells. */
  function tell({ child }: Worker, message: ToWorker, socket?: Socket): void {
    child.send(message, socket, { keepOpen: true }, () => {});
  }

  /** @returns undefined when it ended first */
  function askOne<T extends FromWorker['type']>(
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

  function handle(worker: Worker, message: FromWorker, onReady: () => void): void {
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
        onReady();
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
        void countsOf(othersOf(worker)).then((others) => tell(worker, { type: 'counted', id: message.id, others }));
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

  function answered({ asked }: Worker, message: FromWorker): void {
    asked.get(message.type)?.(message);
    asked.delete(message.type);
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
    if (worker.counts) keepCounts(worker.counts);
    if (worker !== leader || isStopping) return;
    lead(readyOnes()[0]);
    if (leader) {
      logger.info({ part: 'workers', worker: leader.number }, 'another worker does what the server does by itself');
    } else {
      // Somebody has to say that the server is starting.
      for (const other of workers.values()) letIn(other);
    }
  }

  /** A count that went down would look to Prometheus as if all of it had come anew: so it is kept at once, and added to the others later. */
  function keepCounts(counts: Counts): void {
    ended = [...ended, counts.filter(({ type }) => RISING.has(String(type)))];
    adding = adding.then(async () => {
      const { sumOf } = await import('../../metrics/added-up.ts');
      const added = ended.length;
      const sum = await sumOf(ended);
      ended = [sum, ...ended.slice(added)];
    });
  }

  /** Of one that is slow the counts of the time before are told. */
  async function countsOf(others: readonly Worker[]): Promise<Counts[]> {
    const all = Promise.all(others.map((other) => askOne(other, { type: 'count' }, 'counts')));
    const late = new AbortController();
    const limit = pause(METRICS_OF_WORKER_MILLISECONDS, undefined, { signal: late.signal }).catch(() => {});
    await Promise.race([all, limit]);
    late.abort();
    const running = others.filter((other) => workers.get(other.number) === other);
    return [...running.map(({ counts }) => counts).filter(isThere), ...ended];
  }

  function othersOf(worker: Worker): Worker[] {
    return readyOnes().filter((other) => other !== worker);
  }

  function readyOnes(): Worker[] {
    return [...workers.values()].filter(({ isReady }) => isReady);
  }

  /** One that hangs is started anew. @throws {WorkerFailed} when one says why it cannot start */
  async function startFirst(number: number): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        await start(number, tries);
        return;
      } catch (error) {
        if (isStopping || !(error as WorkerFailed).hung) throw error;
        await backOff(tries + 1);
        if (isStopping) throw error;
      }
    }
  }

  /** @param tries in which it did not stay */
  async function startAnew(number: number, tries: number): Promise<void> {
    await backOff(tries);
    if (isStopping) return;
    try {
      const { child } = await start(number, tries);
      logger.info({ part: 'workers', worker: number, pid: child.pid }, 'a worker was started anew');
    } catch (error) {
      if (isStopping) return;
      logger.error({ part: 'workers', worker: number }, 'a worker could not be started');
      // One that starts may serve soon.
      if (workers.size > 0) return startAnew(number, tries + 1);
      logger.fatal({ part: 'workers' }, 'no worker serves, and none can be started');
      onEnd((error as WorkerFailed).status);
    }
  }

  function pingOf(worker: Worker): Promise<void> {
    worker.ping ??= askOne(worker, { type: 'ping' }, 'pong').then(() => {
      worker.ping = undefined;
      worker.silences = 0;
    });
    return worker.ping;
  }

  /** Checks are counted, and no time: after a pause of the whole machine all have time to answer. */
  function check(): void {
    for (const worker of workers.values()) {
      if (worker.ping) worker.silences += 1;
      else void pingOf(worker);
      if (worker.hasHung || worker.silences < mostSilencesOf(worker)) continue;
      worker.hasHung = true;
      const ofIt = { part: 'workers', worker: worker.number, pid: worker.child.pid };
      if (worker.isReady) logger.error(ofIt, 'a worker does not answer, and is killed');
      else logger.error(ofIt, 'a worker hangs while it starts, and is killed');
      worker.child.kill('SIGKILL');
    }
  }

  function mostSilencesOf({ isReady }: Worker): number {
    if (isReady) return MAX_WORKER_SILENCES;
    // The first of all may make the tables of a newer release, and SQLite lets it answer nothing meanwhile.
    return seen ? MAX_START_SILENCES : MAX_FIRST_START_SILENCES;
  }

  function killAll(): void {
    for (const { child } of workers.values()) child.kill('SIGKILL');
  }

  async function stop(): Promise<void> {
    isStopping = true;
    clearInterval(checks);
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

  const checks = setInterval(check, WORKER_CHECK_SECONDS * 1000).unref();
  // Others end with the channel; one that hangs would stay, with its locks.
  process.on('exit', killAll);
  try {
    await startFirst(1);
    await Promise.all(Array.from({ length: count - 1 }, (_, n) => startFirst(n + 2)));
  } catch (error) {
    isStopping = true;
    clearInterval(checks);
    killAll();
    process.off('exit', killAll);
    for (const door of Object.values(doors)) await door.close(0);
    throw error;
  }

  return {
    // The first of them told it, and all are ready.
    seen: seen as unknown as Started,
    async areAnswering() {
      await Promise.all(readyOnes().map(pingOf));
      return true;
    },
    async reload(wanted) {
      if (wanted) settings = takenOver(settings, wanted);
      const message: ToWorker = { type: 'reload', settings: wanted };
      const ready = readyOnes();
      for (const worker of ready) worker.settings = settings;
      const all = (await Promise.all(ready.map((worker) => askOne(worker, message, 'reloaded')))).filter(isThere);
      if (!wanted || all.some(({ isTaken }) => !isTaken)) return undefined;
      return [...new Set(all.flatMap(({ needingRestart }) => needingRestart))];
    },
    stop,
  };
}

/** Waits before a try, for longer each time. @param tries in which it did not stay */
function backOff(tries: number): Promise<void> {
  return tries > 1 ? pause(Math.min(2 ** (tries - 2), WORKER_RESTART_SECONDS) * 1000) : Promise.resolve();
}

const DOORS = ['calls', 'watch'] as const;
/** Of a process that has ended there is no state. */
const RISING = new Set(['counter', 'histogram']);

function isThere<T>(one: T | undefined): one is T {
  return one !== undefined;
}
