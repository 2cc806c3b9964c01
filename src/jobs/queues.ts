import { type AuditActor, appendAudit, SYSTEM } from '../audit/audit.ts';
import { AlreadyExists, Conflict, InvalidArgument, NotFound } from '../protocol/errors.ts';
import { CLOCK_TOLERANCE_SECONDS, MAX_COUNTED_JOBS } from '../protocol/limits.ts';
import type { JobState, QueueState } from '../protocol/states.ts';
import { checkQueueName } from '../protocol/trusted-queues.ts';
import { deleteUnusedJoinTokensOf } from '../store/join-tokens.ts';
import { endPilotsOf } from '../store/pilots.ts';
import { countHeldByKind, countRunning } from '../store/queue-load.ts';
import {
  countOpenTasks,
  deleteQueue,
  insertQueue,
  lockQueue,
  type QueueRow,
  readQueue,
  readQueues,
  updateQueue,
} from '../store/queues.ts';
import { readSiteRecord, writeSiteRecord } from '../store/site-records.ts';
import type { Database, Store } from '../store/store.ts';
import { countWaiting, countWaitingBy, type WaitingJobs } from '../store/waiting-jobs.ts';
import { tellOwners } from './queue-notices.ts';

/** A place that pilots take jobs from: PanDA's computing site. */
export interface Queue {
  /** 1 to 64 letters, digits, `.`, `_` and `-`. */
  name: string;
  /** True when a pilot that offers no key may have secrets over TLS alone. */
  allowTlsSecrets: boolean;
  state: QueueState;
}

/** The properties of a queue that an operator sets. */
export interface QueueChange {
  allowTlsSecrets?: boolean | undefined;
  state?: QueueState | undefined;
}

/**
 * Adds a queue. One that is there already with the same settings is left as it is; with other ones it is refused, since users rely on them.
 *
 * @returns `isNew`: false when it was there; `told`: the owners who were told that it gives secrets over TLS alone, because their
 * secrets name a queue of that name
 * @throws {InvalidArgument} when the name cannot be one @throws {AlreadyExists}
 */
export async function addQueue(
  store: Store,
  clock: () => number,
  name: string,
  { allowTlsSecrets = false }: { allowTlsSecrets?: boolean } = {},
  by: AuditActor = 'operator',
): Promise<{ queue: Queue; isNew: boolean; told: number }> {
  checkQueueName(name);
  const row = {
    name,
    allow_tls_secrets: allowTlsSecrets ? 1 : 0,
    created_at: clock(),
    state: null,
    tls_secrets_since: null,
  };
  return store.write(async (tx) => {
    if (!(await insertQueue(tx, row))) {
      const queue = toQueue(await existing(tx, name));
      if (queue.allowTlsSecrets !== allowTlsSecrets) throw isThereAlready(queue, allowTlsSecrets);
      return { queue, isNew: false, told: 0 };
    }
    const told = allowTlsSecrets ? await tellOwners(tx, clock, { queue: name, allowed: true }, by) : 0;
    await appendAudit(tx, clock, SYSTEM, by, 'queue.add', { queue: name, allowTlsSecrets });
    return { queue: toQueue(row), isNew: true, told };
  });
}

/**
 * Changes a queue. The owners whose secrets name it are told when it becomes weaker, or strong again, in the same transaction.
 *
 * @returns the queue as it was and as it is, and the number of owners who were told
 * @throws {NotFound}
 */
