import type { Selectable } from 'kysely';
import type { Schema } from './schema.ts';
import type { Database } from './store.ts';

export type ServerRow = Selectable<Schema['servers']>;

/** Notes that a server runs, and what root keys it has. */
export async function noteServer(db: Database, server: ServerRow): Promise<void> {
  const { node, root_keys, seen_at } = server;
  await db
    .insertInto('servers')
    .values(server)
    .onConflict((conflict) => conflict.column('id').doUpdateSet({ node, root_keys, seen_at }))
    .execute();
}

export async function forgetServer(db: Database, id: string): Promise<void> {
  await db.deleteFrom('servers').where('id', '=', id).execute();
}

/** Those that were killed. */
export async function forgetServersBefore(db: Database, time: number): Promise<void> {
  await db.deleteFrom('servers').where('seen_at', '<', time).execute();
}

/** Servers that were seen since a time, by their machines' names. */
export function listServers(db: Database, since: number): Promise<ServerRow[]> {
  return db.selectFrom('servers').selectAll().where('seen_at', '>=', since).orderBy('node').orderBy('id').execute();
}
