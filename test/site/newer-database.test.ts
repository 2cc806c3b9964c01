import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { sql } from 'kysely';
import { createPandaSecrets } from '../../src/cli/panda-secrets/program.ts';
import { examine } from '../../src/site/doctor.ts';
import { readSettings } from '../../src/site/settings.ts';
import { startServer } from '../server/start.ts';
import { eachStore } from '../stores.ts';

const NEWER =
  /^the database is of a newer release than this one \(\S+\): its tables have 9000-of-tomorrow, 9001-later, and this release knows them up to \d{4}-\S+\. Install the newer release here too, or restore the backup/;

eachStore('a program refuses the database of a newer release, with every command', async (t, database) => {
  const data = join(database.folder, 'data');
  mkdirSync(data, { mode: 0o700 });
  const settings = { data, ...(database.url !== undefined && { database: database.url }) };
  const server = await startServer(t, { settings });
  const { store } = server.installation;
  for (const name of ['9001-later', '9000-of-tomorrow']) {
    await store.write((tx) =>
      sql`insert into kysely_migration (name, timestamp) values (${name}, ${new Date().toISOString()})`.execute(tx),
    );
  }
  const where = ['--data', data, ...(database.url === undefined ? [] : ['--database', database.url])];
  const commands = commandsOnData(createPandaSecrets());
  assert.ok(commands.length > 20);
  const refuses = (words: readonly string[]) =>
    assert.rejects(
      createPandaSecrets().parseAsync([...words, ...where], { from: 'user' }),
      { code: 'ERR_MISCONFIGURED', message: NEWER },
      words.join(' '),
    );
  for (const words of commands) if (words[0] !== 'serve') await refuses(words);
  const findings = await examine({ ...readSettings({}, { HOME: data }), ...settings }, { clock: Date.now });
  const found = findings.find(({ check }) => check === 'installation');
  assert.equal(found?.state, 'wrong');
  assert.match(found?.what ?? '', NEWER);
  // The server that runs goes on.
  const token = await server.userToken('alice');
  assert.notEqual(token, '');
  // One that starts does not, and on SQLite it would be refused beside another anyway.
  await server.stop();
  await refuses(['serve']);
});

/** Each command that opens an installation, with words for what it must have; the doctor reports what it finds. */
function commandsOnData(command: Command, before: string[] = []): string[][] {
  const own = command.options.some(({ long }) => long === '--database') && command.name() !== 'doctor';
  const needed = command.registeredArguments
    .filter(({ required }) => required)
    .map((one) => one.argChoices?.[0] ?? 'word');
  const options = command.options.filter(({ mandatory }) => mandatory).flatMap(({ long }) => [long as string, 'word']);
  const words = [...before, ...needed, ...options, ...(ALSO[before.join(' ')] ?? [])];
  return [...(own ? [words] : []), ...command.commands.flatMap((one) => commandsOnData(one, [...before, one.name()]))];
}

/** Options without which a command looks at no database. */
const ALSO: Record<string, string[]> = {
  'user erase': ['--yes'],
  'queue set': ['--allow-tls-secrets'],
  backup: ['--to', 'word'],
};
