import type { CompiledQuery } from 'kysely';
import { runInTransaction, runWithOthers } from './postgres-dialect.ts';
import { nameOf, nameStatement } from './postgres-names.ts';
import { runAtOnce } from './sqlite-dialect.ts';
import type { Database } from './store.ts';

/** Stands for a value in a statement that is being compiled: where it stands among the arguments. */
class Argument {
  readonly path: readonly PropertyKey[];

  constructor(path: readonly PropertyKey[]) {
    this.path = path;
  }

  in(args: object): unknown {
    const { path } = this;
    let value: unknown = args;
    for (let n = 0; n < path.length; n++) value = (value as Record<PropertyKey, unknown>)[path[n] as PropertyKey];
    return value;
  }
}

/** The most shapes of one statement that are kept: lists are short, and what is longer costs more elsewhere. */
const MAX_SHAPES = 40;

/**
 * A statement that is compiled once for each database instead of at each call: building and compiling costs several times
 * what SQLite takes to run a small one. For the statements that requests wait for; the others are plain Kysely. On SQLite it
 * runs at the call, without Kysely's queue for the connection, which a statement that waits for nothing has no use for. PostgreSQL
 * parses and plans it once for each connection; in a transaction there, statements that are begun together are sent together, and one that answers
 * no rows goes with the next: its error is that one's, or the commit's.
 *
 * @param build makes the statement with `arg('name')` wherever a value of that argument goes. Its shape may depend on nothing
 * but which arguments are undefined and how long lists are: it is compiled for each of these.
 */
export function prepared<Args extends object, Row>(
  build: (db: Database, arg: <K extends keyof Args>(name: K) => Args[K]) => { compile(): CompiledQuery<Row> },
): (db: Database, args: Args) => Promise<Row[]> {
  const compiled = new WeakMap<object, Shaped<Row>[]>();

  function compile(db: Database, adapter: object, args: Args): CompiledQuery<Row> {
    const known = compiled.get(adapter) ?? [];
    compiled.set(adapter, known);
    for (const { shape, query } of known) if (isOfShape(args, shape)) return query;
    const query = build(db, (name) => standIn(args[name], [name]) as never).compile();
    if (known.length < MAX_SHAPES) {
      known.push({ shape: shapeOf(args), query });
      nameStatement(query.sql);
    }
    return query;
  }

  return async (db, args) => {
    const executor = db.getExecutor();
    const { adapter } = executor;
    const query = compile(db, adapter, args);
    const { sql } = query;
    const values = valuesOf(query, args);
    return (
      runAtOnce<Row>(adapter, sql, values) ??
      (await (runInTransaction<Row>(executor, { sql, values, name: nameOf(sql) }, { answers: answersRows(query) }) ??
        runWithOthers<Row>(executor, { sql, values, name: nameOf(sql) }) ??
        db.executeQuery<Row>({ ...query, parameters: values }).then(({ rows }) => rows)))
    );
  };
}

/** A loop, which is half the work of a call for each value. */
function valuesOf({ parameters }: CompiledQuery, args: object): unknown[] {
  const values: unknown[] = [];
  for (let n = 0; n < parameters.length; n++) {
    const value = parameters[n];
    values.push(value instanceof Argument ? value.in(args) : value);
  }
  return values;
}

function answersRows({ query }: CompiledQuery): boolean {
  return !CHANGES.has(query.kind) || ('returning' in query && query.returning !== undefined);
}

const CHANGES: ReadonlySet<string> = new Set(['InsertQueryNode', 'UpdateQueryNode', 'DeleteQueryNode']);

interface Shaped<Row> {
  shape: Shape;
  query: CompiledQuery<Row>;
}

/** The arguments that are given, in their order, with how long those are that are lists. */
type Shape = readonly { name: string; length: number | undefined }[];

function shapeOf(args: object): Shape {
  return Object.entries(args)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ({ name, length: Array.isArray(value) ? value.length : undefined }));
}

/** True where {@link shapeOf} would answer the same. It makes nothing: it is asked at each call. */
function isOfShape(args: object, shape: Shape): boolean {
  let given = 0;
  for (const name in args) {
    const value = (args as Record<string, unknown>)[name];
    if (value === undefined) continue;
    const known = shape[given++];
    if (known?.name !== name || known.length !== (Array.isArray(value) ? value.length : undefined)) return false;
  }
  return given === shape.length;
}

/** Rows of a list have their values stood in for one by one. */
function standIn(value: unknown, path: readonly PropertyKey[]): unknown {
  if (value === undefined) return undefined;
  if (Array.isArray(value)) return value.map((element, n) => standIn(element, [...path, n]));
  const isRow = typeof value === 'object' && value !== null && !ArrayBuffer.isView(value);
  if (!isRow) return new Argument(path);
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, standIn(field, [...path, name])]));
}
