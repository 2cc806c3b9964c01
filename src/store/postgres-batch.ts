import pg from 'pg';

/** A statement with its values, for {@link sendBatch}. */
export interface Statement {
  sql: string;
  values: readonly unknown[];
  /** Under which the connection keeps it with its plan. */
  name?: string | undefined;
}

/** A statement's result, as the library makes it. */
export interface Answer extends Pick<pg.QueryResult, 'command' | 'rowCount' | 'rows'> {
  /** Those in which its rows came. */
  bytes: number;
}

/**
 * Sends statements in one go, and has them answered in one go: a connection that waits for each answer before it sends the next statement
 * costs both ends more than the statements do. PostgreSQL runs them in their order, each as of the moment at which it begins. One that
 * fails is the last that runs.
 *
 * Only a transaction may have more than one: outside of one they would be a transaction together.
 *
 * @throws the first error of a statement, or of the connection, for all of them
 * @throws {NotSent}
 */
export function sendBatch(client: pg.ClientBase, statements: readonly Statement[]): Promise<Answer[]> {
  const ready = statements.map(({ values, ...statement }) => ({ ...statement, values: values.map(asParameter) }));
  return new Promise((resolve, reject) => {
    client.query(
      new Batch(ready, keptOn(client), (error, answers) => {
        if (error) reject(error);
        else resolve(answers ?? []);
      }),
    );
  });
}

/** The messages of a batch could not be made, for the reason that is its `cause`. Nothing was sent, and the connection is closed. */
export class NotSent extends Error {}

/** What a connection knows of a statement that it keeps. */
interface Kept {
  /** Undefined while it has not ended well: PostgreSQL may have the statement, or not. */
  columns?: pg.FieldDef[] | undefined;
}

const keptStatements = new WeakMap<pg.ClientBase, Map<string, Kept>>();

function keptOn(client: pg.ClientBase): Map<string, Kept> {
  const known = keptStatements.get(client);
  if (known) return known;
  const kept = new Map<string, Kept>();
  keptStatements.set(client, kept);
  return kept;
}

type Done = (error: Error | null | undefined, answers?: Answer[]) => void;

/** The parts of the library that an object which is sent as a query has to do with: as its own cursors have. */
interface Wire {
  stream: { cork(): void; uncork(): void; destroy(): void };
  parse(message: { name: string; text: string }): void;
  bind(message: { statement: string; values: (string | Buffer | null)[] }): void;
  describe(message: { type: 'P' }): void;
  execute(message: object): void;
  close(message: { type: 'S'; name: string }): void;
  sync(): void;
}

interface Building extends Answer {
  fields: pg.FieldDef[];
  addFields(fields: pg.FieldDef[]): void;
  parseRow(values: unknown[]): unknown;
  addCommandComplete(message: unknown): void;
}
const Result = (pg as unknown as { Result: new (mode: undefined, types: unknown) => Omit<Building, 'bytes'> }).Result;

/** The library calls it as it calls a query of its own. */
class Batch {
  /** Where the library puts one of its own around it, which ends the wait. */
  callback: Done;
  readonly statements: readonly Statement[];
  readonly #kept: Map<string, Kept>;
  readonly #answers: Building[] = [];
  /** As the library sets the parsers of columns on each query. */
  readonly _result: { _types?: unknown } = {};
  #answer: Building | undefined;

  constructor(statements: readonly Statement[], kept: Map<string, Kept>, done: Done) {
    this.statements = statements;
    this.#kept = kept;
    this.callback = done;
  }

  submit(connection: unknown): Error | null {
    const wire = connection as Wire;
    wire.stream.cork();
    try {
      this.#write(wire);
    } catch (cause) {
      // Those that were made would be the beginning of the next batch.
      wire.stream.destroy();
      return new NotSent('a batch of statements could not be made', { cause });
    }
    wire.stream.uncork();
    return null;
  }

  #write(wire: Wire): void {
    const parsed = new Set<string>();
    for (const { sql, name = '', values } of this.statements) {
      const kept = this.#kept.get(name);
      if (name === '' || !(kept?.columns || parsed.has(name))) {
        if (kept) wire.close({ type: 'S', name });
        if (name !== '') this.#kept.set(name, {});
        parsed.add(name);
        wire.parse({ name, text: sql });
      }
      wire.bind({ statement: name, values: values as (string | Buffer | null)[] });
      if (!kept?.columns) wire.describe({ type: 'P' });
      wire.execute({});
    }
    wire.sync();
  }

  handleRowDescription({ fields }: { fields: pg.FieldDef[] }): void {
    this.#current().addFields(fields);
  }

  handleDataRow({ fields, length }: { fields: unknown[]; length: number }): void {
    const answer = this.#current();
    answer.bytes += length;
    answer.rows.push(answer.parseRow(fields));
  }

  handleCommandComplete(message: unknown): void {
    const answer = this.#current();
    answer.addCommandComplete(message);
    const { name } = this.statements[this.#answers.length] ?? {};
    if (name !== undefined && this.#kept.has(name)) this.#kept.set(name, { columns: answer.fields });
    this.#answers.push(answer);
    this.#answer = undefined;
  }

  handleReadyForQuery(): void {
    this.callback(null, this.#answers);
  }

  handleError(error: Error): void {
    this.callback(error);
  }

  handlePortalSuspended(): void {}
  handleEmptyQuery(): void {}
  handleCopyInResponse(): void {}
  handleCopyData(): void {}

  /** The result that is being answered: a kept statement's columns are not told again. */
  #current(): Building {
    if (this.#answer) return this.#answer;
    this.#answer = Object.assign(new Result(undefined, this._result._types), { bytes: 0 });
    const { name } = this.statements[this.#answers.length] ?? {};
    const columns = name === undefined ? undefined : this.#kept.get(name)?.columns;
    if (columns && columns.length > 0) this.#answer.addFields(columns);
    return this.#answer;
  }
}

function asParameter(value: unknown): string | Buffer | null {
  if (value === null || value === undefined) return null;
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (typeof value === 'object') throw new TypeError('a value of a statement is text, a number or bytes');
  return String(value);
}
