import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Kysely, Transaction } from 'kysely';
import type { Schema } from './schema.ts';

/** The most writes that share one transaction: those behind them must not wait long. */
const MAX_GROUP = 256;

interface Waiting {
  run(tx: Transaction<Schema>): Promise<void>;
  committed(): void;
  failed(error: unknown): void;
}

/**
 * Makes writes that arrive together share one durable transaction, so that they share its one flush to the disk. Each runs
 * behind a savepoint and is answered after the commit; one that throws is undone alone and answered with its error.
 */
export function groupCommit(writer: Kysely<Schema>, database: DatabaseSync) {
  const waiting: Waiting[] = [];
  let running: Promise<void> | undefined;
  const [savepoint, rollback, release] = (['savepoint one', 'rollback to one', 'release one'] as const).map((sql) =>
    database.prepare(sql),
  ) as [StatementSync, StatementSync, StatementSync];

  async function runGroups(): Promise<void> {
    while (waiting.length > 0) {
      // Requests that have arrived are read from their sockets before the next group closes.
      await new Promise((resolve) => setImmediate(resolve));
      const group = waiting.splice(0, MAX_GROUP);
      const done: Waiting[] = [];
      try {
        await writer.transaction().execute(async (tx) => {
          for (const one of group) {
            savepoint.run();
            try {
              await one.run(tx);
              done.push(one);
            } catch (error) {
              // A full disk ends the whole transaction, and is what all of its group are to hear.
              if (!database.isTransaction) throw error;
              rollback.run();
              one.failed(error);
            }
            release.run();
          }
        });
        for (const one of done) one.committed();
      } catch (error) {
        for (const one of group) one.failed(error);
      }
    }
    running = undefined;
  }

  return {
    write<T>(work: (tx: Transaction<Schema>) => Promise<T>): Promise<T> {
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
    },

    /** Resolves when nothing is waiting any more. */
    async drained(): Promise<void> {
      await running;
    },
  };
}
