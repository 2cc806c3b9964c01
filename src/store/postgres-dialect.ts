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
import type { Answer, Statement } from './postgres-batch.ts';
import { nameOf } from './postgres-names.ts';
import type { SteadyConnection, SteadyPool } from './postgres-pool.ts';
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

/** The connections of transactions under way. */
const connections = new WeakMap<QueryExecutor, SteadyConnection>();

/** Runs `work` in a transaction of a database that {@link postgresDialect} is the dialect of. */
export function inTransaction<T>(db: Kysely<Schema>, work: (tx: Transaction<Schema>) => Promise<T>): Promise<T> {
  return db.transaction().execute(async (tx) => {
    const executor = tx.getExecutor();
    await executor.provideConnection(async (connection) => {
      connections.set(executor, (connection as PostgresConnection).held);
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
  const connection = connections.get(executor);
  if (!connection) return undefined;
  return answers
    ? connection.query(statement).then(({ rows }) => rows as R[])
    : connection.later(statement).then(() => []);
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