export async function setQueue(
  store: Store,
  clock: () => number,
  name: string,
  change: QueueChange,
  by: AuditActor = 'operator',
): Promise<{ queue: Queue; was: Queue; told: number }> {
  return store.write(async (tx) => {
    const row = await existing(tx, name);
    const was = toQueue(row);
    const { allowTlsSecrets = was.allowTlsSecrets, state = was.state } = change;
    const queue: Queue = { name, allowTlsSecrets, state };
    const changed = {
      ...(allowTlsSecrets !== was.allowTlsSecrets && { allowTlsSecrets }),
      ...(state !== was.state && { state }),
    };
    if (Object.keys(changed).length === 0) return { queue, was, told: 0 };
    const since = allowTlsSecrets && !was.allowTlsSecrets ? clock() : row.tls_secrets_since;
    await updateQueue(tx, {
      ...row,
      allow_tls_secrets: allowTlsSecrets ? 1 : 0,
      state: state === 'open' ? null : state,
      tls_secrets_since: allowTlsSecrets ? since : null,
    });
    const told =
      allowTlsSecrets === was.allowTlsSecrets
        ? 0
        : await tellOwners(tx, clock, { queue: name, allowed: allowTlsSecrets }, by);
    await appendAudit(tx, clock, SYSTEM, by, 'queue.change', { queue: name, ...changed });
    return { queue, was, told };
  });
}

/**
 * Publishes what the site of a queue says of its nodes' keys. It is signed, and users check it: to a server it is a word.
 *
 * @throws {NotFound}
 */
export async function setSiteRecord(
  store: Store,
  clock: () => number,
  name: string,
  record: string,
  by: AuditActor = 'operator',
): Promise<void> {
  await store.write(async (tx) => {
    await existing(tx, name);
    await writeSiteRecord(tx, { queue: name, record, changed_at: clock() });
    await appendAudit(tx, clock, SYSTEM, by, 'queue.site_record', { queue: name });
  });
}

/** The record of a queue's site; undefined for a queue that has none, or is not there. */
export async function findSiteRecord(store: Store, name: string): Promise<string | undefined> {
  return await readSiteRecord(store.db, name);
}

/**
 * Removes a queue, and with it what lets pilots in: a queue that gets its name later is another one.
 *
 * @throws {NotFound} @throws {Conflict} while tasks for it have not ended, or something runs there
 */
export async function removeQueue(
  store: Store,
  clock: () => number,
  name: string,
  by: AuditActor = 'operator',
): Promise<void> {
  await store.write(async (tx) => {
    // Locked first: a task that is being made for it is counted, or finds it gone.
    await existing(tx, name);
    const tasks = await countOpenTasks(tx, name);
    const running = await countRunning(tx, name);
    if (tasks > 0 || running > 0) throw isInUse(name, { tasks, running });
    await deleteQueue(tx, name);
    await deleteUnusedJoinTokensOf(tx, name);
    await endPilotsOf(tx, name, clock());
    await appendAudit(tx, clock, SYSTEM, by, 'queue.remove', { queue: name });
  });
}

/** In the order of their names. */
export async function listQueues(store: Store): Promise<Queue[]> {
  return (await readQueues(store.db)).map(toQueue);
}

export async function findQueue(store: Store, name: string): Promise<Queue | undefined> {
  const row = await readQueue(store.db, name);
  return row && toQueue(row);
}

/** True when a queue was added, perhaps again, after a token for one of its name was made. The servers' clocks may be apart. */
export async function isAddedAfter(store: Store, name: string, time: number): Promise<boolean> {
  const row = await readQueue(store.db, name);
  return row !== undefined && row.created_at > time + CLOCK_TOLERANCE_SECONDS * 1000;
}

/** The jobs that a pilot of a queue would be given, counted up to `MAX_COUNTED_JOBS`, and the attempts that its pilots have. */
export async function queueLoad(store: Store, { name, state }: Queue): Promise<{ waiting: number; running: number }> {
  const [waiting, running] = await Promise.all([
    state === 'paused' ? 0 : countWaiting(store.db, { queue: name, anyQueue: takesOfAny(state) }, MAX_COUNTED_JOBS),
    countRunning(store.db, name),
  ]);
  return { waiting, running };
}

const NEEDS = ['cores', 'memory_mb', 'walltime_seconds'] as const;

/** The needs of the jobs that {@link queueLoad} counts as waiting, the most frequent first. */
export function waitingNeeds(store: Store, queue: Queue): Promise<WaitingJobs<(typeof NEEDS)[number]>[]> {
  return waitingBy(store, queue, NEEDS);
}

