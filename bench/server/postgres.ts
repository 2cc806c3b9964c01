import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { databaseAt, execute } from '../../test/database-template.ts';
import { startEmbeddedPostgres } from '../../test/embedded-postgres.ts';
import type { Site } from './site.ts';

/** A PostgreSQL with databases for a bench. */
export interface BenchPostgres {
  /** As it tells its version. */
  version: string;
  /** Its first process; undefined for one that was not started here. */
  pid: number | undefined;
  /** Makes a database. @returns its URL */
  empty(): Promise<string>;
  /** Makes a copy of one that nobody uses. */
  withCopy(database: string): Promise<Pick<Site, 'database' | 'copy' | 'isFile'>>;
  /** Does for one that was filled what autovacuum would do in the minutes after, and writes to its files what is in memory. */
  settle(database: string): Promise<void>;
  /** Drops what was made, and ends it where it was started here. */
  stop(): Promise<void>;
}

/**
 * @param url of one that runs, whose user may create databases; one is started unless given, as PostgreSQL comes
 * @param folder where the data of the one that is started is
 */
export async function openBenchPostgres(url: string | undefined, folder: string): Promise<BenchPostgres> {
  const started = url === undefined ? await startEmbeddedPostgres({ durable: true, folder }) : undefined;
  const server = started?.url ?? (url as string);
  const made: string[] = [];

  async function make(template?: string): Promise<string> {
    const name = `panda_secrets_bench_${randomBytes(6).toString('hex')}`;
    await execute(server, `create database ${name}${template ? ` template ${template}` : ''}`);
    made.push(name);
    return databaseAt(server, name);
  }

  return {
    version: await versionOf(server),
    pid: started?.pid,
    empty: () => make(),
    async withCopy(database) {
      return { database, copy: await make(new URL(database).pathname.slice(1)), isFile: false };
    },
    async settle(database) {
      for (const statement of ['vacuum (analyze)', 'checkpoint']) await execute(database, statement);
    },
    async stop() {
      if (started) return started.stop();
      for (const name of made) await execute(server, `drop database ${name} with (force)`);
    },
  };
}

async function versionOf(url: string): Promise<string> {
  const client = new pg.Client(url);
  await client.connect();
  const { rows } = await client.query('show server_version');
  await client.end();
  return rows[0].server_version;
}
