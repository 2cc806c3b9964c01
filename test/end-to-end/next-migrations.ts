import { writeSync } from 'node:fs';
import { type Kysely, sql } from 'kysely';
import type { MigrationProvider } from 'kysely/migration';
import { type ColumnTypes, migrationProvider as presentProvider } from '../../src/store/migrations.ts';

/** As `src/store/migrations.ts` of a next release: it adds a table, an index and columns to tables that every request uses. */
export function migrationProvider(types: ColumnTypes): MigrationProvider {
  const { int } = types;
  return {
    async getMigrations() {
      return {
        ...(await presentProvider(types).getMigrations()),
        '0900-next': {
          async up(db: Kysely<unknown>) {
            const run = (statement: string) => sql.raw(statement).execute(db);
            await run('create table next_things (id text primary key)');
            if (process.env['NEXT_STOPS']) {
              writeSync(1, 'in the middle\n');
              await new Promise((resolve) => setTimeout(resolve, 2 ** 30));
            }
            await run('alter table secrets add column next_word text');
            await run(`alter table owners add column next_count ${int} not null default 0`);
            await run('update owners set next_count = 1');
            await run('create index secrets_next on secrets (next_word) where next_word is not null');
          },
        },
      };
    },
  };
}
