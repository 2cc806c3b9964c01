import type { CompiledQuery, DialectAdapter } from 'kysely';
import type { Database } from './store.ts';

/** Stands for a value in a statement that is being compiled. */
class Argument {
  readonly name: PropertyKey;

  constructor(name: PropertyKey) {
    this.name = name;
  }
}

/**
 * A statement that is compiled once for each database instead of at each call: building and compiling costs several times
 * what SQLite takes to run a small one. For the statements that requests wait for; the others are plain Kysely.
 *
 * @param build makes the statement with `arg('name')` wherever a value of that argument goes; its shape may not depend on
 * the values, so a list of any length cannot be an argument
 */
export function prepared<Args extends object, Row>(
  build: (db: Database, arg: <K extends keyof Args>(name: K) => Args[K]) => { compile(): CompiledQuery<Row> },
): (db: Database, args: Args) => Promise<Row[]> {
  const compiled = new WeakMap<DialectAdapter, CompiledQuery<Row>>();
  return async (db, args) => {
    const { adapter } = db.getExecutor();
    let query = compiled.get(adapter);
    if (!query) {
      query = build(db, (name) => new Argument(name) as never).compile();
      compiled.set(adapter, query);
    }
    const parameters = query.parameters.map((p) => (p instanceof Argument ? args[p.name as keyof Args] : p));
    return (await db.executeQuery<Row>({ ...query, parameters })).rows;
  };
}
