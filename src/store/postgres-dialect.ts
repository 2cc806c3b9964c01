import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryExecutor,
  type QueryResult,
  type Transaction,
  type TransactionSettings,
} from 'kysely';
import { LRUCache } from 'lru-cache';
import type { Answer, Statement } from './postgres-batch.ts';
import { nameOf } from './postgres-names.ts';
import type { SteadyConnection, SteadyPool, SteadyTransaction } from './postgres-pool.ts';
import type { Schema } from './schema.ts';

/** Kysely on connections that send in one go what a transaction gives them together. */
export function postgresDialect(pool: SteadyPool): Dialect {
  return {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new PostgresDriver(pool),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  };
}

const transactions = new WeakMap<QueryExecutor, SteadyTransaction>();

/** Runs `work` in a transaction of a database that {@link postgresDialect} is the dialect of. */
export function inTransaction<T>(db: Kysely<Schema>, work: (tx: Transaction<Schema>) => Promise<T>): Promise<T> {
  return db.transaction().execute(async (tx) => {
    const executor = tx.getExecutor();
    await executor.provideConnection(async (connection) => {
      const { transaction } = (connection as PostgresConnection).held;
      if (transaction) transactions.set(executor, transaction);
    });
    return work(tx);
  });
}

/**
 * Runs a statement in the transaction that `executor` is of, past Kysely's queue for the connection: statements that are given together
 * are sent together. One that answers nothing is not waited for, but goes with the next.
 *
 * @returns nothing when it is not that of such a transaction
 */
export function runInTransaction<R>(
  executor: QueryExecutor,
  statement: Statement,
  { answers }: { answers: boolean },
): Promise<R[]> | undefined {
  const transaction = transactions.get(executor);
  if (!transaction) return undefined;
  return answers
    ? transaction.query(statement).then(({ rows }) => rows as R[])
    : transaction.later(statement).then(() => []);
}

/** Reads outside transactions, of databases whose reads go together. */
const readers = new WeakMap<QueryExecutor, (statement: Statement) => Promise<Answer>>();

/**
 * From now on {@link prepared} statements of `db` itself that only read go together: those of all requests that have arrived, on one connection. A
 * connection for each would wake two processes for each.
 */
export function readTogether(db: Kysely<Schema>, pool: SteadyPool): void {
  readers.set(db.getExecutor(), togetherOn(pool));
}

/** @returns nothing where reads of this executor do not go together, or the statement is not a read */
export function runWithOthers<R>(executor: QueryExecutor, statement: Statement): Promise<R[]> | undefined {
  if (!statement.sql.startsWith('select')) return undefined;
  return readers
    .get(executor)?.(statement)
    .then(({ rows }) => rows as R[]);
}

/** The most reads of a group: their answers come when all are there. */
const MAX_READS = 32;
/** A read that was answered with more bytes than these takes so long that others must not wait for it. */
const LARGE_BYTES = 64 * 1024;
/** How long it goes alone then, and how many such reads are known. */
const ALONE_SECONDS = 60;
const MAX_ALONE = 10_000;

interface Read {
  statement: Statement;
  /** The same for all reads of somebody by the same statement. */
  kind: string;
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

function togetherOn(pool: SteadyPool): (statement: Statement) => Promise<Answer> {
  let waiting: Read[] = [];
  const large = new LRUCache<string, true>({ max: MAX_ALONE, ttl: ALONE_SECONDS * 1000 });

  async function send(reads: readonly Read[]): Promise<void> {
    try {
      const connection = await pool.connect();
      try {
        const answers = await connection.read(reads.map(({ statement }) => statement));
        for (const [n, { kind, resolve }] of reads.entries()) {
          const answer = answers[n] as Answer;
          if (answer.bytes > LARGE_BYTES) large.set(kind, true);
          resolve(answer);
        }
      } finally {
        connection.release();
      }
    } catch (error) {
      const [only, ...others] = reads;
      if (others.length === 0) only?.reject(error);
      // Of these, the others have nothing to do with it.
      else await Promise.all(reads.map((one) => send([one])));
    }
  }

  function sendAll(): void {
    const reads = waiting;
    waiting = [];
    for (let from = 0; from < reads.length; from += MAX_READS) void send(reads.slice(from, from + MAX_READS));
  }

  return (statement) =>
    new Promise((resolve, reject) => {
      const read = { statement, kind: kindOf(statement), resolve, reject };
      if (large.get(read.kind)) {
        void send([read]);
        return;
      }
      waiting.push(read);
      // After the requests that have arrived are read from their sockets.
      if (waiting.length === 1) setImmediate(sendAll);
    });
}

/** Texts among a statement's values are ids: the first is whose rows it reads. */
function kindOf({ name, values }: Statement): string {
  return `${name} ${values.find((value) => typeof value === 'string')}`;
}

class PostgresDriver implements Driver {
  readonly #pool: SteadyPool;

  constructor(pool: SteadyPool) {
    this.#pool = pool;
  }

  async init() {}

  async acquireConnection() {
    return new PostgresConnection(await this.#pool.connect());
  }

  async releaseConnection(connection: DatabaseConnection) {
    (connection as PostgresConnection).held.release();
  }

  async beginTransaction(connection: DatabaseConnection, { isolationLevel, accessMode }: TransactionSettings) {
    const settings = `${isolationLevel ? ` isolation level ${isolationLevel}` : ''}${accessMode ? ` ${accessMode}` : ''}`;
    (connection as PostgresConnection).held.begin(`begin${settings}`);
  }

  async commitTransaction(connection: DatabaseConnection) {
    await (connection as PostgresConnection).held.commit();
  }

  async rollbackTransaction(connection: DatabaseConnection) {
    await (connection as PostgresConnection).held.rollback();
  }

  async destroy() {
    await this.#pool.end();
  }
}

class PostgresConnection implements DatabaseConnection {
  readonly held: SteadyConnection;

  constructor(held: SteadyConnection) {
    this.held = held;
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    return resultOf(await this.held.query({ sql, values: parameters, name: nameOf(sql) }));
  }

  // biome-ignore lint/correctness/useYield: Kysely asks for a generator; nothing here streams
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('streaming is not offered: all rows of a statement are answered together');
  }
}

const CHANGES = new Set(['INSERT', 'UPDATE', 'DELETE']);

function resultOf<R>({ command, rowCount, rows }: Answer): QueryResult<R> {
  return { rows: rows as R[], ...(CHANGES.has(command) && { numAffectedRows: BigInt(rowCount ?? 0) }) };
}
