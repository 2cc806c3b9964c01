import type { PostgresPool, PostgresPoolClient } from 'kysely';
import type pg from 'pg';
import { Unavailable } from '../protocol/errors.ts';
import { DATABASE_RETRY_SECONDS } from '../protocol/limits.ts';
import { nameOf } from './prepared.ts';

/** A connection was lost, or there was none to get. */
export class ConnectionLost extends Unavailable {
  /** True when a transaction was being committed: nobody can tell whether it was. */
  readonly mayBeDone: boolean;

  constructor(cause: unknown, { mayBeDone = false } = {}) {
    super("the server's database is away at the moment: try again in a minute", { cause });
    this.mayBeDone = mayBeDone;
  }
}

/**
 * PostgreSQL's codes for a session that it ends or does not open: it is stopped, restarted or failing over (57P, 25006: a replica
 * that is not the primary), has no connection left (53300), or the line broke (class 08).
 */
const AWAY = /^(57P0[1-5]|53300|25006|08...)$/;
/** A statement that took longer than `DATABASE_STATEMENT_SECONDS`, or waited longer than `DATABASE_LOCK_SECONDS` for others. */
const TOO_SLOW = new Set(['57014', '55P03']);
/** Messages of the library's that have no code. */
const SILENT = 'Query read timeout';
const ALL_IN_USE = 'timeout exceeded when trying to connect';

/**
 * The pool as Kysely sees it. PostgreSQL may close a connection at any time: without a listener of its own, a connection that
 * is in use would end the process with it. While the database is away, a connection and a statement that only reads, outside a
 * transaction, are tried again for `retrySeconds`: counted from when it went, so that nobody waits for one that
 * has been away for long. What then fails is {@link ConnectionLost}.
 */
export function steadyPool(pool: pg.Pool, { retrySeconds = DATABASE_RETRY_SECONDS } = {}): PostgresPool {
  const lost = new WeakSet<pg.PoolClient>();
  let awaySince: number | undefined;
  pool.on('connect', (client) => {
    client.on('error', () => lost.add(client));
  });

  /** Waits before another try, or throws when there is to be none. */
  async function beforeAnother(tries: number, error: unknown): Promise<void> {
    awaySince ??= performance.now();
    const seconds = Math.min(0.5, 0.05 * 2 ** tries);
    if (performance.now() + seconds * 1000 > awaySince + retrySeconds * 1000) throw error;
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  }

  async function connect(): Promise<pg.PoolClient> {
    for (let tries = 0; ; tries++) {
      try {
        const client = await pool.connect();
        awaySince = undefined;
        return client;
      } catch (error) {
        if ((error as Error).message === ALL_IN_USE) throw overloaded(error);
        await beforeAnother(tries, new ConnectionLost(error));
      }
    }
  }

  /** One statement. @throws {ConnectionLost} */
  async function query(client: pg.PoolClient, sql: string, parameters: unknown[]) {
    try {
      const name = nameOf(sql);
      return await client.query({ ...(name !== undefined && { name }), text: sql, values: parameters });
    } catch (error) {
      const { code = '', message } = error as { code?: string; message?: string };
      if (message === SILENT) lost.add(client);
      if (lost.has(client) || AWAY.test(code)) {
        lost.add(client);
        throw new ConnectionLost(error, { mayBeDone: sql === 'commit' });
      }
      throw TOO_SLOW.has(code) ? overloaded(error) : error;
    }
  }

  /** One connection to Kysely, for as long as it holds it: another client takes its place where a read is tried again. */
  function held(first: pg.PoolClient): PostgresPoolClient {
    let client: pg.PoolClient | undefined = first;
    let inTransaction = false;
    /** Of the transaction: the attempt to undo it fails as well, and knows less. */
    let ended: ConnectionLost | undefined;

    async function run(sql: string, parameters: unknown[]) {
      if (sql.startsWith('begin') || sql.startsWith('start transaction')) inTransaction = true;
      if (ended) throw ended;
      for (let tries = 0; ; tries++) {
        try {
          client ??= await connect();
          return await query(client, sql, parameters);
        } catch (error) {
          if (!client || !(error instanceof ConnectionLost)) throw error;
          if (inTransaction || !sql.startsWith('select')) {
            ended = error;
            throw error;
          }
          // Its place first: in a full pool there is no other to wait for.
          client.release(true);
          client = undefined;
          await beforeAnother(tries, error);
        }
      }
    }

    // Without the other form of `query`, which is for cursors.
    const release = (destroy = false) => client?.release(destroy || lost.has(client));
    return { query: run, release } as unknown as PostgresPoolClient;
  }

  return {
    options: pool.options,
    end: () => pool.end(),
    connect: async () => held(await connect()),
  };
}

function overloaded(cause: unknown): Unavailable {
  return new Unavailable("the server's database has too much to do at the moment: try again in a minute", { cause });
}

const NOT_THERE = /^(E(CONN\w+|TIMEDOUT|HOSTUNREACH|HOSTDOWN|NETUNREACH|PIPE|AI_AGAIN)|ENOENT|ENOTFOUND)$/;
const BROKEN_OFF = /^(Connection terminated|timeout)/;

/** Tells an error of connecting that may pass by itself from one that somebody must mend. */
export function isAway(error: unknown): boolean {
  const { code = '', message = '' } = error as { code?: string; message?: string };
  return AWAY.test(code) || NOT_THERE.test(code) || BROKEN_OFF.test(message);
}
