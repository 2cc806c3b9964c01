import type pg from 'pg';
import { Unavailable } from '../protocol/errors.ts';
import { DATABASE_RETRY_SECONDS } from '../protocol/limits.ts';
import { type Answer, NotSent, type Statement, sendBatch } from './postgres-batch.ts';

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
/**
 * The part of PostgreSQL that refuses a statement which a connection keeps, before it runs, where a migration of another server has changed the types of its
 * columns. A new connection keeps none.
 */
const STALE = 'RevalidateCachedQuery';
/** Messages of the library's that have no code. */
const SILENT = 'Query read timeout';
const ALL_IN_USE = 'timeout exceeded when trying to connect';

/** A connection, for as long as it is held. */
export interface SteadyConnection {
  /** Runs a statement. In a transaction, those that are given together are sent together. */
  query(statement: Statement): Promise<Answer>;
  /** Runs statements that only read, outside a transaction, together. @throws what any of them fails with */
  read(statements: readonly Statement[]): Promise<Answer[]>;
  /** The one that is under way. */
  readonly transaction: SteadyTransaction | undefined;
  begin(sql: string): void;
  commit(): Promise<void>;
  rollback(): Promise<void>;
  release(): void;
}

/** A transaction: after its end it takes nothing more. */
export interface SteadyTransaction {
  /** Runs a statement: those that are given together are sent together. */
  query(statement: Statement): Promise<Answer>;
  /** Has a statement that answers nothing sent with the next one. What it fails with is what that one fails with. */
  later(statement: Statement): Promise<unknown>;
}

/** Connections of a pool that are lost without harm. */
export interface SteadyPool {
  connect(): Promise<SteadyConnection>;
  end(): Promise<void>;
}

/** The most statements that wait for the next one: they are in memory. */
const MAX_LATER = 100;

/**
 * A pool as the dialect uses it. PostgreSQL may close a connection at any time: without a listener of its own, a connection that
 * is in use would end the process with it. While the database is away, a connection and a statement that only reads, outside a
 * transaction, are tried again for `retrySeconds`: counted from when it went, so that nobody waits for one that
 * has been away for long. What then fails is {@link ConnectionLost}.
 */
export function steadyPool(pool: pg.Pool, { retrySeconds = DATABASE_RETRY_SECONDS } = {}): SteadyPool {
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

  /** @throws {ConnectionLost} */
  async function send(client: pg.PoolClient, statements: readonly Statement[]): Promise<Answer[]> {
    // Of a commit that was not sent everybody can tell that it was not done.
    if (lost.has(client)) throw new ConnectionLost(new Error('the connection was lost before'));
    try {
      return await sendBatch(client, statements);
    } catch (error) {
      if (error instanceof NotSent) {
        lost.add(client);
        throw error.cause;
      }
      const { code = '', message, routine } = error as { code?: string; message?: string; routine?: string };
      if (message === SILENT || routine === STALE) lost.add(client);
      if (lost.has(client) || AWAY.test(code)) {
        lost.add(client);
        throw new ConnectionLost(error, { mayBeDone: statements.includes(COMMIT) });
      }
      throw TOO_SLOW.has(code) ? overloaded(error) : error;
    }
  }

  /** Another client takes the place of the first where a read is tried again. */
  function held(first: pg.PoolClient): SteadyConnection {
    let client: pg.PoolClient | undefined = first;
    let transaction: BatchedTransaction | undefined;
    let isReleased = false;

    async function alone(statement: Statement): Promise<Answer> {
      const [answer] = await outside([statement]);
      return answer as Answer;
    }

    /** Outside a transaction: one, or several that only read. */
    async function outside(statements: readonly Statement[]): Promise<Answer[]> {
      // The connection may be in somebody else's transaction by now.
      if (isReleased) throw tooLate();
      for (let tries = 0; ; tries++) {
        try {
          client ??= await connect();
          return await send(client, statements);
        } catch (error) {
          const onlyReads = statements.every(({ sql }) => sql.startsWith('select'));
          if (!client || !(error instanceof ConnectionLost) || !onlyReads) throw error;
          // Its place first: in a full pool there is no other to wait for.
          client.release(true);
          client = undefined;
          await beforeAnother(tries, error);
        }
      }
    }

    return {
      query: (statement) => transaction?.query(statement) ?? alone(statement),
      read: outside,
      get transaction() {
        return transaction;
      },
      begin(sql) {
        const used = client as pg.PoolClient;
        transaction = batchedTransaction(sql, (statements) => send(used, statements));
      },
      async commit() {
        await transaction?.commit();
        transaction = undefined;
      },
      async rollback() {
        try {
          await transaction?.rollback();
        } catch {
          // It ends with its connection.
          if (client) lost.add(client);
        }
        transaction = undefined;
      },
      release() {
        isReleased = true;
        client?.release(lost.has(client));
      },
    };
  }

  return {
    end: () => pool.end(),
    connect: async () => held(await connect()),
  };
}