/** Jobs of one kind that wait for pilots of a queue, or that these have. */
export interface ActiveJobs {
  /** `activated`, or a state of {@link HELD_JOB_STATES}. */
  state: JobState;
  cores: number;
  /** PanDA's `prodSourceLabel`. */
  label: string;
  jobs: number;
}

/** All that {@link queueLoad} counts, by state and kind. What has ended is not looked at. */
export async function activeJobs(store: Store, queue: Queue): Promise<ActiveJobs[]> {
  const [waiting, held] = await Promise.all([
    waitingBy(store, queue, ['cores', 'source_label']),
    countHeldByKind(store.db, queue.name),
  ]);
  return [...waiting.map((row) => ({ ...row, state: 'activated' })), ...held].map((row) => ({
    state: row.state as JobState,
    cores: row.cores,
    label: row.source_label,
    jobs: row.jobs,
  }));
}

async function waitingBy<C extends Parameters<typeof countWaitingBy>[1][number]>(
  store: Store,
  { name, state }: Queue,
  columns: readonly C[],
): Promise<WaitingJobs<C>[]> {
  if (state === 'paused') return [];
  return countWaitingBy(store.db, columns, { queue: name, anyQueue: takesOfAny(state) }, MAX_COUNTED_JOBS);
}

/** 1 when pilots of a queue in this state also get jobs that name no queue. Those would never end while it drains. */
export function takesOfAny(state: QueueState): 0 | 1 {
  return state === 'open' ? 1 : 0;
}

/** @throws {InvalidArgument} naming those that are not there, and those that are */
export async function checkQueues(store: Store, names: readonly string[]): Promise<void> {
  const known = (await readQueues(store.db)).map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length === 0) return;
  const which = unknown.length === 1 ? `is no queue "${unknown[0]}"` : `are no queues "${unknown.join('", "')}"`;
  throw new InvalidArgument(
    `queues: there ${which}; ${known.length > 0 ? `the queues are ${known.join(', ')}` : 'there is none yet'}`,
  );
}

/** Refuses a queue that is not there, naming those that are. @throws {NotFound} */
export function noSuchQueue(queue: string, names: readonly string[]): NotFound {
  const known = names.length > 0 ? `the queues are ${names.join(', ')}` : 'there is none yet';
  return new NotFound(`there is no queue "${queue}"; ${known}. Add it with "panda-secrets queue add ${queue}"`);
}

async function existing(tx: Database, name: string): Promise<QueueRow> {
  const row = await lockQueue(tx, name);
  if (row) return row;
  throw noSuchQueue(
    name,
    (await readQueues(tx)).map((one) => one.name),
  );
}

function isThereAlready({ name, allowTlsSecrets }: Queue, wanted: boolean): AlreadyExists {
  const gives = allowTlsSecrets ? 'also gives secrets over TLS alone' : 'gives secrets sealed only';
  return new AlreadyExists(
    `there is a queue "${name}" already, which ${gives}: nothing was changed. ` +
      `"panda-secrets queue set ${name} --${wanted ? '' : 'no-'}allow-tls-secrets" changes that`,
  );
}

function isInUse(name: string, { tasks, running }: { tasks: number; running: number }): Conflict {
  const inUse = [
    ...(tasks > 0 ? [`${counted(tasks, 'task')} for it ${tasks === 1 ? 'has' : 'have'} not ended`] : []),
    ...(running > 0 ? [`${counted(running, 'job')} ${running === 1 ? 'runs' : 'run'} there`] : []),
  ];
  return new Conflict(
    `queue "${name}" is in use: ${inUse.join(', and ')}; nothing was changed. "panda-secrets queue drain ${name}" has it take no ` +
      'new tasks: remove it when these have ended',
  );
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

function toQueue({ name, allow_tls_secrets, state }: Omit<QueueRow, 'tag'>): Queue {
  return { name, allowTlsSecrets: allow_tls_secrets === 1, state: (state ?? 'open') as QueueState };
}
