import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Kysely, Transaction } from 'kysely';
import { isFullDisk } from '../protocol/full-disk.ts';
import type { Reserve } from './reserve.ts';
import type { Schema } from './schema.ts';
import type { OnCommit } from './store.ts';

/** The most writes that share one transaction: those behind them must not wait long. */
const MAX_GROUP = 256;
/** After a write that failed, so many groups run each of theirs apart at once: others may fail, and would have their group run twice. */
const CAREFUL_GROUPS = 32;

/** The turn to write an SQLite database that several processes of one server share, so that none of them waits inside SQLite. */
export interface WriteTurn {
  /** Resolves when it is this process's turn; at once where it still is. */
  take(): Promise<void>;
  /** After each transaction. @param isMore other writes of this process wait already */
  done(isMore: boolean): void;
}

interface Waiting {
  run(tx: Transaction<Schema>): Promise<void>;
  committed(): void;
  failed(error: unknown): void;
}

/**
 * Makes writes that arrive together share one durable transaction, so that they share its one flush to the disk, and answers them
 * after the commit. One that throws is undone alone and answered with its error: its group is undone and run once more, each behind a
 * savepoint. Without a need for them savepoints are left out, as SQLite copies every page that a second write of a group changes.
 * A group that finds the disk full gives up the reserve and runs once more. With `turn` each group waits
 * for it, and grows meanwhile.
 */
export function groupCommit(
  writer: Kysely<Schema>,
  database: DatabaseSync,
  { reserve, onCommit, turn }: { reserve: Reserve; onCommit?: OnCommit | undefined; turn?: WriteTurn | undefined },
) {
  const waiting: Waiting[] = [];
  let running: Promise<void> | undefined;
  let careful = 0;
  /** Asked once in a group: it looks for a file. */
  let mayGrow = false;
  const [savepoint, rollback, release] = (['savepoint one', 'rollback to one', 'release one'] as const).map((sql) =>
    database.prepare(sql),
  ) as [StatementSync, StatementSync, StatementSync];

  async function runGroups(): Promise<void> {
    while (waiting.length > 0) {
      // Requests that have arrived are read from their sockets before the next group closes.
      await endOfTurn();
      await turn?.take();
      await runGroup(waiting.splice(0, MAX_GROUP));
      turn?.done(waiting.length > 0);
      // Those who waited are answered at the end of a turn, and should not wait for the next group.
      if (waiting.length > 0) await endOfTurn();
    }
    running = undefined;
  }

  async function runGroup(group: readonly Waiting[]): Promise<void> {
    mayGrow = false;
    if (careful === 0) return runTogether(group);
    careful -= 1;
    return runApart(group);
  }

  async function runTogether(group: readonly Waiting[]): Promise<void> {
    let isCommitting = false;
    const since = performance.now();
    try {
      await writer.transaction().execute(async (tx) => {
        for (const one of group) await one.run(tx);
        isCommitting = true;
      });
    } catch (error) {
      if (isFullDisk(error) && reserve.giveUp()) return runGroup(group);
      if (isCommitting || isFullDisk(error) || group.length === 1) return failAll(group, error);
      mayGrow = false;
      careful = CAREFUL_GROUPS;
      return runApart(group);
    }
    commitAll(group, since);
  }

  /** Each behind a savepoint. */
  async function runApart(group: readonly Waiting[]): Promise<void> {
    const failed = new Set<Waiting>();
    const since = performance.now();
    try {
      await writer.transaction().execute(async (tx) => {
        for (const one of group) {
          savepoint.run();
          try {
            await one.run(tx);
          } catch (error) {
            // A full disk ends the whole transaction, and is what all of its group are to hear.
            if (!database.isTransaction || isFullDisk(error)) throw error;
            rollback.run();
            failed.add(one);
            one.failed(error);
          }
          release.run();
        }
      });
    } catch (error) {
      const left = group.filter((one) => !failed.has(one));
      return isFullDisk(error) && reserve.giveUp() ? runGroup(left) : failAll(left, error);
    }
    commitAll(
      group.filter((one) => !failed.has(one)),
      since,
    );
  }

  function commitAll(group: readonly Waiting[], since: number): void {
    onCommit?.(group.length, (performance.now() - since) / 1000);
    for (const one of group) one.committed();
  }

  function failAll(group: readonly Waiting[], error: unknown): void {
    for (const one of group) one.failed(error);
  }

  function write<T>(work: (tx: Transaction<Schema>) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let result: T;
      waiting.push({
        run: async (tx) => {
          result = await work(tx);
        },
        committed: () => resolve(result),
        failed: reject,
      });
      running ??= runGroups();
    });
  }

  return {
    write,

    grow: <T>(work: (tx: Transaction<Schema>) => Promise<T>): Promise<T> =>
      write((tx) => {
        // Here, where a group that is run once more comes by again.
        if (!mayGrow) reserve.refuseGrowth();
        mayGrow = true;
        return work(tx);
      }),

    /** Resolves when nothing is waiting any more. */
    async drained(): Promise<void> {
      await running;
    },
  };
}

function endOfTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