const COMMIT: Statement = { sql: 'commit', values: [], name: 'commit' };
const ROLLBACK: Statement = { sql: 'rollback', values: [], name: 'rollback' };

type BatchedTransaction = SteadyTransaction & Pick<SteadyConnection, 'commit' | 'rollback'>;

interface Waiting {
  statement: Statement;
  resolve?: (answer: Answer) => void;
  reject?: (error: unknown) => void;
}

/**
 * A transaction whose statements are gathered until there is one whose answer is waited for: as long as those who wait go on without a pause,
 * what they give is sent in one go.
 */
function batchedTransaction(begin: string, send: (statements: Statement[]) => Promise<Answer[]>): BatchedTransaction {
  let gathered: Waiting[] = [{ statement: { sql: begin, values: [], name: begin } }];
  let isBegun = false;
  /** The first error: of what comes after it, PostgreSQL says only that there was one. */
  let failed: { error: unknown } | undefined;
  let state: 'idle' | 'sending soon' | 'sending' = 'idle';
  /** No statement may come behind the commit or the rollback: it would be one by itself, or in nothing at all. */
  let isEnding = false;

  function sendSoon(): void {
    if (state !== 'idle') return;
    state = 'sending soon';
    // After all that is ready to go on has gone on.
    process.nextTick(sendGathered);
  }

  async function sendGathered(): Promise<void> {
    const batch = gathered;
    gathered = [];
    // It was undone meanwhile.
    if (batch.length === 0) {
      state = 'idle';
      return;
    }
    state = 'sending';
    try {
      const answers = await send(batch.map(({ statement }) => statement));
      isBegun = true;
      for (const [n, { resolve }] of batch.entries()) resolve?.(answers[n] as Answer);
    } catch (error) {
      isBegun = true;
      failed ??= { error };
      for (const { reject } of batch) reject?.(failed.error);
    }
    state = 'idle';
    if (gathered.some(({ resolve }) => resolve)) sendSoon();
  }

  function query(statement: Statement): Promise<Answer> {
    return new Promise((resolve, reject) => {
      gathered.push({ statement, resolve, reject });
      sendSoon();
    });
  }

  /** Has all sent that was gathered. */
  async function flush(): Promise<void> {
    const last = gathered.pop();
    if (!last) return;
    const sent = query(last.statement);
    if (last.resolve) sent.then(last.resolve, last.reject);
    await sent;
  }

  function mayCome(): void {
    if (failed) throw failed.error;
    if (isEnding) throw tooLate();
  }

  return {
    async query(statement) {
      mayCome();
      return query(statement);
    },
    async later(statement) {
      mayCome();
      if (gathered.length >= MAX_LATER) return query(statement);
      gathered.push({ statement });
      return undefined;
    },
    async commit() {
      isEnding = true;
      // Sent with it, a connection that is lost already would leave nobody able to tell if all was done.
      if (!isBegun) await flush();
      if (failed) throw failed.error;
      await query(COMMIT);
    },
    async rollback() {
      isEnding = true;
      const left = gathered;
      gathered = [];
      const error = failed?.error ?? new Error('the transaction was undone meanwhile');
      for (const { reject } of left) reject?.(error);
      if (failed?.error instanceof ConnectionLost) throw failed.error;
      if (isBegun || state === 'sending') await query(ROLLBACK);
    },
  };
}

function tooLate(): Error {
  return new Error('a statement came after the end of its transaction');
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
