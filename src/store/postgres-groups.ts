import type { Kysely, Transaction } from 'kysely';
import { LRUCache } from 'lru-cache';
import { inTransaction, runInTransaction } from './postgres-dialect.ts';
import { ConnectionLost } from './postgres-pool.ts';
import type { Schema } from './schema.ts';
import type { OnCommit, Store } from './store.ts';

/** Groups under way: while one waits for the disk or for PostgreSQL, another one is put together. */
const MAX_GROUPS = 2;
/** The most writes of a group, and of one owner in it, which run one after another: those beside them must not wait long. */
const MAX_GROUP = 64;
const MAX_OF_AN_OWNER = 8;
/** How long a group waits for an owner whom another transaction has locked, a long one or another server's, before its writes go their own ways. */
const LOCK_MILLISECONDS = 100;
/** How long the writes of an owner stay out of groups after one that failed, and how many such owners are known. */
const APART_SECONDS = 5;
const MAX_APART = 10_000;

type Work<T> = (tx: Transaction<Schema>) => Promise<T>;

interface Waiting {
  owner: string;
  run(tx: Transaction<Schema>): Promise<void>;
  done(): void;
  failed(error: unknown): void;
}

/**
 * Has writes that arrive together, each of the rows of one owner alone, share a transaction: what they begin with is sent in one go and what they write in
 * another one. They run beside each other, those of one owner one after another, and lock their owners in the order of the ids, so that groups of
 * several servers do not wait for each other in a circle.
 *
 * A group in which anything fails is undone, and each of its writes runs once more in a transaction of its own. The next ones of an owner whose
 * write failed there too stay out of groups for a while: nobody can have those of others run twice again and again.
 *
 * @param alone runs one in a transaction of its own
 */
export function groupOwners(db: Kysely<Schema>, alone: Store['write'], onCommit?: OnCommit) {
  let waiting: Waiting[] = [];
  /** Those that run, in groups or alone. */
  const running = new Set<Promise<void>>();
  /** Their owners. */
  const busy = new Set<string>();
  const apart = new LRUCache<string, true>({ max: MAX_APART, ttl: APART_SECONDS * 1000 });
  let groups = 0;
  let isSoon = false;

  function startSoon(): void {
    if (isSoon || waiting.length === 0 || groups >= MAX_GROUPS) return;
    isSoon = true;
    // Requests that have arrived are read from their sockets before.
    setImmediate(start);
  }

  function start(): void {
    isSoon = false;
    const group = Map.groupBy(take(), ({ owner }) => owner);
    if (group.size === 0) return;
    for (const owner of group.keys()) busy.add(owner);
    groups++;
    const run = runGroup([...group].sort(([a], [b]) => (a < b ? -1 : 1))).finally(() => running.delete(run));
    running.add(run);
    startSoon();
  }

  function groupEnds(): void {
    groups--;
    startSoon();
  }

  function take(): Waiting[] {
    const taken: Waiting[] = [];
    const left: Waiting[] = [];
    const ofOwner = new Map<string, number>();
    for (const one of waiting) {
      const count = ofOwner.get(one.owner) ?? 0;
      if (taken.length < MAX_GROUP && count < MAX_OF_AN_OWNER && !busy.has(one.owner)) {
        taken.push(one);
        ofOwner.set(one.owner, count + 1);
      } else {
        left.push(one);
      }
    }
    waiting = left;
    return taken;
  }

  /** It never throws. @param owners with the writes of each, in the order of their ids */
  async function runGroup(owners: readonly [owner: string, writes: Waiting[]][]): Promise<void> {
    const writes = owners.flatMap(([, ofOwner]) => ofOwner);
    const [only, ...others] = writes;
    if (only && others.length === 0) return runOnly(only);
    const since = performance.now();
    try {
      await inTransaction(db, async (tx) => {
        await runInTransaction(tx.getExecutor(), SHORT_WAIT, { answers: false });
        // All of them end before it is undone: none may send a statement behind that.
        const ends = await Promise.allSettled(owners.map(([, ofOwner]) => inTurn(ofOwner, (one) => one.run(tx))));
        for (const end of ends) if (end.status === 'rejected') throw end.reason;
      });
    } catch (error) {
      groupEnds();
      if (error instanceof ConnectionLost && error.mayBeDone) {
        for (const one of writes) one.failed(error);
        leave(owners.map(([owner]) => owner));
      } else {
        await Promise.all(owners.map(([owner, ofOwner]) => runEach(owner, ofOwner).then(() => leave([owner]))));
      }
      return;
    }
    onCommit?.(writes.length, (performance.now() - since) / 1000);
    for (const one of writes) one.done();
    leave(owners.map(([owner]) => owner));
    groupEnds();
  }

  /** One that nothing arrived with. Where it waits for long, for another transaction, groups do not wait for it. */
  async function runOnly(one: Waiting): Promise<void> {
    let hasEnded = false;
    const end = () => {
      if (!hasEnded) groupEnds();
      hasEnded = true;
    };
    const timer = setTimeout(end, LOCK_MILLISECONDS);
    await runOne(one);
    clearTimeout(timer);
    leave([one.owner]);
    end();
  }

  /** In turn, until one of them fails: maybe it waited for long, and the others need not wait for it and then as long themselves. */
  async function runEach(owner: string, writes: readonly Waiting[]): Promise<void> {
    const left = [...writes];
    while (left.length > 0 && !apart.get(owner)) await runOne(left.shift() as Waiting);
    await Promise.all(left.map(runOne));
  }

  function leave(owners: readonly string[]): void {
    for (const owner of owners) {
      busy.delete(owner);
      if (!apart.get(owner)) continue;
      const run = runEach(
        owner,
        waiting.filter((one) => one.owner === owner),
      ).finally(() => running.delete(run));
      running.add(run);
      waiting = waiting.filter((one) => one.owner !== owner);
    }
    startSoon();
  }

  async function runOne(one: Waiting): Promise<void> {
    try {
      await alone((tx) => one.run(tx));
      one.done();
    } catch (error) {
      apart.set(one.owner, true);
      one.failed(error);
    }
  }

  return {
    write<T>(owner: string, work: Work<T>): Promise<T> {
      if (apart.get(owner)) return alone(work);
      return new Promise<T>((resolve, reject) => {
        let result: T;
        waiting.push({
          owner,
          run: async (tx) => {
            result = await work(tx);
          },
          done: () => resolve(result),
          failed: reject,
        });
        startSoon();
      });
    },

    /** Resolves when nothing is waiting any more. */
    async drained(): Promise<void> {
      while (running.size > 0 || waiting.length > 0) {
        startSoon();
        await (running.values().next().value ?? new Promise((resolve) => setImmediate(resolve)));
      }
    },
  };
}

const SHORT_WAIT = { sql: `set local lock_timeout = ${LOCK_MILLISECONDS}`, values: [], name: 'short_wait' };

async function inTurn<T>(all: readonly T[], act: (one: T) => Promise<void>): Promise<void> {
  for (const one of all) await act(one);
}
