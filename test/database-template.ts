import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { openPostgres } from '../src/store/postgres.ts';

/** A database at this release's tables, of which each test gets a copy: files are copied in a fraction of the time that making tables takes. */
export interface DatabaseTemplate {
  name: string;
  drop(): Promise<void>;
}

/** Makes one on the PostgreSQL at `server`. */
export async function makeTemplate(server: string): Promise<DatabaseTemplate> {
  const name = `panda_secrets_test_template_${randomBytes(6).toString('hex')}`;
  await execute(server, `create database ${name}`);
  await (await openPostgres(databaseAt(server, name))).close();
  return { name, drop: () => execute(server, `drop database ${name}`) };
}

/** The URL of another database of a server. */
export function databaseAt(server: string, name: string): string {
  const url = new URL(server);
  url.pathname = name;
  return url.href;
}

/** Runs one statement on a connection of its own. */
export async function execute(server: string, statement: string): Promise<void> {
  const client = new pg.Client(server);
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
