import type { DatabaseSync, StatementSync } from 'node:sqlite';
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type DialectAdapter,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';

/** The most prepared statements that are kept: every query of this project, with room. */
const KEPT_STATEMENTS = 500;

/**
 * Kysely on one connection of Node's own SQLite. A statement runs at once and holds up the process while it does.
 */
export function sqliteDialect(database: DatabaseSync): Dialect {
  const connection = new SqliteConnection(database);
  return {
    createAdapter: () => new Adapter(connection),
    createDriver: () => new SqliteDriver(database, connection),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new QueryCompiler(),
  };
}

/**
 * Runs a statement at once on the connection that `adapter` is of: within the transaction that is open there.
 *
 * @returns its rows; nothing when the adapter is another dialect's
 */
export function runAtOnce<R>(adapter: DialectAdapter, sql: string, parameters: readonly unknown[]): R[] | undefined {
  return adapter instanceof Adapter ? adapter.connection.rowsOf<R>(sql, parameters) : undefined;
}

/** Kysely migrates SQLite outside a transaction; inside one, processes that start together wait for each other. */
class Adapter extends SqliteAdapter {
  readonly connection: SqliteConnection;

  constructor(connection: SqliteConnection) {
    super();
    this.connection = connection;
  }

  override get supportsTransactionalDdl() {
    return true;
  }
}

/** Leaves out the locks of rows: one transaction writes at a time, and has them all. */
class QueryCompiler extends SqliteQueryCompiler {
  protected override visitSelectModifier() {}
}

class SqliteDriver implements Driver {
  readonly #connection: SqliteConnection;
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync, connection: SqliteConnection) {
    this.#database = database;
    this.#connection = connection;
  }

  async init() {}

  async acquireConnection() {
    return this.#connection;
  }

  async releaseConnection() {}

  async beginTransaction() {
    this.#connection.rowsOf('begin immediate', []);
  }

  async commitTransaction() {
    this.#connection.rowsOf('commit', []);
  }

  async rollbackTransaction() {
    if (this.#database.isTransaction) this.#connection.rowsOf('rollback', []);
  }

  async destroy() {
    this.#database.close();
  }
}

/**
 * SQLite plans by the number that is bound here, so it compiles the whole statement again whenever one is: ten times the work of a small one.
 * A sum it does not look into.
 */
const BOUND_LIMIT = /\blimit \?/g;

class SqliteConnection implements DatabaseConnection {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, { statement: StatementSync; answersRows: boolean }>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const { statement, answersRows } = this.#prepare(sql);
    const values = parameters as never[];
    if (answersRows) return { rows: statement.all(...values) as R[] };
    const { changes, lastInsertRowid } = statement.run(...values);
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) };
  }

  rowsOf<R>(sql: string, parameters: readonly unknown[]): R[] {
    return this.#prepare(sql).statement.all(...(parameters as never[])) as R[];
  }

  // biome-ignore lint/correctness/useYield: Kysely asks for a generator; nothing here streams
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('streaming is not offered on SQLite: its statements run at once');
  }

  #prepare(sql: string) {
    const known = this.#statements.get(sql);
    if (known) return known;
    if (this.#statements.size >= KEPT_STATEMENTS) this.#statements.clear();
    const statement = this.#database.prepare(sql.replaceAll(BOUND_LIMIT, '$& + 0'));
    const prepared = { statement, answersRows: statement.columns().length > 0 };
    this.#statements.set(sql, prepared);
    return prepared;
  }
}
